"""Placeholders, bulk decisions and what follows a restore, as a user types them."""

from __future__ import annotations

import pytest


@pytest.fixture
def switched_off(shell):
    """Generation is off by the switch."""
    assert shell.pressroom("switch", "set", "mode", "disabled", "--reason", "a test").code == 0
    return shell


def waiting(shell, count, *options):
    """Jobs that nobody works on."""
    return [
        shell.pressroom("generate", f"a kite {number}", "--no-wait", *options).out.strip()
        for number in range(count)
    ]


def test_a_placeholder_is_printed_as_what_it_is(switched_off, tmp_path):
    """Exit code 3, a record that says fallback, a file if one is asked for, and no image in the catalog."""
    ran = switched_off.pressroom("generate", "a kite", "--size", "1024x1024", "--placeholder-to", "there.png")

    assert ran.code == 3
    assert "placeholder  fallback      true" in ran.out
    assert "placeholder  resolution    1024x1024" in ran.out
    assert "images/" not in ran.out
    assert "held" in ran.err
    assert (tmp_path / "there.png").read_bytes().startswith(b"\x89PNG")
    [job] = switched_off.pressroom("jobs", "list", "--json").json
    assert (job["state"], job["reason"], job["assets"]) == ("held", "vendor", [])
    assert job["placeholder"]["seed"] == 0
    assert "placeholder served" in switched_off.pressroom("jobs", "show", job["id"]).out


def test_programs_get_the_record_with_the_job(switched_off):
    """The same shape that `jobs show --json` has."""
    ran = switched_off.pressroom("generate", "a kite", "--fallback", "placeholder", "--json")

    assert ran.code == 3
    assert ran.json == switched_off.pressroom("jobs", "show", ran.json["id"], "--json").json
    assert {"fallback": True, "seed": 0, "is_image_safe": True}.items() <= ran.json["placeholder"].items()


def test_a_request_that_is_to_fail_fails(switched_off):
    """Exit code 1, nothing bought, and a retry is possible."""
    ran = switched_off.pressroom("generate", "a kite", "--fallback", "fail", "--json")

    assert (ran.code, ran.json["state"], ran.json["reason"], ran.json["cost_usd"]) == (
        1,
        "failed",
        "vendor",
        0,
    )
    assert "nothing was sent" in ran.err
    assert switched_off.pressroom("jobs", "retry", ran.json["id"]).code == 0


def test_a_close_match_is_refused_in_plain_words(shell):
    """Before anything is written."""
    ran = shell.pressroom("generate", "a kite", "--fallback", "close-match")

    assert (ran.code, ran.out) == (2, "")
    assert "wait, placeholder, fail; a close match from the catalog is not offered yet" in ran.err


def test_a_placeholder_that_cannot_be_written_is_said_so(switched_off):
    """The job is there all the same."""
    ran = switched_off.pressroom("generate", "a kite", "--placeholder-to", "/dev/full")

    assert ran.code == 2
    assert "cannot be written" in ran.err
    assert len(switched_off.pressroom("jobs", "list", "--json").json) == 1


def test_many_are_cancelled_by_what_they_have_in_common(shell):
    """Where nobody can be asked, only with --yes; the others stay."""
    jobs = waiting(shell, 2, "--project", "shop")
    [kept] = waiting(shell, 1)

    refused = shell.pressroom("jobs", "cancel", "--state", "queued", "--project", "shop")
    assert refused.code == 2
    assert "2 jobs for emulator will be cancelled; say --yes" in refused.err

    ran = shell.pressroom("jobs", "cancel", "--state", "queued", "--project", "shop", "--yes", "--json")
    assert (ran.code, ran.json) == (0, {"decision": "cancel", "decided": jobs, "refused": []})
    left = shell.pressroom("jobs", "list", "--state", "queued", "--json").json
    assert [job["id"] for job in left] == [kept]


def test_one_refusal_is_told_and_the_others_are_carried_out(shell):
    """Exit code 1."""
    [job] = waiting(shell, 1)

    ran = shell.pressroom("jobs", "cancel", "job_unknown", job, "--json")

    assert ran.code == 1
    assert (ran.json["decided"], ran.json["refused"][0]["job"]) == ([job], "job_unknown")
    assert "no job job_unknown" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cancel"], "name jobs by their ids, or say with options which ones"),
        (["cancel", "job_a", "--state", "queued"], "not both"),
        (["cancel", "--state", "running"], "it is one of queued, held"),
        (["cancel", "--priority", "urgent"], "it is one of interactive, batch"),
        (["retry", "--reason", "nonsense"], "it is one of key, credits"),
        (["resolve", "job_a"], "exactly one of"),
        (["resolve", "job_a", "job_b", "--adopt", "gen"], "a generation belongs to one job"),
        (["resolve", "--all-uncertain", "--adopt", "gen"], "a generation belongs to one job"),
        (["resolve", "job_a", "--older-than", "1h", "--give-up"], "it narrows --all-uncertain"),
        (["resolve", "--all-uncertain", "--older-than", "soon", "--give-up"], "write 90s, 30m, 2h or 7d"),
    ],
)
def test_a_wrong_combination_is_wrong_usage(shell, arguments, words):
    """Nothing is decided, and the message says what is possible."""
    ran = shell.pressroom("jobs", *arguments)

    assert ran.code == 2
    assert words in " ".join(ran.err.split())


def test_nothing_to_resolve_is_no_error(shell):
    """As in a script that runs every hour."""
    ran = shell.pressroom("jobs", "resolve", "--all-uncertain", "--older-than", "1h", "--give-up", "--json")

    assert (ran.code, ran.json["decided"]) == (0, [])


def test_after_a_restore_jobs_are_held_and_let_go(shell):
    """Only with --yes where nobody can be asked; then released by their reason."""
    jobs = waiting(shell, 2)

    assert shell.pressroom("db", "restored").code == 2
    ran = shell.pressroom("db", "restored", "--yes", "--json")
    assert (ran.code, ran.json) == (0, {"runs": 0, "jobs": {"emulator": 2}})
    [one, _] = shell.pressroom("jobs", "list", "--json").json
    assert (one["state"], one["reason"]) == ("held", "restored")
    assert "restored from a backup" in one["message"]
    [line] = [
        line for line in shell.pressroom("switch", "audit", "--json").json if line["action"] == "db.restored"
    ]
    assert line["after"] == "2"

    ran = shell.pressroom("jobs", "retry", "--reason", "restored", "--yes", "--json")
    assert (ran.code, ran.json["decided"]) == (0, jobs)


def test_a_waiting_job_says_what_it_waits_for(switched_off):
    """And who goes before it, until when."""
    [job] = waiting(switched_off, 1, "--priority", "batch", "--buy-before", "30m")
    shown = switched_off.pressroom("jobs", "show", job)

    assert "queued, 0 ahead, waiting: the switch mode is disabled" in shown.out
    assert "priority    batch" in shown.out
    assert "buy_before" in shown.out
    assert switched_off.pressroom("jobs", "show", job, "--json").json["priority"] == "batch"
