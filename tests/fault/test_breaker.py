"""Outages and refusals of the account, with real workers: purchases stop, try again by themselves, and buy nothing twice."""

from __future__ import annotations

import time

import pytest
from tests.support.place import until

POSTS = "*.generate*"


def databases(quick):
    """Both kinds of database, the other one than `quick` among the slow tests."""
    kinds = ["sqlite", "postgres"]
    marked = [kind if kind == quick else pytest.param(kind, marks=pytest.mark.slow) for kind in kinds]
    return pytest.mark.parametrize("kind", marked, indirect=True)


LOOKS_S = 1.0
"""Seconds in which a worker looks for work some twenty times, and several trials would be due."""


def breaker(rig):
    [row] = rig.place.rows("SELECT state, failures, uncertain FROM breakers")
    return row["state"], row["failures"], row["uncertain"]


def breaker_is(rig, state):
    return [row["state"] for row in rig.place.rows("SELECT state FROM breakers")] == [state]


def acted(rig, rule):
    return {found.rule_id: found.acted for found in rig.emulator.control.faults()}[rule]


def switch(rig, name, value):
    rig.place.ask(lambda app: app.set_switch(name, value, who="ada", reason="a test"))


def switches(rig):
    return {one.name: (one.value, one.set_by) for one in rig.place.ask(lambda app: app.switches())}


@databases("sqlite")
def test_an_outage_stops_purchases_until_a_trial_is_bought(rig):
    """Nothing is sent while the vendor does not even answer the free probe; then everything that waited is bought, once."""
    rig.place.values = {"breaker": {"failures": 3}, "fleet": {"concurrency": 2}}
    down = rig.fault("503", POSTS, first=None)
    rig.fault("poll_503", "*.poll", first=None)
    jobs = rig.place.submit(12)
    rig.start()
    rig.start()
    until(lambda: breaker_is(rig, "open"), "the breaker to open")
    until(
        lambda: not rig.place.rows("SELECT 1 FROM attempts WHERE state IN ('reserved', 'sending')"), "quiet"
    )
    sent = acted(rig, down)
    assert sent in {3, 4}  # a third failure, and what was on its way beside it
    time.sleep(LOOKS_S)
    assert acted(rig, down) == sent
    assert rig.ledger() == []

    rig.clear_faults()
    states = rig.settled(jobs)
    assert states.count("uncertain: lost answer") == sent
    assert states.count("completed") == len(jobs) - sent == len(rig.ledger())
    until(lambda: breaker_is(rig, "closed"), "the breaker to close")
    kinds = [row["kind"] for row in rig.place.rows("SELECT kind FROM notices ORDER BY id")]
    assert kinds == ["breaker.opened", "breaker.closed"]


@pytest.mark.slow
@databases("postgres")
def test_trials_become_rare_where_each_may_have_cost_money(rig):
    """The vendor answers the probe and loses purchases: a few trials, then one an hour, or by a person's order."""
    rig.place.values = {
        "breaker": {"failures": 2, "uncertain_trials": 2, "uncertain_trial_s": 3600},
        "fleet": {"concurrency": 1},
    }
    lost = rig.fault("503_after", POSTS, first=None)
    jobs = rig.place.submit(8)
    worker = rig.start()
    until(lambda: acted(rig, lost) >= 4, "two failures and two trials")
    until(lambda: breaker(rig)[::2] == ("open", 2), "the second trial to end")
    time.sleep(LOOKS_S)
    assert acted(rig, lost) == 4
    assert worker.count("job.trial") == 2

    rig.place.ask(lambda app: app.order_trial("v2/generate", who="ada"))
    until(lambda: breaker(rig)[::2] == ("open", 3), "the ordered trial to end")
    assert acted(rig, lost) == 5
    rig.clear_faults()
    rig.place.ask(lambda app: app.order_trial("v2/generate", who="ada"))
    states = rig.settled(jobs)
    assert (states.count("uncertain: lost answer"), states.count("completed")) == (5, 3)


@pytest.mark.slow
def test_a_worker_that_dies_during_a_trial_leaves_the_breaker_able_to_try_again(rig):
    """Its trial ends as uncertain; a later one, of another worker, closes it."""
    rig.place.values = {"breaker": {"failures": 2}, "fleet": {"concurrency": 1}}
    rig.fault("503", POSTS, first=2)
    jobs = rig.place.submit(6)
    doomed = rig.start(kill_at="run.sending:3")
    rig.killed(doomed)
    assert breaker(rig)[0] == "trying"

    rig.start()
    states = rig.settled(jobs)
    assert (states.count("uncertain: lost answer"), states.count("completed")) == (3, 3)
    assert breaker(rig)[0] == "closed"


@databases("postgres")
def test_missing_credits_cost_one_refusal_until_there_is_credit_again(rig):
    """Batches are paused by pressroom, the others wait untouched, and a top-up lets everything go on."""
    rig.place.values = {"fleet": {"concurrency": 1, "refused_trial_s": 3600}}
    empty = rig.fault("402_insufficient_funds", POSTS, first=None)
    jobs = rig.place.submit(6)
    rig.start()
    rig.start()
    until(lambda: rig.place.states(jobs)[0] == "held: credits", "the refusal")
    assert switches(rig)["batch"] == ("paused", "pressroom")
    time.sleep(LOOKS_S)
    assert acted(rig, empty) == 1
    assert rig.place.states(jobs) == ["held: credits", *["queued"] * 5]

    rig.clear_faults()
    rig.place.ask(lambda app: app.topup("10"))
    assert rig.settled(jobs) == ["completed"] * 6
    assert switches(rig)["batch"] == ("running", None)


@databases("sqlite")
def test_credits_that_come_back_by_themselves_are_found_by_a_trial(rig):
    """Nobody says that the account was topped up, every job is held, and all of them are bought in the end."""
    rig.place.values = {"fleet": {"concurrency": 1, "refused_trial_s": 0.2}}
    rig.fault("402_insufficient_funds", POSTS, first=3)
    jobs = rig.place.submit(4)
    rig.start()

    until(lambda: rig.place.states(jobs) == ["completed"] * 4, "all of them", tell=rig.place.logs)
    assert rig.settled(jobs) == ["completed"] * 4
    assert rig.place.rows("SELECT 1 FROM stops") == []


@pytest.mark.slow
@databases("postgres")
def test_a_switch_set_in_one_process_acts_in_the_others(rig):
    """Nothing new is bought; what is bought already comes home; switched back, everything goes on."""
    rig.fault("stuck_pending", POSTS, first=1, params={"seconds": 1.5})
    [running] = rig.place.submit(name="a slow boat")
    rig.start()
    rig.start()
    rig.wait_for_accepted()
    switch(rig, "mode", "disabled")
    waiting = rig.place.submit(5)
    assert rig.place.wait_until_settled([running]) == ["completed"]
    time.sleep(LOOKS_S)
    assert rig.place.states(waiting) == ["queued"] * 5
    assert len(rig.ledger()) == 1

    switch(rig, "mode", "live")
    assert rig.settled([running, *waiting]) == ["completed"] * 6


@pytest.mark.slow
def test_a_lower_concurrency_acts_on_the_whole_fleet(rig):
    """Two workers that had eight places have one between them, from the next purchase on."""
    rig.start()
    rig.start()
    switch(rig, "concurrency", "1")
    rig.emulator.control.settings(time_scale=0.01)

    assert rig.settled(rig.place.submit(8)) == ["completed"] * 8
    assert rig.emulator.control.totals().in_flight.high_water == 1
