"""Decisions of a person: cancel, retry, resolve, in every state of the job and its attempt."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.support.rows import PRICE, add_attempt, add_job, pair

from pressroom.database import Database, DatabaseAddress
from pressroom.errors import Conflict, NotFound
from pressroom.generation import decisions as decisions_module
from pressroom.generation.decisions import Decisions
from pressroom.generation.jobs import JobState, transition
from pressroom.generation.jobs import get_one_or_none as job_or_none
from pressroom.generation.tables import jobs
from pressroom.settings import Settings
from pressroom.spend import attempts
from pressroom.spend.attempts import AttemptState


@pytest.fixture
def decisions(sqlite_database):
    return Decisions(sqlite_database)


async def _now(database, job_id):
    async with database.read() as connection:
        job = await job_or_none(connection, job_id)
        return job, (await attempts.of_jobs(connection, [job_id]))[job_id]


async def _alone(database, **columns):
    async with database.write() as connection:
        return await add_job(connection, **columns)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.HELD])
async def test_a_job_without_an_attempt_is_cancelled(sqlite_database, decisions, state):
    """Nothing was set aside yet."""
    job_id = await _alone(sqlite_database, state=state)
    await decisions.cancel(job_id)

    assert (await _now(sqlite_database, job_id))[0].state is JobState.CANCELLED


async def test_a_reserved_attempt_is_given_back_by_a_cancel(sqlite_database, decisions):
    """Slot and money with it."""
    job_id, _ = await pair(sqlite_database, JobState.RUNNING, AttemptState.RESERVED, slot=4)
    await decisions.cancel(job_id)
    job, [attempt] = await _now(sqlite_database, job_id)

    assert (
        job.state,
        attempt.state,
        attempt.slot,
        attempt.cost_micros,
    ) == (JobState.CANCELLED, AttemptState.UNSOLD, None, 0)


@pytest.mark.parametrize(
    "state", [AttemptState.SENDING, AttemptState.ACCEPTED, AttemptState.BOUGHT, AttemptState.UNCERTAIN]
)
async def test_what_was_sent_cannot_be_cancelled(sqlite_database, decisions, state):
    """The money may be spent; the job stays as it is."""
    job_id, _ = await pair(sqlite_database, JobState.RUNNING, state)
    before = await _now(sqlite_database, job_id)
    with pytest.raises(Conflict, match="left already"):
        await decisions.cancel(job_id)

    assert before == await _now(sqlite_database, job_id)


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.QUEUED, JobState.HELD, JobState.RUNNING}))
async def test_an_ended_job_cannot_be_cancelled(sqlite_database, decisions, state):
    """Twice neither."""
    job_id = await _alone(sqlite_database, state=state)
    with pytest.raises(Conflict, match=state):
        await decisions.cancel(job_id)


@pytest.mark.parametrize("state", [JobState.HELD, JobState.FAILED])
async def test_a_retry_gives_another_turn_with_a_new_attempt(sqlite_database, decisions, state):
    """Waits begin anew; after a failure so does the count of failures."""
    job_id, _ = await pair(sqlite_database, state, AttemptState.UNSOLD, slot=None)
    async with sqlite_database.write() as connection:
        await connection.execute(sa.update(jobs).values(backoffs=9, failures=2, missing=[{"reason": "x"}]))
    await decisions.retry(job_id)
    job, _ = await _now(sqlite_database, job_id)

    assert (job.state, job.continuing, job.backoffs, job.missing) == (JobState.QUEUED, False, 0, [])
    assert (0 if state is JobState.FAILED else 2) == job.failures


@pytest.mark.parametrize(
    ("job_state", "attempt_state"),
    [(JobState.HELD, AttemptState.ACCEPTED), (JobState.FAILED, AttemptState.BOUGHT)],
)
async def test_a_retry_continues_what_was_paid_for(sqlite_database, decisions, job_state, attempt_state):
    """It is brought home; nothing is bought again."""
    job_id, attempt_id = await pair(sqlite_database, job_state, attempt_state, slot=None)
    await decisions.retry(job_id)
    job, [attempt] = await _now(sqlite_database, job_id)

    assert (JobState.QUEUED, True, attempt_id, attempt_state) == (
        job.state,
        job.continuing,
        attempt.id,
        attempt.state,
    )


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.HELD, JobState.FAILED}))
async def test_nothing_else_can_be_retried(sqlite_database, decisions, state):
    """An uncertain job is resolved, not retried: a retry could buy it twice."""
    job_id = await _alone(sqlite_database, state=state)
    with pytest.raises(Conflict, match=state):
        await decisions.retry(job_id)


async def test_an_adopted_generation_is_polled_and_brought_home(sqlite_database, decisions):
    """The attempt gets its id; the job continues with it."""
    job_id, _ = await pair(sqlite_database, JobState.UNCERTAIN, AttemptState.UNCERTAIN)
    await decisions.adopt(job_id, "gen-9")
    job, [attempt] = await _now(sqlite_database, job_id)

    assert (job.state, job.continuing) == (JobState.QUEUED, True)
    assert (attempt.state, attempt.generation_id) == (AttemptState.ACCEPTED, "gen-9")


@pytest.mark.parametrize(("method", "to"), [("buy_again", JobState.QUEUED), ("give_up", JobState.FAILED)])
async def test_what_is_written_off_counts_as_spent(sqlite_database, decisions, method, to):
    """Its slot is free and the job may buy again, or has ended."""
    job_id, _ = await pair(sqlite_database, JobState.UNCERTAIN, AttemptState.UNCERTAIN)
    await getattr(decisions, method)(job_id)
    job, [attempt] = await _now(sqlite_database, job_id)

    assert (to, False) == (job.state, job.continuing)
    assert (AttemptState.WRITTEN_OFF, PRICE.expected_micros, None) == (
        attempt.state,
        attempt.cost_micros,
        attempt.slot,
    )


@pytest.mark.parametrize("method", ["buy_again", "give_up"])
@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.UNCERTAIN}))
async def test_only_an_uncertain_job_is_resolved(sqlite_database, decisions, state, method):
    """Else a purchase that is under way would be written off."""
    job_id, _ = await pair(sqlite_database, state, AttemptState.ACCEPTED)
    before = await _now(sqlite_database, job_id)
    with pytest.raises(Conflict, match=state):
        await getattr(decisions, method)(job_id)

    assert before == await _now(sqlite_database, job_id)


@pytest.mark.parametrize("method", ["cancel", "retry", "buy_again", "give_up"])
async def test_an_unknown_job_is_not_found(decisions, method):
    """With a hint where to look."""
    with pytest.raises(NotFound, match="jobs list"):
        await getattr(decisions, method)("job_unknown")


async def test_a_decision_is_taken_once(sqlite_database, decisions):
    """Two people who resolve the same job: the second is told what it is now."""
    job_id, _ = await pair(sqlite_database, JobState.UNCERTAIN, AttemptState.UNCERTAIN)
    await decisions.buy_again(job_id)
    with pytest.raises(Conflict, match="queued"):
        await decisions.adopt(job_id, "gen-1")


@pytest.fixture
async def meanwhile(upgraded_postgres, tmp_path, monkeypatch):
    """On Postgres, where it can happen: something commits between a decision's look and its change."""
    settings = Settings.load(home=tmp_path, database_url=upgraded_postgres)
    database = Database(DatabaseAddress.parse(settings), settings.database)

    def happens(work):
        look = decisions_module._read

        async def look_and_let_it_happen(connection, job_id):
            seen = await look(connection, job_id)
            async with database.write() as other:
                await work(other, job_id)
            return seen

        monkeypatch.setattr(decisions_module, "_read", look_and_let_it_happen)
        return Decisions(database)

    yield database, happens
    await database.close()


