"""A job as people and programs read it."""

from __future__ import annotations

import json

import pytest
from tests.support.rows import PRICE, add_attempt, add_job, pair

from pressroom.generation import jobs
from pressroom.generation.jobs import JobState
from pressroom.generation.views import views_of
from pressroom.spend.attempts import AttemptState


async def _view(database, job_id):
    async with database.read() as connection:
        return (await views_of(connection, [await jobs.get_one_or_none(connection, job_id)]))[0]


@pytest.mark.parametrize(
    ("job_state", "attempt_state", "stage"),
    [
        (JobState.RUNNING, AttemptState.RESERVED, "dispatched"),
        (JobState.RUNNING, AttemptState.SENDING, "sending"),
        (JobState.RUNNING, AttemptState.ACCEPTED, "generating"),
        (JobState.RUNNING, AttemptState.BOUGHT, "bringing home"),
        (JobState.RUNNING, AttemptState.UNSOLD, "dispatched"),
        (JobState.QUEUED, AttemptState.ACCEPTED, None),
        (JobState.UNCERTAIN, AttemptState.UNCERTAIN, None),
    ],
)
async def test_a_running_job_tells_what_it_is_at(sqlite_database, job_state, attempt_state, stage):
    """By its open attempt; a job that is not running has no stage."""
    job_id, _ = await pair(sqlite_database, job_state, attempt_state)

    assert stage == (await _view(sqlite_database, job_id)).stage


@pytest.mark.parametrize(
    ("state", "cost", "spent"),
    [
        (AttemptState.RESERVED, None, 0),
        (AttemptState.ACCEPTED, None, 0),
        (AttemptState.UNCERTAIN, None, PRICE.micros),
        (AttemptState.BOUGHT, 41_000, 41_000),
        (AttemptState.UNSOLD, 0, 0),
        (AttemptState.WRITTEN_OFF, PRICE.micros, PRICE.micros),
    ],
)
async def test_what_is_uncertain_counts_as_spent(sqlite_database, state, cost, spent):
    """Until it is settled; then the settlement counts."""
    job_id, _ = await pair(sqlite_database, JobState.RUNNING, state, cost_micros=cost)

    assert spent == (await _view(sqlite_database, job_id)).cost_micros


async def test_all_attempts_of_a_job_are_added_up(sqlite_database):
    """One written off and one bought were both paid for."""
    async with sqlite_database.write() as connection:
        job_id = await add_job(connection, state=JobState.RUNNING)
        await add_attempt(connection, job_id, state=AttemptState.WRITTEN_OFF, slot=None, cost_micros=60_000)
        await add_attempt(connection, job_id, state=AttemptState.UNSOLD, slot=None, cost_micros=0)
        await add_attempt(connection, job_id, state=AttemptState.BOUGHT, slot=None, cost_micros=50_000)

    view = await _view(sqlite_database, job_id)
    assert view.cost_micros == 110_000
    assert view.to_json()["cost_usd"] == 0.11


async def test_the_json_has_what_the_design_names(database):
    """Design section 6, as one JSON value, times in UTC."""
    job_id, attempt_id = await pair(database, JobState.RUNNING, AttemptState.ACCEPTED, generation_id="gen-1")
    shown = json.loads(json.dumps((await _view(database, job_id)).to_json()))

    named = {"id", "state", "reason", "stage", "request", "attempts", "assets", "cost_usd", "created_at"}
    assert named <= shown.keys()
    assert shown["created_at"].endswith("Z")
    [attempt] = shown["attempts"]
    assert {"id", "outcome", "generation_id", "cost_usd", "error"} <= attempt.keys()
    assert (attempt_id, "accepted", "gen-1", None) == (
        attempt["id"],
        attempt["outcome"],
        attempt["generation_id"],
        attempt["cost_usd"],
    )
    assert PRICE.micros / 1_000_000 == attempt["reserved_usd"]


async def test_views_keep_the_order_of_their_jobs(sqlite_database):
    """None of them is none."""
    async with sqlite_database.write() as connection:
        ids = [await add_job(connection) for _ in range(3)]
        found = [await jobs.get_one_or_none(connection, job_id) for job_id in (ids[1], ids[2], ids[0])]
        assert [ids[1], ids[2], ids[0]] == [view.id for view in await views_of(connection, found)]
        assert await views_of(connection, []) == []
