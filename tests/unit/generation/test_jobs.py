"""Jobs: one state machine and the order in which they have their turn."""

from __future__ import annotations

from itertools import product

import pytest
import sqlalchemy as sa
from tests.support.rows import add_job

from pressroom.database import now_ms
from pressroom.generation import jobs
from pressroom.generation.jobs import ENDED, NEEDS_A_PERSON, JobState

ALLOWED = {
    ("queued", "running"),
    ("queued", "cancelled"),
    # What is learned late about the attempt of a run that was given up.
    ("queued", "queued"),
    ("queued", "held"),
    ("queued", "uncertain"),
    ("queued", "completed"),
    ("queued", "filtered"),
    ("queued", "failed"),
    ("uncertain", "uncertain"),
    ("running", "queued"),
    ("running", "held"),
    ("running", "uncertain"),
    ("running", "completed"),
    ("running", "filtered"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("held", "queued"),
    ("held", "cancelled"),
    ("held", "failed"),
    ("held", "held"),
    ("uncertain", "queued"),
    ("uncertain", "held"),
    ("uncertain", "filtered"),
    ("uncertain", "failed"),
    ("failed", "queued"),
}
"""Design section 3; `completed`, `filtered` and `cancelled` are for ever."""


@pytest.mark.parametrize(("origin", "to"), list(product(JobState, JobState)))
async def test_only_the_drawn_arrows_can_be_walked(sqlite_database, origin, to):
    """Every state and every target: a change that the machine does not have leaves the row as it was."""
    async with sqlite_database.write() as connection:
        job_id = await add_job(connection, state=origin)
        before = await jobs.get_one_or_none(connection, job_id)
        done = await jobs.transition(connection, job_id, to)
        after = await jobs.get_one_or_none(connection, job_id)

    assert ((origin, to) in ALLOWED) is done
    assert (to if done else origin) is after.state
    if not done:
        assert before == after


async def test_a_dispatch_counts_and_names_the_run(sqlite_database):
    """The number is half of the run's id, so it only ever rises."""
    async with sqlite_database.write() as connection:
        job_id = await add_job(connection)
        for number in (1, 2, 3):
            assert await jobs.transition(connection, job_id, JobState.RUNNING)
            job = await jobs.get_one_or_none(connection, job_id)
            assert (number, True) == (job.dispatches, job.dispatched_at is not None)
            await jobs.transition(connection, job_id, JobState.QUEUED)


async def test_a_queued_job_waits_for_its_delay_by_the_databases_clock(sqlite_database):
    """Its next turn is `delay_s` from now."""
    async with sqlite_database.write() as connection:
        job_id = await add_job(connection, state=JobState.RUNNING)
        await jobs.transition(connection, job_id, JobState.QUEUED, delay_s=600)
        wait = (await connection.execute(sa.select(jobs.jobs.c.eligible_at - now_ms()))).scalar_one()

    assert 590_000 < wait <= 600_000


@pytest.mark.parametrize("to", sorted(ENDED - {JobState.CANCELLED}))
async def test_an_end_has_its_time_and_its_reason(sqlite_database, to):
    """A later end without a reason leaves none of an earlier state."""
    async with sqlite_database.write() as connection:
        job_id = await add_job(connection, state=JobState.RUNNING, reason="old", message="old")
        await jobs.transition(connection, job_id, to)
        job = await jobs.get_one_or_none(connection, job_id)

    assert (job.reason, job.message) == (None, None)
    assert job.ended_at >= job.created_at


async def test_a_failed_job_that_is_asked_for_again_has_not_ended(sqlite_database):
    """Its end is taken back with the state."""
    async with sqlite_database.write() as connection:
        job_id = await add_job(connection, state=JobState.FAILED, ended_at=1)
        await jobs.transition(connection, job_id, JobState.QUEUED)

        assert (await jobs.get_one_or_none(connection, job_id)).ended_at is None


async def test_only_from_narrows_the_machine_and_never_widens_it(sqlite_database):
    """A caller may refuse an arrow that exists; it cannot add one."""
    async with sqlite_database.write() as connection:
        held = await add_job(connection, state=JobState.HELD)
        done = await add_job(connection, state=JobState.COMPLETED)
        uncertain_only, done_only = frozenset({JobState.UNCERTAIN}), frozenset({JobState.COMPLETED})
        assert not await jobs.transition(connection, held, JobState.QUEUED, only_from=uncertain_only)
        assert not await jobs.transition(connection, done, JobState.QUEUED, only_from=done_only)


async def test_pages_go_from_new_to_old_without_gaps(sqlite_database):
    """`before` continues after the last id of the page before; states narrow it."""
    async with sqlite_database.write() as connection:
        made = [await add_job(connection) for _ in range(5)]
        await jobs.transition(connection, made[1], JobState.RUNNING)
        first = await jobs.newest(connection, limit=2)
        second = await jobs.newest(connection, limit=10, before=first[-1].id)
        running = await jobs.newest(connection, states=[JobState.RUNNING], limit=10)

    assert made[::-1] == [job.id for job in [*first, *second]]
    assert [made[1]] == [job.id for job in running]


async def test_an_unknown_job_is_none(sqlite_database):
    """Absence is no error here."""
    async with sqlite_database.write() as connection:
        assert await jobs.get_one_or_none(connection, "job_unknown") is None
        assert not await jobs.transition(connection, "job_unknown", JobState.RUNNING)


def test_every_state_either_goes_on_or_waits_for_somebody():
    """Queued and running go on by themselves; nothing is both an end and a question."""
    assert set(JobState) - ENDED - NEEDS_A_PERSON == {JobState.QUEUED, JobState.RUNNING}
    assert not ENDED & NEEDS_A_PERSON
