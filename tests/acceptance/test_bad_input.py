"""What is wrong is said before anything is written or bought, with what to do next, and never with a secret in it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "sk-very-secret-value"


def jobs_written(shell) -> int:
    database = shell.home / "pressroom.sqlite"
    if not database.exists():
        return 0
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT count(*) FROM jobs").fetchone()[0]


REQUESTS = {
    "empty prompt": ([""], ["prompt", "1 to 10000"]),
    "blank prompt": (["   "], ["prompt", "not all of them blank"]),
    "a prompt too long": (["x" * 10_001], ["prompt", "10001 characters", "1 to 10000"]),
    "an unknown model": (["a", "--model", "ideogram-9"], ["model", "ideogram-9", "ideogram-4-5"]),
    "another model's size": (
        ["a", "--model", "ideogram-4-5", "--size", "1536x640"],
        ["size", "1536x640", "2048x2048"],
    ),
    "size and ratio": (
        ["a", "--size", "1024x1024", "--aspect-ratio", "1x1"],
        ["size", "aspect_ratio", "exclude"],
    ),
    "a seed below": (["a", "--seed", "-1"], ["seed", "-1", "0"]),
    "a seed above": (["a", "--seed", "2147483648"], ["seed", "2147483648", "2147483647"]),
    "no images": (["a", "-n", "0"], ["num_images", "0", "1"]),
    "nine images": (["a", "-n", "9"], ["num_images", "9", "8"]),
    "many images on a wire without": (["a", "-n", "2", "--wire", "v4"], ["num_images", "v2"]),
    "an unknown wire": (["a", "--wire", "v9"], ["wire", "v9", "legacy"]),
    "a ratio nobody has": (["a", "--aspect-ratio", "7x5"], ["aspect_ratio", "7x5", "16x9"]),
    "an unknown style": (["a", "--style", "baroque", "--wire", "v3"], ["style", "baroque", "realistic"]),
    "metadata without a value": (["a", "--metadata", "campaign"], ["name=value"]),
    "a deadline that is no number": (["a", "--deadline", "nan"], ["deadline", "0 or more"]),
    "a deadline below": (["a", "--deadline", "-1"], ["deadline", "-1", "0 or more"]),
    "a project without a name": (["a", "--project", ""], ["project", "1 to 200"]),
    "a placeholder to nowhere": (
        ["a", "--placeholder-to", "no/such/there.png"],
        ["placeholder_to", "folder"],
    ),
    "a time that is none": (["a", "--buy-before", "tomorrow"], ["--buy-before", "30m", "2026-12-01T09:00Z"]),
    "a tag of control characters": (["a", "--tag", "a\x07b"], ["tags", "control"]),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_that_cannot_be_sent_is_refused_with_what_can(shell, case):
    """Exit code 2; the message names the field, the value and what is allowed; no job is written."""
    arguments, words = REQUESTS[case]

    ran = shell.pressroom("generate", *arguments)

    assert ran.code == 2, ran.err
    for word in words:
        assert word in ran.err
    assert "Traceback" not in ran.err
    assert jobs_written(shell) == 0


SETTINGS = {
    "a key with a newline": ({"IDEOGRAM_API_KEY": SECRET + "\n"}, ["key", "line break"]),
    "a key with a space inside": ({"IDEOGRAM_API_KEY": "sk very"}, ["key", "pasted"]),
    "a key file that is missing": (
        {"IDEOGRAM_API_KEY_FILE": "/nowhere/key"},
        ["IDEOGRAM_API_KEY_FILE", "/nowhere/key"],
    ),
    "a base URL with a slash": (
        {"IDEOGRAM_BASE_URL": "https://api.ideogram.ai/", "IDEOGRAM_API_KEY": SECRET},
        ["slash", "https://api.ideogram.ai"],
    ),
    "plain http to a public host": (
        {"IDEOGRAM_BASE_URL": "http://api.ideogram.ai", "IDEOGRAM_API_KEY": SECRET},
        ["plain http", "https"],
    ),
    "a base URL without a key": ({"IDEOGRAM_BASE_URL": "https://api.ideogram.ai"}, ["IDEOGRAM_API_KEY"]),
    "an address that is none": (
        {"PRESSROOM_DATABASE_URL": "not an address"},
        ["PRESSROOM_DATABASE_URL", "postgresql://"],
    ),
    "a database we do not speak": (
        {"PRESSROOM_DATABASE_URL": "mysql://u:pw-hidden@h/d"},
        ["PRESSROOM_DATABASE_URL", "mysql"],
    ),
    "a number that is none": ({"PRESSROOM_FLEET__BEAT_S": "soon"}, ["PRESSROOM_FLEET__BEAT_S", "number"]),
    "a name that is misspelt": ({"PRESSROOM_FLEET__BEAT": "1"}, ["PRESSROOM_FLEET__BEAT"]),
    "a store we do not know": (
        {"PRESSROOM_STORAGE_URL": "ftp://x/y"},
        ["storage address", "s3://bucket/prefix"],
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_setting_that_cannot_be_used_is_refused_by_name(shell, case):
    """Exit code 2; the setting is named, its secret is not."""
    environment, words = SETTINGS[case]

    ran = shell.pressroom("generate", "a", **environment)

    assert ran.code == 2, ran.err
    for word in words:
        assert word in ran.err
    for secret in (SECRET, "pw-hidden", "sk very"):
        assert secret not in ran.err + ran.out
    assert jobs_written(shell) == 0


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:pw-hidden@127.0.0.1:1/pressroom", ["127.0.0.1", "check that it runs"]),
        ("postgresql://me:pw-hidden@no-such-host.invalid/pressroom", ["no-such-host.invalid", "check"]),
        ("sqlite:////proc/nowhere/x.sqlite", ["/proc/nowhere/x.sqlite", "path"]),
    ],
)
def test_a_database_that_is_not_there_is_told_with_its_address(shell, url, words):
    """Exit code 3, without the password."""
    ran = shell.pressroom("generate", "a", PRESSROOM_DATABASE_URL=url)

    assert ran.code == 3, ran.err
    for word in words:
        assert word in ran.err
    assert "pw-hidden" not in ran.err
    assert "Traceback" not in ran.err


def test_a_file_that_is_no_database_is_left_alone(shell):
    """It might be somebody's data."""
    (shell.folder / "notes.sqlite").write_text(
        "my notes, not a database at all, long enough to be one\n" * 40
    )

    ran = shell.pressroom("generate", "a", PRESSROOM_DATABASE_URL=f"sqlite:///{shell.folder}/notes.sqlite")

    assert ran.code == 3
    assert "not a SQLite database" in ran.err
    assert "my notes" in (shell.folder / "notes.sqlite").read_text()


