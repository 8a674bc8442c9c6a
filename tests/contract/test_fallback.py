"""What a caller gets while the vendor cannot be asked, and how the real picture is bought later; on both databases."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from tests.contract.test_dispatch import dispatcher_of
from tests.support.rows import add_attempt, add_job, asset

from pressroom.access.projects import Project, put
from pressroom.catalog import assets as catalog
from pressroom.database import now_ms
from pressroom.errors import InvalidRequest
from pressroom.fleet import breakers, stops, trials
from pressroom.fleet.gate import GateCache, Mode
from pressroom.fleet.switches import set_switch
from pressroom.generation import jobs
from pressroom.generation.fallback import Choice, Fallback, choice_named, choose
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.generation.tables import jobs as job_rows
from pressroom.generation.upkeep.backfill import READY_FOR_EACH, Backfill
from pressroom.generation.views import views_of
from pressroom.settings import FallbackSettings, Settings
from pressroom.spend.attempts import AttemptState

UPSTREAM = "emulator"
FAMILY = "v2/generate"


@pytest.fixture
def fallback(database, base_settings):
    return Fallback(database, settings=base_settings.fallback, gates=GateCache(UPSTREAM, base_settings))


def backfill_of(database, settings, **values):
    return Backfill(
        database, UPSTREAM, settings=FallbackSettings(**values), gates=GateCache(UPSTREAM, settings)
    )


async def add(database, attempt=None, **columns):
    async with database.write() as connection:
        job_id = await add_job(connection, **columns)
        if attempt is not None:
            await add_attempt(connection, job_id, state=attempt, slot=None)
        return job_id


async def view(database, job_id):
    async with database.read() as connection:
        return (await views_of(connection, [await jobs.get_one_or_none(connection, job_id)]))[0]


async def state(database, job_id):
    found = (await view(database, job_id)).job
    return f"{found.state}: {found.reason}".removesuffix(": None")


async def switch(database, value):
    async with database.write() as connection:
        await set_switch(connection, UPSTREAM, "mode", value, who="somebody", reason="a test")


async def open_breaker(database, settings):
    """The vendor has failed often enough."""
    for _ in range(settings.breaker.failures):
        async with database.write() as connection:
            await breakers.failed(connection, UPSTREAM, FAMILY, message="503", settings=settings.breaker)


async def trial_is_due(database):
    async with database.write() as connection:
        assert await trials.order_trial(connection, UPSTREAM, FAMILY, who="somebody")


async def close_breaker(database, settings):
    """A trial has been bought."""
    await trial_is_due(database)
    async with database.write() as connection:
        await trials.trial_began(connection, UPSTREAM, FAMILY, attempt_id="at_trial")
        await trials.trial_ended(
            connection,
            UPSTREAM,
            FAMILY,
            attempt_id="at_trial",
            verdict=trials.Verdict.BOUGHT,
            settings=settings.breaker,
        )


async def account_refused(database):
    async with database.write() as connection:
        await stops.stop(connection, UPSTREAM, stops.QUOTA, trial_in_s=600, message="402")


TROUBLES = {
    "the switch": lambda database, _: switch(database, "fallback"),
    "the account": lambda database, _: account_refused(database),
    "the breaker": open_breaker,
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_placeholder_is_served_at_once_and_the_job_waits_for_the_backfill(
    database, base_settings, fallback, trouble
):
    """Held for the vendor, with the time written down; no asset, nothing completed, no attempt."""
    await TROUBLES[trouble](database, base_settings)
    job_id = await add(database, fallback="placeholder")

    answer = await fallback.answer(await view(database, job_id))

    assert answer is not None
    assert answer.placeholder is not None
    assert answer.placeholder.image.startswith(b"\x89PNG")
    assert {"fallback": True, "seed": 0, "is_image_safe": True, "resolution": "2048x2048"}.items() <= (
        answer.placeholder.record.items()
    )
    assert await state(database, job_id) == "held: vendor"
    now = await view(database, job_id)
    assert (now.assets, now.attempts, now.cost_micros) == ([], [], 0)
    assert now.to_json()["placeholder"] == answer.placeholder.record
    assert "image" not in answer.to_json()["placeholder"]


async def test_while_the_vendor_can_be_asked_everybody_waits(database, fallback):
    """The choice is one for trouble."""
    job_id = await add(database, fallback="placeholder")
    assert await fallback.answer(await view(database, job_id)) is None
    assert await state(database, job_id) == "queued"


@pytest.mark.parametrize(
    "held", [JobState.RUNNING, JobState.QUEUED], ids=["at the vendor", "continues its attempt"]
)
async def test_what_was_sent_comes_home_in_every_mode(database, fallback, held):
    """The switch concerns what is to be bought."""
    await switch(database, "disabled")
    job_id = await add(
        database,
        AttemptState.ACCEPTED,
        state=held,
        continuing=held is JobState.QUEUED,
        fallback="placeholder",
    )
    before = await view(database, job_id)
    assert await fallback.answer(before) is None
    assert before == await view(database, job_id)


@pytest.mark.parametrize("reason", sorted(set(HeldFor) - {HeldFor.RESTORED}))
async def test_a_held_job_keeps_its_state_under_a_placeholder(database, fallback, reason):
    """It is released as any other of its kind."""
    job_id = await add(database, state=JobState.HELD, reason=reason, fallback="placeholder")
    answer = await fallback.answer(await view(database, job_id))
    assert answer is not None
    assert answer.placeholder is not None
    assert await state(database, job_id) == f"held: {reason}"


async def test_a_restored_job_waits_for_a_person_and_not_for_a_placeholder(database, fallback):
    """Its caller is told as before."""
    job_id = await add(database, state=JobState.HELD, reason=HeldFor.RESTORED, fallback="placeholder")
    answer = await fallback.answer(await view(database, job_id))
    assert answer is not None
    assert answer.placeholder is None


async def test_an_uncertain_job_stays_so_under_a_placeholder(database, fallback):
    """Nobody knows whether it was bought, so nothing is decided."""
    job_id = await add(
        database,
        AttemptState.UNCERTAIN,
        state=JobState.UNCERTAIN,
        reason="lost answer",
        fallback="placeholder",
    )
    answer = await fallback.answer(await view(database, job_id))
    assert answer is not None
    assert answer.placeholder is not None
    assert await state(database, job_id) == "uncertain: lost answer"


async def test_a_second_look_gets_the_same_placeholder(database, fallback):
    """Served once: the time of the first stays, the picture is the same."""
    await switch(database, "fallback")
    job_id = await add(database, fallback="placeholder")
    first = await fallback.answer(await view(database, job_id))
    again = await fallback.answer(await view(database, job_id))
    assert (first.placeholder, first.job) == (again.placeholder, again.job)


@pytest.mark.parametrize(
    ("before", "reason", "attempt", "after"),
    [
        (JobState.QUEUED, None, None, "failed: vendor"),
        (JobState.HELD, HeldFor.CREDITS, AttemptState.UNSOLD, "failed: vendor"),
        (JobState.HELD, HeldFor.KEY, AttemptState.ACCEPTED, "held: key"),
        (JobState.UNCERTAIN, "lost answer", AttemptState.UNCERTAIN, "uncertain: lost answer"),
    ],
)
async def test_a_job_fails_instead_only_if_nothing_was_sent(
    database, fallback, before, reason, attempt, after
):
    """What may have been paid for is not thrown away."""
    await switch(database, "fallback")
    job_id = await add(database, attempt, state=before, reason=reason, fallback="fail")
    answer = await fallback.answer(await view(database, job_id))
    assert answer is not None
    assert answer.placeholder is None
    assert await state(database, job_id) == after
    assert f"{answer.state}: {answer.job.reason}" == after


async def test_a_job_that_is_dispatched_meanwhile_gets_no_placeholder(database, fallback):
    """It was read as queued and runs by now: the vendor can be asked after all."""
    await switch(database, "fallback")
    job_id = await add(database, fallback="placeholder")
    read = await view(database, job_id)
    async with database.write() as connection:
        await jobs.transition(connection, job_id, JobState.RUNNING)
        await add_attempt(connection, job_id)
    assert await fallback.answer(read) is None
    assert await state(database, job_id) == "running"
    assert (await view(database, job_id)).job.placeholder_served is None


async def test_the_request_says_else_its_project_else_the_setting(database, base_settings):
    """Each is asked only where the one before says nothing."""
    await open_breaker(database, base_settings)
    async with database.write() as connection:
        await put(connection, Project(name="shop", fallback="fail"))
    chosen = Fallback(
        database,
        settings=FallbackSettings(choice="placeholder"),
        gates=GateCache(UPSTREAM, base_settings),
    )

    async def ends(**columns):
        job_id = await add(database, **columns)
        await chosen.answer(await view(database, job_id))
        return await state(database, job_id)

    assert await ends(project="shop", fallback="wait") == "queued"
    assert await ends(project="shop") == "failed: vendor"
    assert await ends(project="studio") == "held: vendor"


async def test_who_asked_to_wait_waits_and_who_did_not_say_is_told(database, fallback):
    """A held job with the setting's `wait` is handed back, as without any fallback."""
    silent = await add(database, state=JobState.HELD, reason=HeldFor.CREDITS)
    patient = await add(database, state=JobState.HELD, reason=HeldFor.CREDITS, fallback="wait")
    assert (await fallback.answer(await view(database, silent))).id == silent
    assert await fallback.answer(await view(database, patient)) is None


