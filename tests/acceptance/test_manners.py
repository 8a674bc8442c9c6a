"""What commands say about what they did, and about what was meant otherwise: one line, with what to do."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("pressroom")


def test_a_variable_that_changes_the_fleet_says_so_once(shell):
    """Which variable, which switch, from what to what, and how to undo it; nothing when nothing changed."""
    first = shell.pressroom("switch", "list", IDEOGRAM_FALLBACK="true")
    again = shell.pressroom("switch", "list", IDEOGRAM_FALLBACK="true")
    same = shell.pressroom("switch", "list", RATE_LIMIT_MODE="queue")

    [line] = first.err.splitlines()
    for words in ("IDEOGRAM_FALLBACK", "mode", "live", "fallback", "pressroom switch set mode live"):
        assert words in line
    assert (again.err, same.err) == ("", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments",
    ["jobs list", "switch list --json", "spend report", "worker list", "db upgrade", "--help", "--version"],
)
def test_output_that_cannot_be_written_is_one_line(shell, arguments, unbuffered):
    """Exit code 1, no traceback, whenever the stream notices."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ran = subprocess.run(
            [COMMAND, *arguments.split()],
            cwd=shell.folder,
            env={**shell.environment, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == "pressroom: the output cannot be written (No space left on device)"
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_a_life_is_in_the_audit_log(shell):
    """Until when it acts, as the answer said it."""
    shell.pressroom("switch", "set", "batch", "paused", "--for", "2h")
    [mode] = [one for one in shell.pressroom("switch", "list", "--json").json if one["switch"] == "batch"]

    [line] = shell.pressroom("switch", "audit", "--json").json
    assert line["after"] == f"paused until {mode['expires_at']}"
    assert mode["expires_at"].endswith("Z")
    assert line["at"].endswith("Z")


def test_the_audit_table_cuts_what_is_long(shell):
    """`--json` has it whole."""
    reason = "because " * 40
    shell.pressroom("switch", "set", "batch", "paused", "--reason", reason)

    shown = shell.pressroom("switch", "audit").out
    assert "…" in shown
    assert max(map(len, shown.splitlines())) < 200
    [line] = shell.pressroom("switch", "audit", "--json").json
    assert line["reason"] == reason


@pytest.mark.parametrize(
    "arguments",
    [("spend", "budget", "day", "-5"), ("spend", "topup", "-0.50"), ("switch", "set", "concurrency", "-1")],
)
def test_an_amount_below_zero_is_told_as_such(shell, arguments):
    """It is no option that nobody knows; a misspelt option still is one."""
    told = shell.pressroom(*arguments)
    assert told.code == 2
    assert f"{arguments[-1]} is below zero; amounts are positive" in told.err

    misspelt = shell.pressroom(*arguments[:-1], "1", "--resaon", "x")
    assert (misspelt.code, "No such option: --resaon" in misspelt.err) == (2, True)


def test_a_misspelt_variable_of_the_vendors_name_is_pointed_out(shell):
    """Only close matches."""
    told = shell.pressroom("switch", "list", IDEOGRAM_CONCURENCY="3", IDEOGRAM_API_URL="x")

    assert told.err.splitlines() == [
        "IDEOGRAM_CONCURENCY is not a setting; did you mean IDEOGRAM_CONCURRENCY?"
    ]


def test_the_emulator_says_where_it_listens(shell):
    """And where its books are, once it answers."""
    with shell.popen("emulator", "--port", "0") as running:
        line = running.stderr.readline()
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=20)

    assert re.search(r"answers at http://127\.0\.0\.1:\d+, books in .*emulator\.sqlite", line)


def test_jobs_are_listed_with_whose_they_are_and_chosen_by_it(shell):
    """Project, priority and age; `--project` and `--reason` choose."""
    shell.pressroom("generate", "a", "--project", "shop", "--priority", "batch", "--no-wait")
    shell.pressroom("generate", "b", "--no-wait")

    head, line = shell.pressroom("jobs", "list", "--project", "shop").out.splitlines()
    assert head.split()[4:7] == ["project", "priority", "age"]
    assert re.search(r" shop +batch +\d+s ", line)
    assert shell.pressroom("jobs", "list", "--reason", "credits", "--json").json == []
    assert len(shell.pressroom("jobs", "list", "--json").json) == 2


def test_one_job_is_told_as_one(shell):
    """Not as `1 jobs are`."""
    shell.pressroom("generate", "a", "--no-wait")
    refused = shell.pressroom("jobs", "cancel", "--state", "queued")
    done = shell.pressroom("jobs", "cancel", "--state", "queued", "--yes")
    none = shell.pressroom("jobs", "cancel", "--state", "queued", "--yes")

    assert "1 job for emulator will be cancelled" in refused.err
    assert "1 job is cancelled" in done.err
    assert "0 jobs are cancelled" in none.err


def test_projects_that_were_never_set_are_listed_once_they_have_jobs(shell):
    """With what they get."""
    shell.pressroom("project", "set", "shop", "--weight", "3")
    shell.pressroom("generate", "a", "--project", "press", "--no-wait")

    found = {one["name"]: one["weight"] for one in shell.pressroom("project", "list", "--json").json}
    assert found == {"press": 1.0, "shop": 3.0}


def test_a_reconciliation_says_its_window_and_that_it_cannot_tell_yet(shell):
    """What was just bought is in no report for sure; money in dollars, times in UTC."""
    assert shell.pressroom("generate", "a").code == 0

    told = shell.pressroom("spend", "reconcile", "--json")
    assert (told.code, told.json["verdict"]) == (4, "cannot tell")
    assert all(told.json[name].endswith(":00:00Z") for name in ("since", "until"))
    assert "micros" not in told.out
    assert told.json["hours"][-1]["bought_usd"] + told.json["hours"][-2]["bought_usd"] > 0

    shown = shell.pressroom("spend", "reconcile")
    assert shown.code == 4
    assert f"from {told.json['since']} to {told.json['until']}" in shown.err
    assert "too fresh" in shown.err
