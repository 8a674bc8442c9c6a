"""`pressroom spend …` as a person types it."""

from __future__ import annotations

import json


def test_money_from_the_first_picture_to_the_report(shell):
    """A cap holds a job, a higher one lets it go on, and the report says what the money brought."""
    assert shell.pressroom("generate", "a heron", "--tag", "birds").code == 0
    assert shell.pressroom("spend", "budget", "day", "0.06", "--reason", "a quiet day").code == 0
    held = shell.pressroom("generate", "two herons", "--tag", "birds", "--json")
    assert (held.code, held.json["state"], held.json["reason"]) == (3, "held", "budget")
    assert "`pressroom spend budget day AMOUNT`" in held.err

    [budget] = shell.pressroom("spend", "budget", "--json").json
    assert (budget["cap_usd"], budget["spent_usd"], budget["left_usd"]) == (0.06, 0.06, 0.0)
    raised = shell.pressroom("spend", "budget", "day", "25", "--json").json
    assert raised["left_usd"] == 24.94
    [job] = shell.pressroom("jobs", "list", "--state", "queued", "--json").json
    assert job["id"] == held.json["id"]
    assert shell.pressroom("generate", "three herons").code == 0  # and works on what waits

    report = shell.pressroom("spend", "report", "--by", "tag", "--since", "7d", "--json").json
    total = report["total"]
    assert {row["tag"] for row in report["rows"]} == {"birds", None}
    assert total["spent_usd"] == round(0.06 * total["images"], 6)
    assert total["cost_per_image_usd"] == 0.06
    checked = shell.pressroom("spend", "check")
    assert (checked.code, checked.out) == (0, "the books agree\n")


def test_budgets_are_listed_for_people(shell):
    """With what is left, and who set them."""
    for words, amount in (("total", "none"), ("project:my shop", "100"), ("day", "2.5")):
        assert shell.pressroom("spend", "budget", words, amount).code == 0
    listed = shell.pressroom("spend", "budget")

    rows = [line.split("  ") for line in listed.out.splitlines()]
    assert [row[0] for row in rows] == ["budget", "day", "project:my shop", "total"]
    assert "$2.50" in rows[1]
    assert "none" in [cell.strip() for cell in rows[3]]


def test_a_stated_balance_is_an_estimate(shell):
    """Top-ups add to it."""
    stated = shell.pressroom("spend", "topup", "--balance", "12.50")
    added = shell.pressroom("spend", "topup", "0.000001", "--json").json

    assert "estimated balance $12.50" in stated.err
    assert added["estimated_usd"] == 12.500001


def test_wrong_words_are_told_with_what_is_right(shell):
    """Exit code 2, and nothing is set."""
    for wrong, right in (
        (("spend", "budget", "week", "5"), "project:NAME"),
        (("spend", "budget", "day"), "AMOUNT"),
        (("spend", "budget", "key:zzz", "5"), "12 hex digits"),
        (("spend", "report", "--since", "yesterday"), "--since"),
        (("spend", "report", "--since", "999999999d"), "before the calendar"),
        (("spend", "report", "--since", "2026-13-45"), "a day such as"),
    ):
        ran = shell.pressroom(*wrong)
        assert (ran.code, right in ran.err) == (2, True), ran.err
    assert json.loads(shell.pressroom("spend", "budget", "--json").out) == []
