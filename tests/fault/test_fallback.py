"""An outage as callers see it: a placeholder at once, and the real picture under the same job when it is over."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.place import until

from pressroom.generation.jobs import JobState
from pressroom.ideogram import ImageRequest

EAGER = {
    "breaker": {"trial_s": 0.3, "trial_max_s": 1.0, "probe_s": 0.1},
    "fleet": {"concurrency": 3, "key_trial_s": 0.2},
}
"""Settings with which an outage is over a second after the vendor is back."""

DATABASES = pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True
)


@pytest.fixture
def eager(rig):
    rig.place.values.update(EAGER)
    return rig


async def caller(app, name, fallback):
    """As `App.generate`, but for working on the job in this process."""
    job = await app.submit(ImageRequest(prompt=name, seed=7), fallback=fallback)
    return await app.wait(job, deadline_s=20, fallback=True)


def ask(rig, name, fallback="placeholder"):
    """What a caller gets."""
    return rig.place.ask(lambda app: caller(app, name, fallback))


def switch(rig, value):
    """As `pressroom switch set mode` does."""
    rig.place.ask(lambda app: app.set_switch("mode", value, reason="a test"))


def wait_until(rig, jobs, state):
    """Until every job is in that state; held ones move by themselves here."""
    until(
        lambda: set(rig.place.states(jobs)) == {state},
        f"{len(jobs)} jobs to be {state}",
        tell=lambda: (rig.place.states(jobs), rig.place.logs()),
    )


def pictures(rig, job):
    return rig.place.ask(lambda app: app.job(job)).assets


def refused_posts(rig):
    return sum(rule.acted for rule in rig.emulator.control.faults() if rule.fault == "503")


@DATABASES
def test_an_outage_gives_placeholders_and_its_end_gives_pictures(eager):
    """The vendor answers 503 until the breaker opens; later callers cost nothing, and each gets his picture once."""
    eager.start()
    eager.fault("503", "*.generate*", first=None)
    eager.fault(
        "poll_503", "*.poll", first=None
    )  # what the free probe asks: no trial while it is not answered
    lost = [ask(eager, f"a kite {number}") for number in range(5)]
    assert {view.state for view in lost} == {JobState.UNCERTAIN}
    assert all(view.placeholder is not None for view in lost)
    posts = refused_posts(eager)

    late = [ask(eager, f"a paper boat {number}") for number in range(4)]

    assert {f"{view.state}: {view.job.reason}" for view in late} == {"held: vendor"}
    assert {view.placeholder.record["fallback"] for view in late} == {True}
    assert all(not view.assets and not view.attempts for view in late)
    assert refused_posts(eager) == posts
    eager.clear_faults()
    jobs = [view.id for view in late]
    wait_until(eager, jobs, "completed")
    assert (
        eager.settled([*jobs, *(view.id for view in lost)])
        == ["completed"] * 4 + ["uncertain: lost answer"] * 5
    )
    assert [eager.bought_for(job) for job in jobs] == [1] * 4
    assert all(len(pictures(eager, job)) == 1 and pictures(eager, job)[0].fallback is False for job in jobs)


@DATABASES
def test_switched_off_and_on_again(eager):
    """Spec P5: off, the fallback is what everybody gets; on, the pictures come, those of the meantime too."""
    eager.start()
    before = ask(eager, "a heron")
    assert before.state is JobState.COMPLETED
    switch(eager, "disabled")

    asked_to_wait = ask(eager, "a crane", fallback="wait")
    failed = ask(eager, "a stork", fallback="fail")

    assert asked_to_wait.placeholder is not None
    assert (failed.state, failed.job.reason, failed.placeholder) == (JobState.FAILED, "vendor", None)
    assert len(eager.ledger()) == 1
    switch(eager, "live")
    assert ask(eager, "an ibis").state is JobState.COMPLETED
    wait_until(eager, [asked_to_wait.id], "completed")
    assert eager.settled([asked_to_wait.id, failed.id]) == ["completed", "failed: vendor"]
    assert len(eager.ledger()) == 3


def test_in_mode_fallback_who_waits_gets_his_picture_when_it_is_over(eager):
    """And who did not say has his placeholder long before."""
    eager.start()
    switch(eager, "fallback")

    async def both(app):
        patient = asyncio.create_task(caller(app, "a wren", "wait"))
        silent = await caller(app, "a robin", None)
        waited = not patient.done()
        await app.set_switch("mode", "live", reason="a test")
        return silent, waited, await patient

    silent, waited, patient = eager.place.ask(both)
    assert (silent.state, silent.placeholder is not None, waited) == (JobState.HELD, True, True)
    assert (patient.state, patient.placeholder) == (JobState.COMPLETED, None)
    wait_until(eager, [silent.id], "completed")
    assert len(eager.ledger()) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [
        "backfill.released",
        "run.accepted:2",
        *(
            pytest.param(point, marks=pytest.mark.slow)
            for point in ("jobs.dispatched", "run.purchasing", "run.stored:2")
        ),
    ],
)
def test_a_worker_killed_during_the_backfill_buys_nothing_twice(eager, point):
    """Whoever comes next goes on with it."""
    switch(eager, "fallback")
    jobs = [ask(eager, f"a lantern {number}").id for number in range(6)]
    assert eager.ledger() == []
    doomed = eager.start(kill_at=point)
    switch(eager, "live")
    eager.killed(doomed)
    eager.start()
    wait_until(eager, jobs, "completed")
    assert eager.settled(jobs) == ["completed"] * 6
    assert [eager.bought_for(job) for job in jobs] == [1] * 6


@pytest.mark.slow
def test_new_requests_come_before_the_backfill(eager):
    """While placeholders wait to be replaced, two of them are at the vendor, and the other places are for others."""
    eager.place.values["fleet"] = {"concurrency": 8}
    eager.fault("stuck_pending", "*.generate*", first=None)
    switch(eager, "fallback")
    jobs = [ask(eager, f"a lantern {number}").id for number in range(4)]
    switch(eager, "live")
    eager.start()
    eager.wait_for_accepted(2)
    [fresh] = eager.place.submit(name="a comet")
    eager.wait_for_accepted(3)
    assert eager.bought_for(fresh) == 1
    assert eager.place.states(jobs) == ["running"] * 2 + ["queued: backfill"] * 2
    eager.clear_faults()
    eager.emulator.control.release()
    wait_until(eager, [*jobs, fresh], "completed")
    assert len(eager.ledger()) == 5


def test_a_key_that_is_refused_gives_a_placeholder_and_its_job_is_released_as_ever(eager):
    """The job is held for its key, not for the vendor; the caller does not wait for a person."""
    eager.emulator.control.settings(api_keys=["a-good-key"])
    eager.start()
    served = ask(eager, "a gull")
    assert served.placeholder is not None
    assert served.assets == []
    assert served.state is JobState.HELD
    assert eager.ledger() == []
    eager.emulator.control.settings(api_keys=None)
    wait_until(eager, [served.id], "completed")
    assert len(eager.ledger()) == 1
