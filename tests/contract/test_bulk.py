"""Decisions about many jobs, after a restore, and by the policy for uncertain ones; on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.support.rows import add_attempt, add_job, engine_of

from pressroom import audit
from pressroom.database import now_ms
from pressroom.errors import InvalidSettings
from pressroom.fleet import workers
from pressroom.fleet.tables import workers as worker_rows
from pressroom.generation import jobs, selections
from pressroom.generation.decisions import Decision, Decisions
from pressroom.generation.jobs import HeldFor, JobState, Priority
from pressroom.generation.selections import Selection
from pressroom.generation.tables import jobs as job_rows
from pressroom.generation.upkeep import policy, restoring
from pressroom.settings import GenerationSettings, Settings
from pressroom.spend import attempts as attempt_records
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

UPSTREAM = "emulator"
VENDOR = "api.ideogram.ai"


@pytest.fixture
def decisions(database):
    return Decisions(database)


async def add(database, attempt=None, *, slot=None, facts=None, **columns):
    async with database.write() as connection:
        job_id = await add_job(connection, **columns)
        if attempt is not None:
            upstream = columns.get("upstream", UPSTREAM)
            await add_attempt(
                connection, job_id, state=attempt, slot=slot, upstream=upstream, **(facts or {})
            )
        return job_id


async def states(database):
    """Each job's state with its reason."""
    async with database.read() as connection:
        found = await connection.execute(
            sa.select(job_rows.c.id, job_rows.c.state, job_rows.c.reason).order_by(job_rows.c.id)
        )
        return {row.id: f"{row.state}: {row.reason}".removesuffix(": None") for row in found}


async def attempt_of(database, job_id):
    async with database.read() as connection:
        return (await attempt_records.of_jobs(connection, [job_id]))[job_id][-1]


def chosen(*states_, **conditions):
    return Selection(upstream=UPSTREAM, states=frozenset(states_), **conditions)


async def test_a_selection_is_all_of_its_conditions(database, decisions):
    """And never another vendor's jobs."""
    wanted = await add(database, project="shop", priority=Priority.BATCH)
    await add(database, project="shop")
    await add(database, priority=Priority.BATCH)
    await add(database, project="shop", priority=Priority.BATCH, state=JobState.HELD)
    await add(database, project="shop", priority=Priority.BATCH, upstream=VENDOR)
    selection = chosen(JobState.QUEUED, project="shop", priority=Priority.BATCH)

    assert await decisions.count(selection) == 1
    tally = await decisions.decide(Decision.CANCEL, selection)
    assert (tally.decided, tally.refused) == ([wanted], {})
    assert sum(state == "cancelled" for state in (await states(database)).values()) == 1


async def test_one_refusal_does_not_undo_the_others(database, decisions):
    """Each job is a transaction of its own, and the refused one says why."""
    first, sent, last, unknown = (
        await add(database),
        await add(database, AttemptState.SENDING, state=JobState.RUNNING),
        await add(database),
        "job_unknown",
    )
    tally = await decisions.decide(Decision.CANCEL, [first, sent, unknown, last])

    assert [first, last] == tally.decided
    assert tally.refused.keys() == {sent, unknown}
    assert "left already" in tally.refused[sent]
    assert (await states(database))[sent] == "running"


async def test_many_pages_are_decided_about_once_each(database, decisions, monkeypatch):
    """Though every decision takes its job out of the selection."""
    monkeypatch.setattr(selections, "PAGE", 3)
    made = [await add(database, state=JobState.HELD, reason=HeldFor.CREDITS) for _ in range(10)]
    told = []
    selection = chosen(JobState.HELD, reason=HeldFor.CREDITS)
    tally = await decisions.decide(
        Decision.RETRY, selection, on_each=lambda so_far: told.append(so_far.count)
    )

    assert made == tally.decided
    assert told == list(range(1, 11))
    assert await decisions.count(selection) == 0