async def test_a_job_that_is_dispatched_meanwhile_is_not_cancelled(meanwhile):
    """Else its attempt would keep its slot for ever, or be bought for a job that has ended."""
    database, happens = meanwhile
    job_id = await _alone(database)

    async def dispatch(connection, job_id):
        await transition(connection, job_id, JobState.RUNNING)
        await add_attempt(connection, job_id)

    with pytest.raises(Conflict):
        await happens(dispatch).cancel(job_id)
    job, [attempt] = await _now(database, job_id)
    assert (job.state, attempt.state) == (JobState.RUNNING, AttemptState.RESERVED)


@pytest.mark.parametrize("method", ["adopt", "buy_again", "give_up"])
async def test_an_answer_that_comes_meanwhile_wins_over_the_decision(meanwhile, method):
    """What was bought is neither written off nor bought again, and the person is told."""
    database, happens = meanwhile
    job_id, attempt_id = await pair(database, JobState.UNCERTAIN, AttemptState.UNCERTAIN)

    async def answer(connection, job_id):
        await attempts.transition(connection, attempt_id, AttemptState.BOUGHT, generation_id="gen-1")
        await transition(connection, job_id, JobState.QUEUED, continuing=True)
        await transition(connection, job_id, JobState.RUNNING)

    decisions = happens(answer)
    with pytest.raises(Conflict, match="become known"):
        await (decisions.adopt(job_id, "gen-2") if method == "adopt" else getattr(decisions, method)(job_id))
    job, [attempt] = await _now(database, job_id)
    assert (job.state, job.continuing) == (JobState.RUNNING, True)
    assert (attempt.state, attempt.generation_id) == (AttemptState.BOUGHT, "gen-1")


async def test_a_generation_belongs_to_one_job(sqlite_database, decisions):
    """Adopted twice, one picture would be counted as two."""
    first, _ = await pair(sqlite_database, JobState.UNCERTAIN, AttemptState.UNCERTAIN, slot=0)
    second, _ = await pair(sqlite_database, JobState.UNCERTAIN, AttemptState.UNCERTAIN, slot=1)
    await decisions.adopt(first, "gen-1")
    with pytest.raises(Conflict, match=first):
        await decisions.adopt(second, "gen-1")