@pytest.mark.parametrize(
    ("said", "default", "mode", "choice"),
    [
        (None, "wait", Mode.LIVE, Choice.WAIT),
        ("placeholder", "wait", Mode.LIVE, Choice.PLACEHOLDER),
        (None, "wait", Mode.FALLBACK, Choice.PLACEHOLDER),
        (None, "fail", Mode.FALLBACK, Choice.PLACEHOLDER),
        ("wait", "fail", Mode.FALLBACK, Choice.WAIT),
        ("fail", "wait", Mode.FALLBACK, Choice.FAIL),
        ("wait", "wait", Mode.DISABLED, Choice.PLACEHOLDER),
        (None, "wait", Mode.DISABLED, Choice.PLACEHOLDER),
        ("fail", "wait", Mode.DISABLED, Choice.FAIL),
        (None, "fail", Mode.DISABLED, Choice.FAIL),
    ],
)
def test_the_switch_decides_for_those_who_do_not_say_and_disabled_for_those_who_would_wait(
    said, default, mode, choice
):
    """Nobody waits for a system that is switched off."""
    assert choice is choose(said, default=default, mode=mode)


@pytest.mark.parametrize("name", ["close match", "close_match", "", "PLACEHOLDER"])
def test_another_choice_is_refused_with_those_that_there_are(name):
    """The close match is named, since the documents speak of it."""
    with pytest.raises(InvalidRequest, match=r"wait, placeholder, fail; a close match .* not offered yet"):
        choice_named(name)


