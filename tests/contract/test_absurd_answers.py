"""Numbers and names that no honest vendor would send: what they come with is settled all the same, on both databases."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from tests.support.running import sending

from pressroom.fleet import limit
from pressroom.fleet.tables import limits
from pressroom.generation import jobs
from pressroom.generation.run import records, settling
from pressroom.generation.run.outcomes import outcome_of
from pressroom.ideogram.answers import parse_generation
from pressroom.ideogram.failures import Answered, Cost, answer_error
from pressroom.spend.tables import attempts

UP = "emulator"
NOW = datetime(2026, 11, 20, tzinfo=UTC)
PICTURE = {"url": "https://pictures.example/1.png", "is_image_safe": True}


@pytest.mark.parametrize(
    "absurd",
    [{"max_inflight_requests": 2**62}, {"task_completion_speed": "slow" * 100_000}],
    ids=["number", "name"],
)
async def test_a_refusal_with_an_absurd_limit_is_a_refusal(database, absurd):
    """Nothing was sold: the job waits again, and what cannot be meant is not learned."""
    run = await sending(database)
    body = {"error": "busy", "reject_reason": "inflight_limit", **absurd}
    error = answer_error(Answered(429, {}, json.dumps(body).encode(), NOW), Cost.PAID)
    await settling.record_outcome(run, outcome_of(error), error=error)

    async with database.read() as connection:
        job = await jobs.get_one_or_none(connection, run.job.id)
        learned = (await connection.execute(sa.select(limits.c.queue, limits.c.stated))).all()
    assert (job.state, job.reason) == ("queued", "limit")
    assert [tuple(row) for row in learned] == [(limit.ANY, None)]


async def test_a_picture_with_an_absurd_bill_is_bought_at_the_expected_price(database):
    """An amount that no budget's counter can hold must not keep a paid picture from coming home."""
    run = await sending(database, generation_id="gen-1")
    generation = parse_generation(
        {
            "generation_id": "gen-1",
            "status": "completed",
            "data": [PICTURE],
            "usage_cost_usd_micros": 2**63 - 1,
        }
    )
    assert await records.record_bought(
        run, generation.images, cost_micros=generation.usage_cost_usd_micros, generation_id=None
    )
    async with database.read() as connection:
        assert (await connection.execute(sa.select(attempts.c.cost_micros))).scalar_one() == 60_001
