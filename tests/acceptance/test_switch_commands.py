"""`pressroom switch …` and `pressroom breaker …` as a person types them."""

from __future__ import annotations

import pytest

DEFAULTS = [("mode", "live"), ("concurrency", "8"), ("batch", "running"), ("rate_limit_mode", "queue")]


def listed(shell):
    return [(one["switch"], one["value"]) for one in shell.pressroom("switch", "list", "--json").json]


def test_a_switch_from_its_default_and_back(shell):
    """With who, why and until when, for people and for programs, and in the audit log."""
    assert listed(shell) == DEFAULTS
    told = shell.pressroom("switch", "set", "mode", "fallback", "--for", "2h", "--reason", "an outage")
    assert told.code == 0
    assert "mode is fallback until 20" in told.err

    shown = shell.pressroom("switch", "list")
    assert "an outage" in shown.out
    [mode, *_] = shell.pressroom("switch", "list", "--json").json
    assert (mode["value"], mode["reason"]) == ("fallback", "an outage")
    assert mode["set_by"]
    assert mode["expires_at"] > mode["set_at"]

    assert shell.pressroom("switch", "set", "mode", "default", "--json").json["value"] == "live"
    assert listed(shell) == DEFAULTS
    log = shell.pressroom("switch", "audit", "--json").json
    assert [(line["before"], line["after"]) for line in log] == [
        ("fallback", "default"),
        ("live", f"fallback until {mode['expires_at']}"),
    ]
    assert shell.pressroom("switch", "audit", "--limit", "1").out.count("switch.set") == 1


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (("switch", "set", "mode", "off"), "live, fallback or disabled"),
        (("switch", "set", "concurrency", "11"), "1 to 10"),
        (("switch", "set", "colour", "red"), "rate_limit_mode"),
        (("switch", "set", "mode", "live", "--for", "soon"), "--for"),
        (("switch", "set", "mode", "live", "--for", "0"), "more than no time"),
        (("switch", "set", "mode", "default", "--for", "3h"), "default has no end: leave it out"),
        (("switch", "audit", "--limit", "0"), "--limit"),
    ],
)
def test_what_cannot_be_set_is_told_with_what_can(shell, wrong, right):
    """Exit code 2, and nothing is changed."""
    told = shell.pressroom(*wrong)

    assert told.code == 2
    assert right in told.err
    assert listed(shell) == DEFAULTS


def test_a_disabled_fleet_buys_nothing_and_goes_on_when_it_is_live_again(shell):
    """Spec P5: switched off, seen to be off, switched on, seen to be on."""
    assert shell.pressroom("switch", "set", "mode", "disabled").code == 0
    waiting = shell.pressroom("generate", "a heron", "--no-wait", "--json").json
    served = shell.pressroom("generate", "a heron", "--json")
    assert (served.code, served.json["placeholder"]["fallback"]) == (3, True)

    assert shell.pressroom("switch", "set", "mode", "live").code == 0
    bought = shell.pressroom("generate", "a stork", "--json")
    assert (bought.code, bought.json["state"]) == (0, "completed")
    states = {job["id"]: job["state"] for job in shell.pressroom("jobs", "list", "--json").json}
    assert states[waiting["id"]] in {"completed", "running", "queued"}


def test_nothing_is_stopped_in_a_fleet_that_never_failed(shell):
    """And no trial can be ordered."""
    assert shell.pressroom("breaker", "list", "--json").json == []
    assert "nothing is stopped" in shell.pressroom("breaker", "list").err
    told = shell.pressroom("breaker", "try", "v2/generate")
    assert (told.code, "nothing waits for one" in told.err) == (1, True)