async def served(database, count, **columns):
    """Jobs whose callers got a placeholder."""
    values = {"state": JobState.HELD, "reason": HeldFor.VENDOR, "placeholder_served": 1, **columns}
    return [await add(database, **values) for _ in range(count)]


async def queued(database):
    async with database.read() as connection:
        found = await connection.execute(
            sa.select(job_rows.c.id).where(job_rows.c.state == JobState.QUEUED).order_by(job_rows.c.id)
        )
        return list(found.scalars())


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_nothing_is_released_before_the_vendor_sells_again(database, base_settings, trouble):
    """Not while the switch, the account or the breaker stands in the way."""
    await served(database, 3)
    await TROUBLES[trouble](database, base_settings)
    await backfill_of(database, base_settings).release()
    assert await queued(database) == []


async def test_the_oldest_are_released_first_and_only_so_many_at_a_time(database, base_settings):
    """The next ones follow when those are bought; new requests have the other places."""
    made = await served(database, READY_FOR_EACH + 5)
    backfill = backfill_of(database, base_settings, backfill_inflight=1)
    await backfill.release()
    await backfill.release()
    assert made[:READY_FOR_EACH] == await queued(database)

    async with database.write() as connection:
        for job_id in made[:2]:
            await jobs.transition(connection, job_id, JobState.RUNNING)
        await jobs.transition(connection, made[0], JobState.COMPLETED)
    await backfill.release()
    assert made[2 : READY_FOR_EACH + 1] == await queued(database)


async def test_after_recovery_a_released_job_is_batch_work(database, base_settings):
    """Whoever asked for it has had a placeholder and waits no longer."""
    [job_id] = await served(database, 1)
    await open_breaker(database, base_settings)
    await close_breaker(database, base_settings)
    await backfill_of(database, base_settings).release()
    job = (await view(database, job_id)).job
    assert (job.state, job.reason, job.priority, job.backoffs) == (JobState.QUEUED, "backfill", "batch", 0)


async def test_one_is_released_as_a_trial_when_nobody_else_waits(database, base_settings):
    """Else an outage in which every caller got a placeholder would never end."""
    [oldest, *_] = await served(database, 3)
    await open_breaker(database, base_settings)
    await trial_is_due(database)
    backfill = backfill_of(database, base_settings)
    await backfill.release()
    await backfill.release()
    assert await queued(database) == [oldest]


async def test_a_waiting_job_is_the_trial_before_a_held_one(database, base_settings):
    """One trial is enough."""
    await served(database, 2)
    waiting = await add(database)
    await open_breaker(database, base_settings)
    await trial_is_due(database)
    await backfill_of(database, base_settings).release()
    assert await queued(database) == [waiting]


async def test_only_what_got_a_placeholder_is_released(database, base_settings):
    """Other held jobs have owners of their own; an uncertain one is never bought again here."""
    for reason in sorted(set(HeldFor) - {HeldFor.VENDOR}):
        await served(database, 1, reason=reason)
    await served(database, 1, state=JobState.UNCERTAIN, reason="lost answer")
    await served(database, 1, upstream="api.ideogram.ai")
    await backfill_of(database, base_settings).release()
    assert await queued(database) == []


