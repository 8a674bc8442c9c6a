"""What a run writes when it comes late: facts about its attempt count, and nothing else is disturbed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.support.rows import add_attempt, pair

from pressroom.generation import jobs
from pressroom.generation.jobs import JobState
from pressroom.generation.run import records, settling
from pressroom.generation.run.context import Run
from pressroom.settings import GenerationSettings
from pressroom.spend import attempts
from pressroom.spend.attempts import AttemptState


def _run(database, job, attempt, token="late/1"):
    parts = SimpleNamespace(database=database, settings=GenerationSettings(), spool_id="spool_1")
    return Run(parts=parts, job=job, attempt=attempt, token=token)


async def _now(database, job_id):
    async with database.read() as connection:
        job = await jobs.get_one_or_none(connection, job_id)
        return job, (await attempts.of_jobs(connection, [job_id]))[job_id]


async def test_a_late_answer_sends_an_uncertain_job_on_its_way(sqlite_database):
    """The worker was taken for dead while its request was on its way; now it knows the generation."""
    job_id, _ = await pair(sqlite_database, JobState.UNCERTAIN, AttemptState.UNCERTAIN)
    job, [attempt] = await _now(sqlite_database, job_id)

    assert not await records.record_accepted(_run(sqlite_database, job, attempt), "gen-1")
    job, [attempt] = await _now(sqlite_database, job_id)
    assert (job.state, job.continuing) == (JobState.QUEUED, True)
    assert (attempt.state, attempt.generation_id) == (AttemptState.ACCEPTED, "gen-1")


@pytest.mark.parametrize("state", [AttemptState.UNCERTAIN, AttemptState.SENDING])
async def test_a_late_answer_about_a_written_off_attempt_settles_no_other(sqlite_database, state):
    """A person bought again and that answer was lost too: the job is uncertain for the second attempt's sake."""
    job_id, _ = await pair(sqlite_database, JobState.UNCERTAIN, AttemptState.WRITTEN_OFF, slot=None)
    job, [first] = await _now(sqlite_database, job_id)
    async with sqlite_database.write() as connection:
        await add_attempt(connection, job_id, state=state)

    assert not await records.record_accepted(_run(sqlite_database, job, first), "gen-1")
    job, [first, second] = await _now(sqlite_database, job_id)
    assert (job.state, job.continuing) == (JobState.UNCERTAIN, False)
    assert (first.state, first.generation_id) == (AttemptState.WRITTEN_OFF, "gen-1")
    assert (state, None) == (second.state, second.generation_id)


async def test_a_run_that_was_replaced_ends_no_job(sqlite_database):
    """Its pictures are those of the run that replaced it."""
    job_id, _ = await pair(sqlite_database, JobState.RUNNING, AttemptState.BOUGHT, slot=None, owner="other/1")
    job, [attempt] = await _now(sqlite_database, job_id)
    late = _run(sqlite_database, job, attempt)

    assert not await records.record_home(
        late, [], state=JobState.COMPLETED, filtered_count=0, missing=[], message=None
    )
    await settling.leave(late, to=JobState.QUEUED, reason="storage", message="x")
    assert (await _now(sqlite_database, job_id))[0] == job


async def test_only_one_of_two_runs_begins_to_send(sqlite_database):
    """Both read the reservation; the other one neither sends nor gives it back."""
    job_id, _ = await pair(sqlite_database, JobState.RUNNING, AttemptState.RESERVED)
    job, [attempt] = await _now(sqlite_database, job_id)
    first = _run(sqlite_database, job, attempt, "first/1")
    second = _run(sqlite_database, job, attempt, "second/1")

    assert await records.begin_sending(first, "ab")
    assert not await records.begin_sending(second, "ab")
    await settling.take_back(second, reason="worker", message="x")
    job, [attempt] = await _now(sqlite_database, job_id)
    assert (job.state, attempt.state, attempt.owner) == (JobState.RUNNING, AttemptState.SENDING, "first/1")
