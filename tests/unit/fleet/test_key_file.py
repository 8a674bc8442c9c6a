"""The key's file, as mounted secrets change it, beside an emulator that knows which keys are good."""

from __future__ import annotations

import logging
import os

import pytest
from tests.support.emulator import emulator_thread

from pressroom.fleet.key_file import KeyFile
from pressroom.fleet.keys import Keys, fingerprint_of
from pressroom.ideogram import Ideogram, Timeouts
from pressroom.settings import Settings

OLD, NEW = "old-secret-key", "new-secret-key"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with emulator_thread(tmp_path_factory.mktemp("emulator") / "books.sqlite", time_scale=0) as emulator:
        yield emulator


@pytest.fixture
def logs(caplog):
    """Events of the product, as they are logged."""
    caplog.set_level(logging.INFO, logger="pressroom.fleet")
    return lambda: [one.msg for one in caplog.records if isinstance(one.msg, dict)]


class Case:
    """A key file with the old key in it, and what watches it."""

    def __init__(self, base_url, path):
        self.path = path
        self.refused = []
        self.settings = Settings.load(ideogram_api_key_file=path)
        timeouts = Timeouts(connect=0.5, pool=0.5, poll=0.5)
        self.keys = Keys(lambda key: Ideogram(key, base_url=base_url, timeouts=timeouts), OLD, rest_s=1.0)
        self.file = KeyFile(self.keys, self.settings.api_key, on_refused=self._on_refused, ask_again_s=1000.0)

    async def _on_refused(self, fingerprint):
        self.refused.append(fingerprint)

    @property
    def current(self):
        return self.keys.current().fingerprint


@pytest.fixture
async def case(running, tmp_path):
    running.control.reset()
    running.control.settings(api_keys=[OLD, NEW])
    path = tmp_path / "key"
    path.write_text(OLD + "\n")
    made = Case(running.base_url, path)
    yield made
    await made.keys.aclose()


async def test_a_new_key_is_used_once_the_vendor_has_accepted_it(case, logs):
    """The log names both by their fingerprints, never a key."""
    assert not await case.file.look()
    case.path.write_text(NEW)
    assert await case.file.look()
    assert case.current == fingerprint_of(NEW)
    [event] = [one for one in logs() if one["event"] == "key.changed"]
    assert (fingerprint_of(OLD), fingerprint_of(NEW)) == (event["before"], event["now"])
    assert "secret" not in str(logs())
    assert not await case.file.look()


async def test_a_mounted_secret_is_seen_to_swap_its_link(case, tmp_path):
    """Kubernetes swaps a symbolic link to a folder; the times of both files may be the same."""
    case.path.unlink()
    for name, key in (("one", OLD), ("two", NEW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(key)
        os.utime(tmp_path / name / "key", (1_700_000_000, 1_700_000_000))
    link = tmp_path / "data"
    link.symlink_to("one")
    case.path.symlink_to("data/key")
    assert not await case.file.look()
    (tmp_path / "swap").symlink_to("two")
    (tmp_path / "swap").rename(link)
    assert await case.file.look()
    assert case.current == fingerprint_of(NEW)


def _empty(path):
    path.write_text("")


def _missing(path):
    path.unlink()


def _folder(path):
    path.unlink()
    path.mkdir()


def _no_text(path):
    path.write_bytes(b"\xff\xfe\x00")


def _two_lines(path):
    path.write_text(f"{NEW}\n{NEW}\n")


def _denied(path):
    if (
        os.geteuid() == 0
    ):  # nothing is denied to root but by the kind of file: a loop of links is refused to everybody
        path.unlink()
        path.symlink_to(path.name)
    else:
        path.chmod(0)


@pytest.mark.parametrize("spoil", [_empty, _missing, _folder, _no_text, _two_lines, _denied])
async def test_a_file_that_cannot_be_read_leaves_the_key_in_use(case, logs, spoil):
    """It is told once, and the next good content is taken."""
    spoil(case.path)
    assert [await case.file.look() for _ in range(3)] == [False, False, False]
    assert [event["event"] for event in logs()] == ["key.unreadable"]
    assert "secret" not in str(logs())
    assert case.current == fingerprint_of(OLD)
    if case.path.is_dir() and not case.path.is_symlink():
        case.path.rmdir()
    elif case.path.is_symlink() or case.path.exists():
        case.path.unlink()
    case.path.write_text(NEW)
    assert await case.file.look()


async def test_a_file_that_is_half_written_alarms_nobody(case):
    """A beginning of the key is refused by the vendor; at the next look the whole of it is there."""
    case.path.write_text(NEW[:5])
    assert not await case.file.look()
    case.path.write_text(NEW)
    assert await case.file.look()
    assert ([], fingerprint_of(NEW)) == (case.refused, case.current)


async def test_a_refused_key_is_told_once_and_never_used(case, logs):
    """The one before it stays in use; after a while the vendor would be asked again, not at each look."""
    case.path.write_text("wrong-secret-key")
    assert [await case.file.look() for _ in range(4)] == [False] * 4
    wrong = fingerprint_of("wrong-secret-key")
    assert ([wrong], fingerprint_of(OLD)) == (case.refused, case.current)
    assert [event["event"] for event in logs()] == ["key.refused"]
    assert "secret" not in str(logs())


async def test_a_key_that_cannot_be_proven_waits_for_the_vendor(case, running):
    """While the vendor fails nobody knows: the old one stays, and the next look asks again."""
    rule = running.control.fault("poll_503")
    case.path.write_text(NEW)
    assert not await case.file.look()
    assert not await case.file.look()
    running.control.clear_faults(rule)
    assert await case.file.look()
    assert case.refused == []


async def test_a_rotation_that_is_taken_back_is_taken_back(case):
    """The old key is proven anew and used again."""
    case.path.write_text(NEW)
    assert await case.file.look()
    case.path.write_text(OLD)
    assert await case.file.look()
    assert case.current == fingerprint_of(OLD)