@pytest.fixture
def mounted(tmp_path):
    """A small disk of its own, remounted read-only on request."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def remount_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


def test_a_read_only_disk_is_said_before_anything_is_asked_for(shell, mounted):
    """The database is there and cannot be written."""
    home = str(mounted / "home")
    assert (
        shell.pressroom("generate", "a", PRESSROOM_HOME=home, PRESSROOM_STORAGE__SPOOL_RESERVE_BYTES="0").code
        == 0
    )
    remount_read_only(mounted)

    ran = shell.pressroom("generate", "b", PRESSROOM_HOME=home, PRESSROOM_STORAGE__SPOOL_RESERVE_BYTES="0")

    assert ran.code == 3, ran.err
    assert "read-only" in ran.err
    assert "Traceback" not in ran.err


def test_a_home_that_cannot_be_made_is_named(shell, mounted):
    """PRESSROOM_HOME on a disk that nobody may write."""
    remount_read_only(mounted)

    ran = shell.pressroom("generate", "a", PRESSROOM_HOME=str(mounted / "home"))

    assert ran.code == 3
    assert "PRESSROOM_HOME" in ran.err


def test_storage_that_cannot_be_written_is_found_before_the_purchase(shell, mounted, emulator):
    """Nothing reaches the vendor."""
    remount_read_only(mounted)
    before = emulator.control.totals().generations

    ran = shell.pressroom(
        "generate",
        "a",
        PRESSROOM_STORAGE_URL=f"file://{mounted}/images",
        IDEOGRAM_BASE_URL=emulator.base_url,
        IDEOGRAM_API_KEY="any",
    )

    assert ran.code == 3, ran.err
    assert "read-only" in ran.err
    assert emulator.control.totals().generations == before
    assert jobs_written(shell) == 0


def test_a_disk_that_is_nearly_full_stops_the_purchase(shell, mounted, emulator):
    """The reserve of the spool is kept; the message says how much must be freed."""
    before = emulator.control.totals().generations

    ran = shell.pressroom(
        "generate",
        "a",
        PRESSROOM_HOME=str(mounted / "home"),
        PRESSROOM_STORAGE__SPOOL_RESERVE_BYTES=str(20 * 1024 * 1024),
        IDEOGRAM_BASE_URL=emulator.base_url,
        IDEOGRAM_API_KEY="any",
    )

    assert ran.code == 3, ran.err
    assert "must be free" in ran.err
    assert emulator.control.totals().generations == before


def test_a_clock_five_minutes_off_is_said(shell, emulator):
    """The worker names the vendor's clock and goes on: nothing that is decided depends on it."""
    emulator.control.settings(clock_offset_s=-300)
    try:
        ran = shell.pressroom("generate", "a", IDEOGRAM_BASE_URL=emulator.base_url, IDEOGRAM_API_KEY="any")
    finally:
        emulator.control.settings(clock_offset_s=0)

    assert ran.code == 0, ran.err
    assert ran.err.count("clock.off") == 1
    assert ran.err.index("clock.off") < ran.err.index("job job_")  # before anything is asked for
    assert "set this machine's clock" in ran.err