@pytest.mark.parametrize(
    ("decision", "ends"), [(Decision.BUY_AGAIN, "queued: resolved"), (Decision.GIVE_UP, "failed: resolved")]
)
async def test_uncertain_jobs_are_resolved_by_their_age(database, decisions, decision, ends):
    """Those that were dispatched lately may still get their answer."""
    old, young = [
        await add(
            database, AttemptState.UNCERTAIN, state=JobState.UNCERTAIN, reason="lost answer", dispatched_at=at
        )
        for at in (1, 2**50)
    ]
    await decisions.decide(decision, chosen(JobState.UNCERTAIN, older_than_s=3600))
    assert await states(database) == {old: ends, young: "uncertain: lost answer"}


OPEN = [
    (JobState.QUEUED, None, "held: restored", None),
    (JobState.HELD, None, "held: restored", None),
    (JobState.RUNNING, AttemptState.RESERVED, "held: restored", AttemptState.UNSOLD),
    (JobState.RUNNING, AttemptState.SENDING, "held: restored", AttemptState.SENDING),
    (JobState.RUNNING, AttemptState.ACCEPTED, "held: restored", AttemptState.ACCEPTED),
    (JobState.QUEUED, AttemptState.BOUGHT, "held: restored", AttemptState.BOUGHT),
    (JobState.UNCERTAIN, AttemptState.UNCERTAIN, "held: restored", AttemptState.UNCERTAIN),
    (JobState.COMPLETED, AttemptState.BOUGHT, "completed", AttemptState.BOUGHT),
    (JobState.FAILED, AttemptState.UNSOLD, "failed", AttemptState.UNSOLD),
    (JobState.CANCELLED, None, "cancelled", None),
]


async def test_after_a_restore_every_open_job_is_held_and_no_slot_is_taken(database):
    """Ended ones stay; a reserved attempt was never sent; what may have been sent is kept to be looked at."""
    made = [
        await add(database, attempt, slot=None if attempt is None else number, state=state, reason=None)
        for number, (state, attempt, _, _) in enumerate(OPEN)
    ]
    elsewhere = await add(database, upstream=VENDOR)

    held = await restoring.hold_open_jobs(database, who="somebody")

    assert held == {UPSTREAM: 7, VENDOR: 1}
    after = await states(database)
    assert [case[2] for case in OPEN] == [after[job_id] for job_id in made]
    assert after[elsewhere] == "held: restored"
    for job_id, (_, _, _, attempt) in zip(made, OPEN, strict=True):
        if attempt is not None:
            kept = await attempt_of(database, job_id)
            assert (kept.state, kept.slot) == (attempt, None)
    async with database.read() as connection:
        [line] = await audit.newest(connection, UPSTREAM, limit=5)
    assert (line.action, line.who, line.after) == ("db.restored", "somebody", "7")


async def test_to_hold_them_twice_changes_nothing(database):
    """It may be interrupted and begun again."""
    await add(database, AttemptState.ACCEPTED, state=JobState.RUNNING)
    await restoring.hold_open_jobs(database, who="somebody")
    before = await states(database)
    assert await restoring.hold_open_jobs(database, who="somebody") == {}
    assert before == await states(database)


async def test_many_pages_are_all_held(database, monkeypatch):
    """A page is a transaction."""
    monkeypatch.setattr(restoring, "AT_ONCE", 2)
    for _ in range(5):
        await add(database)
    assert await restoring.hold_open_jobs(database, who="somebody") == {UPSTREAM: 5}


@pytest.mark.parametrize(
    ("attempt", "continues"),
    [
        (None, False),
        (AttemptState.RESERVED, False),
        (AttemptState.SENDING, True),
        (AttemptState.ACCEPTED, True),
        (AttemptState.UNCERTAIN, True),
    ],
)
async def test_a_released_job_continues_what_may_have_been_bought(database, decisions, attempt, continues):
    """It is polled or found uncertain by its run, and nothing is bought anew meanwhile."""
    state = JobState.QUEUED if attempt is None else JobState.RUNNING
    job_id = await add(database, attempt, state=state)
    await restoring.hold_open_jobs(database, who="somebody")

    tally = await decisions.decide(Decision.RETRY, chosen(JobState.HELD, reason=HeldFor.RESTORED))

    assert tally.decided == [job_id]
    async with database.read() as connection:
        job = await jobs.get_one_or_none(connection, job_id)
    assert (job.state, job.continuing) == (JobState.QUEUED, continues)


