"""Whether the books agree: counters with attempts, attempts with jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.generation.jobs import ENDED
from pressroom.generation.tables import jobs
from pressroom.spend.attempts import SETTLED
from pressroom.spend.ledger import Difference, check_counters
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def check(connection: AsyncConnection, upstream: str) -> list[Difference]:
    """Everything that differs, each with a sentence; empty where the books agree. Holds while the fleet works too."""
    return [*await check_counters(connection, upstream), *await _left_open(connection, upstream)]


async def _left_open(connection: AsyncConnection, upstream: str) -> list[Difference]:
    """Attempts that nobody will ever settle: their job has ended."""
    found = await connection.execute(
        sa.select(attempts.c.id, attempts.c.state, jobs.c.id.label("job_id"), jobs.c.state.label("job_state"))
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(
            attempts.c.upstream == upstream,
            attempts.c.state.not_in(sorted(SETTLED)),
            jobs.c.state.in_(sorted(ENDED)),
        )
        .order_by(attempts.c.id)
    )
    return [
        Difference(
            subject=row.id,
            text=f"attempt {row.id} is {row.state} and its job {row.job_id} has ended {row.job_state}",
        )
        for row in found
    ]
