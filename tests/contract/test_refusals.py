"""A key or an account that the vendor refuses stops purchases, but for a trial now and then."""

from __future__ import annotations

import sqlalchemy as sa
from tests.support.rows import add_attempt, add_job

from pressroom.database import now_ms
from pressroom.generation.jobs import JobState
from pressroom.generation.refusals import REFUSALS, purchases_now
from pressroom.generation.tables import jobs
from pressroom.spend.attempts import AttemptState

TRIAL_S = 300


async def held(connection, reason, age_s, **values):
    job_id = await add_job(connection, state=JobState.HELD, reason=reason, **values)
    await connection.execute(
        sa.update(jobs).where(jobs.c.id == job_id).values(dispatched_at=now_ms() - int(age_s * 1000))
    )
    return job_id


async def purchases(connection, free=8):
    return await purchases_now(connection, "emulator", free=free, trial_s=TRIAL_S)


async def test_nothing_held_nothing_stopped(database):
    """Every free slot may be used."""
    async with database.write() as connection:
        assert await purchases(connection) == 8


async def test_each_refusal_of_the_account_stops_purchases(database):
    """Key, credits, quota; a job held for storage is none of the vendor's business."""
    for reason in REFUSALS:
        async with database.write() as connection:
            await connection.execute(sa.delete(jobs))
            await held(connection, reason, 1)
            assert await purchases(connection) == 0
    async with database.write() as connection:
        await connection.execute(sa.delete(jobs))
        await held(connection, "storage", 1)
        assert await purchases(connection) == 8


async def test_a_trial_is_due_after_a_while(database):
    """One, not as many as there are slots; none where no slot is free."""
    async with database.write() as connection:
        await held(connection, "key", TRIAL_S + 1)
        assert await purchases(connection) == 1
        assert await purchases(connection, free=0) == 0


async def test_a_sale_since_then_ends_it(database):
    """Whoever mended key or account need not retry every held job first."""
    async with database.write() as connection:
        await held(connection, "credits", 10)
        sold = await add_job(connection)
        await add_attempt(connection, sold, state=AttemptState.BOUGHT, slot=None, sending_at=now_ms() - 5000)
        assert await purchases(connection) == 8


async def test_a_sale_before_does_not(database):
    """It was another day."""
    async with database.write() as connection:
        sold = await add_job(connection)
        await add_attempt(
            connection, sold, state=AttemptState.BOUGHT, slot=None, sending_at=now_ms() - 60_000
        )
        await held(connection, "credits", 10)
        assert await purchases(connection) == 0


async def test_another_vendors_refusals_do_not_count(database):
    """Each upstream has its own account."""
    async with database.write() as connection:
        await held(connection, "key", 1, upstream="api.example")
        assert await purchases(connection) == 8
