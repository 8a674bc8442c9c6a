"""Estimates: how long a waiting job will probably take."""

from __future__ import annotations

import pytest
from tests.support.rows import OPERATION, add_attempt, add_job

from pressroom.generation.estimate import LATELY, seconds_until_done, usual_seconds_or_none
from pressroom.spend.attempts import AttemptState


async def _bought(connection, seconds, *, state=AttemptState.BOUGHT, upstream="emulator", sent=1_000):
    job_id = await add_job(connection)
    ended = None if sent is None else sent + int(seconds * 1000)
    await add_attempt(
        connection, job_id, state=state, slot=None, upstream=upstream, sending_at=sent, ended_at=ended
    )


async def test_there_is_no_estimate_before_anything_was_seen(database):
    """Failures, other vendors and attempts that were never sent tell nothing."""
    async with database.write() as connection:
        await _bought(connection, 5, state=AttemptState.UNSOLD)
        await _bought(connection, 5, upstream="api.example:443")
        await _bought(connection, 5, sent=None)

        assert await usual_seconds_or_none(connection, "emulator", OPERATION) is None


async def test_the_estimate_is_the_mean_of_the_last_ones(database):
    """Old ones fade out."""
    async with database.write() as connection:
        await _bought(connection, 10_000)
        for number in range(LATELY):
            await _bought(connection, 2 if number % 2 else 4)

        assert await usual_seconds_or_none(connection, "emulator", OPERATION) == pytest.approx(3)
        assert await usual_seconds_or_none(connection, "emulator", "another/operation") is None


@pytest.mark.parametrize(
    ("ahead", "limit", "seconds"), [(0, 8, 10), (7, 8, 10), (8, 8, 20), (16, 8, 30), (3, 1, 40)]
)
def test_everything_ahead_passes_through_the_places_first(ahead, limit, seconds):
    """A full round of the limit for each `limit` jobs, and one for the job itself."""
    assert seconds == seconds_until_done(ahead=ahead, limit=limit, usual_s=10)