async def test_a_beating_worker_is_seen_and_a_silent_one_is_not(database):
    """The backup's own workers look alive and are not: their beats are old."""
    async with database.write() as connection:
        for name in ("silent", "stopped", "beating"):
            await workers.register(connection, name, upstream=UPSTREAM, version="1")
        await connection.execute(
            sa.update(worker_rows).where(worker_rows.c.id == "silent").values(beat_at=now_ms() - 21_000)
        )
        await workers.mark_stopped(connection, "stopped")
    assert await restoring.beating(database, within_s=20) == ["beating"]


async def test_the_engine_owes_nobody_a_run_afterwards(database):
    """Of any queue, begun or not."""
    one, other = engine_of(database), engine_of(database, queue=f"runs/{VENDOR}")
    one.connect()
    other.connect()
    async with database.write() as connection:
        for number in range(3):
            await one.enqueue(connection, "run", f"job_a{number}:1", f"job_a{number}", 1)
        await other.enqueue(connection, "run", "job_b:1", "job_b", 1)

    assert await one.abandon_all() == 4
    assert (await one.all_owed(), await other.all_owed()) == ([], [])
    assert await one.abandon_all() == 0
    await one.disconnect()
    await other.disconnect()


def patient(**values):
    return GenerationSettings(uncertain="buy_again", buy_again_after_s=900, **values)


async def uncertain(database, seconds, *, lost_before=0, **facts):
    async with database.write() as connection:
        job_id = await add_job(connection, state=JobState.UNCERTAIN, reason="lost answer")
        for _ in range(lost_before):
            await add_attempt(connection, job_id, state=AttemptState.WRITTEN_OFF, slot=None)
        await add_attempt(connection, job_id, state=AttemptState.UNCERTAIN, slot=None, **facts)
        await connection.execute(
            sa.update(attempts)
            .where(attempts.c.job_id == job_id)
            .values(sending_at=now_ms() - int(seconds * 1000))
        )
    return job_id


async def test_by_the_policy_time_buys_again_what_nobody_knows_of(database):
    """Written off as spent; only after the wait, and only without an id that could be polled."""
    old = await uncertain(database, 901)
    young = await uncertain(database, 800)
    pending = await uncertain(database, 5000, generation_id="gen-1")

    assert await policy.buy_again(database, UPSTREAM, settings=patient()) == 1
    assert await states(database) == {
        old: "queued: resolved",
        young: "uncertain: lost answer",
        pending: "uncertain: lost answer",
    }
    assert (await attempt_of(database, old)).state is AttemptState.WRITTEN_OFF
    assert await policy.buy_again(database, UPSTREAM, settings=patient()) == 0


async def test_without_the_policy_a_person_decides(database):
    """The default."""
    job_id = await uncertain(database, 10**6)
    assert await policy.buy_again(database, UPSTREAM, settings=GenerationSettings()) == 0
    assert await states(database) == {job_id: "uncertain: lost answer"}


async def test_a_job_that_is_lost_again_and_again_waits_for_a_person(database):
    """Two were written off: the third answer that is lost is no accident, and each may have cost money."""
    await uncertain(database, 901, lost_before=2)
    assert await policy.buy_again(database, UPSTREAM, settings=patient(attempts=3)) == 0
    assert await policy.buy_again(database, UPSTREAM, settings=patient(attempts=4)) == 1


def test_time_may_not_decide_before_every_answer_could_have_come():
    """Twenty seconds until a worker is dead, five to connect, 180 for the longest POST."""
    with pytest.raises(InvalidSettings, match=r"BUY_AGAIN_AFTER_S \(205\).*longest POST together \(205\)"):
        Settings.load(generation={"uncertain": "buy_again", "buy_again_after_s": 205})
    assert Settings.load(generation={"uncertain": "buy_again", "buy_again_after_s": 206})
    assert Settings.load(generation={"uncertain": "ask", "buy_again_after_s": 1})