def test_unknown_ids_are_told_apart_from_failures(shell):
    """Exit code 1 and where to look."""
    for arguments in (["jobs", "show", "job_x"], ["jobs", "cancel", "job_x"], ["assets", "show", "as_x"]):
        ran = shell.pressroom(*arguments)

        assert ran.code == 1
        assert "pressroom jobs" in ran.err


def test_resolve_wants_exactly_one_answer(shell):
    """Two decisions at once are none."""
    ran = shell.pressroom("jobs", "resolve", "job_x", "--buy-again", "--give-up")

    assert ran.code == 2
    assert "exactly one" in ran.err


def test_books_that_are_none_are_left_alone(shell):
    """The emulator says which file is in its way, on its own and embedded."""
    shell.home.mkdir()
    (shell.home / "emulator.sqlite").write_text(
        "a shopping list, long enough to be looked at as a header\n" * 9
    )

    for arguments in (["emulator", "--port", 0], ["generate", "a"]):
        ran = shell.pressroom(*arguments)

        assert ran.code in {2, 3}, ran.err
        assert "emulator.sqlite" in ran.err
        assert "Traceback" not in ran.err
    assert (shell.home / "emulator.sqlite").read_text().startswith("a shopping list")


def test_a_port_that_is_taken_is_said(shell, emulator):
    """With what to do."""
    ran = shell.pressroom("emulator", "--port", emulator.port)

    assert ran.code == 2
    assert "give another --port" in ran.err


@pytest.mark.parametrize("closed", ["2>&-", "0<&-", "0<&- 2>&-"])
def test_closed_streams_change_nothing(shell, closed):
    """A job of cron may start with streams closed; the answer still comes."""
    command = f"{Path(sys.executable).with_name('pressroom')} switch list --json {closed}"
    ran = subprocess.run(
        command, shell=True, cwd=shell.folder, env=shell.environment, stdout=subprocess.PIPE, check=False
    )

    assert ran.returncode == 0
    assert json.loads(ran.stdout)[0]["switch"] == "mode"