async def test_two_rounds_at_once_release_no_more_than_one(database, base_settings):
    """Two maintenance loops may overlap for a moment after a lease was lost."""
    await served(database, 30)
    one, other = (backfill_of(database, base_settings, backfill_inflight=1) for _ in range(2))
    await asyncio.gather(one.release(), other.release())
    released = await queued(database)
    assert READY_FOR_EACH <= len(released) <= 2 * READY_FOR_EACH
    assert len(set(released)) == len(released)


async def _served_for(database, seconds, **columns):
    [job_id] = await served(database, 1, **columns)
    async with database.write() as connection:
        await connection.execute(
            sa.update(job_rows)
            .where(job_rows.c.id == job_id)
            .values(placeholder_served=now_ms() - int(seconds * 1000))
        )
    return job_id


@pytest.mark.parametrize(
    ("columns", "attempt", "ends"),
    [
        ({}, None, "cancelled: fallback"),
        ({"reason": HeldFor.CREDITS}, AttemptState.UNSOLD, "cancelled: fallback"),
        ({"state": JobState.QUEUED, "reason": None}, None, "cancelled: fallback"),
        ({"reason": HeldFor.RESTORED}, None, "held: restored"),
        ({"reason": HeldFor.KEY, "continuing": True}, AttemptState.ACCEPTED, "held: key"),
        (
            {"state": JobState.UNCERTAIN, "reason": "lost answer"},
            AttemptState.UNCERTAIN,
            "uncertain: lost answer",
        ),
        ({"state": JobState.RUNNING, "reason": None}, AttemptState.RESERVED, "running"),
    ],
)
async def test_what_was_not_bought_while_its_placeholder_stood_is_cancelled(
    database, base_settings, columns, attempt, ends
):
    """After 24 hours; not what was sent, nor what a person is to look at."""
    job_id = await _served_for(database, 3601, **columns)
    young = await _served_for(database, 3500)
    if attempt is not None:
        async with database.write() as connection:
            await add_attempt(connection, job_id, state=attempt, slot=None)
    await backfill_of(database, base_settings, placeholder_life_s=3600).expire()
    assert await state(database, job_id) == ends
    assert await state(database, young) == "held: vendor"


async def test_a_placeholder_is_told_of_only_until_the_job_has_ended(database):
    """Then there is a picture, or there is none."""
    [job_id] = await served(database, 1)
    assert (await view(database, job_id)).to_json()["placeholder"][
        "served_at"
    ] == "1970-01-01T00:00:00.001000Z"
    async with database.write() as connection:
        await jobs.transition(connection, job_id, JobState.QUEUED)
        await jobs.transition(connection, job_id, JobState.RUNNING)
        await catalog.add(connection, [asset(job_id=job_id)])
        await jobs.transition(connection, job_id, JobState.COMPLETED)
    done = await view(database, job_id)
    assert done.to_json()["placeholder"] is None
    assert [kept["id"] for kept in done.to_json()["assets"]] == [done.assets[0].id]


def test_the_defaults_are_those_of_the_design():
    """Wait; a day; two at a time."""
    chosen = Settings.load().fallback
    assert (chosen.choice, chosen.placeholder_life_s, chosen.backfill_inflight) == ("wait", 86400, 2)


async def test_a_family_that_fails_again_takes_no_place_of_another(database, base_settings):
    """What was released before its breaker opened waits, and the other family's placeholders are replaced meanwhile."""
    waiting = {"placeholder_served": now_ms(), "priority": "batch"}
    for _ in range(READY_FOR_EACH):
        await add(database, **waiting)
    await open_breaker(database, base_settings)
    other = await add(database, **waiting, state="held", reason="vendor", family="v2/remix")
    await backfill_of(database, base_settings, backfill_inflight=1).release()

    assert await state(database, other) == "queued: backfill"


async def test_a_request_is_the_trial_where_batches_are_paused(database, base_settings, fallback):
    """Its caller has the placeholder; held, it would come back as a batch job, and nothing would ever try the vendor."""
    await open_breaker(database, base_settings)
    await trial_is_due(database)
    async with database.write() as connection:
        await set_switch(connection, UPSTREAM, "batch", "paused", who="somebody", reason="a test")
    job_id = await add(database, fallback="placeholder")

    answer = await fallback.answer(await view(database, job_id))
    assert answer.placeholder.record["fallback"]
    async with dispatcher_of(base_settings) as dispatcher:
        assert await dispatcher.dispatch() == 1
    async with database.read() as connection:
        [breaker] = await breakers.all_breakers(connection, UPSTREAM)
    assert breaker.state is breakers.BreakerState.TRYING
