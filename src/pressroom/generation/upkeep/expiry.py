"""Jobs whose time to be bought has passed: they end cancelled, wherever they wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.generation.jobs import JobState, transition
from pressroom.generation.tables import jobs
from pressroom.spend.attempts import CLOSED
from pressroom.spend.tables import attempts
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database

log = event_logger(__name__)

TOO_LATE = "too late"
"""Reason of a job that was cancelled because its `buy_before` had passed."""

TOO_LATE_MESSAGE = (
    "it was not bought by the time that was set for it (buy_before); nothing was sent or paid for it"
)

BATCH = 500
"""Jobs cancelled in one transaction."""

_WAITS = frozenset({JobState.QUEUED, JobState.HELD})
_LATE = (
    sa.select(jobs.c.id)
    .where(
        jobs.c.upstream == sa.bindparam("of_upstream"),
        jobs.c.buy_before.is_not(None),
        jobs.c.ended_at.is_(None),
        jobs.c.buy_before
        <= sa.select(now_ms()).scalar_subquery(),  # asked once, so that Postgres can use the index
        jobs.c.state.in_(sorted(_WAITS)),
        ~sa.exists().where(attempts.c.job_id == jobs.c.id, attempts.c.state.not_in(sorted(CLOSED))),
    )
    .order_by(jobs.c.buy_before)
    .limit(BATCH)
)


async def cancel(connection: AsyncConnection, job_id: str) -> bool:
    """End one job that waits; False when it no longer does."""
    return await transition(
        connection,
        job_id,
        JobState.CANCELLED,
        only_from=_WAITS,
        reason=TOO_LATE,
        message=TOO_LATE_MESSAGE,
    )


async def cancel_late(database: Database, upstream: str) -> int:
    """
    Cancel the jobs that wait or are held with nothing bought and whose time has passed; what was sent is never cancelled.

    Returns:
        How many.
    """
    count = 0
    while True:
        async with database.write() as connection:
            found = list((await connection.execute(_LATE, {"of_upstream": upstream})).scalars())
            done = [job_id for job_id in sorted(found) if await cancel(connection, job_id)]
        count += len(done)
        if len(done) < BATCH:
            break
    if count:
        log.info("jobs.too_late", count=count)
    return count
