"""Jobs that a budget held have their turn again when it has room: a new day, a higher cap, something that cost less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import Micros
from pressroom.generation.jobs import HeldFor, JobState, transition
from pressroom.generation.tables import jobs
from pressroom.spend.caps import rooms
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database
    from pressroom.spend.caps import Budget

log = event_logger(__name__)

BATCH = 500
"""Jobs in one transaction at most."""

_HELD = frozenset({JobState.HELD})


async def release_within_budgets(database: Database, upstream: str) -> int:
    """
    Queue what fits into its budget now, the oldest first.

    A job that was released and still waits keeps its claim on the room, so that a round releases no more than can be
    bought. A job that needs more than the whole cap does not stand in the way of others.

    Returns:
        How many were queued.
    """
    released = 0
    async with database.read() as connection:
        open_ones = await rooms(connection, upstream)
    for budget in open_ones:
        while count := await _release(database, budget):
            released += count
            if count < BATCH:
                break
    if released:
        log.info("jobs.within_budget", count=released)
    return released


async def _release(database: Database, budget: Budget) -> int:
    async with database.read() as connection:
        if not await _held(connection, budget, limit=1):  # the usual case costs no transaction that writes
            return 0
    count = 0
    async with database.write() as connection:
        room = None
        if budget.left_micros is not None:
            room = budget.left_micros - await _claimed(connection, budget)
        for row in await _held(connection, budget, limit=BATCH):
            if room is not None:
                room -= row.needs_micros
                if room < 0:
                    break
            count += await _queue(connection, row.id)
    return count


async def _queue(connection: AsyncConnection, job_id: str) -> bool:
    """The columns `budget` and `needs_micros` stay: they are its claim while it waits."""
    still = await connection.execute(
        sa.select(jobs.c.id)
        .where(jobs.c.id == job_id, jobs.c.state == JobState.HELD, jobs.c.reason == HeldFor.BUDGET)
        .with_for_update()
    )
    if still.first() is None:
        return False
    return await transition(connection, job_id, JobState.QUEUED, only_from=_HELD, backoffs=0)


async def _held(connection: AsyncConnection, budget: Budget, *, limit: int) -> Sequence[Any]:
    waiting = sa.select(jobs.c.id, jobs.c.needs_micros).where(
        *_of(budget), jobs.c.state == JobState.HELD, jobs.c.reason == HeldFor.BUDGET
    )
    if budget.cap_micros is not None:
        waiting = waiting.where(jobs.c.needs_micros <= budget.cap_micros)
    found = await connection.execute(waiting.order_by(jobs.c.id).limit(limit))
    return found.all()


async def _claimed(connection: AsyncConnection, budget: Budget) -> int:
    """Room that released jobs will take when they have their turn."""
    needed = sa.func.coalesce(sa.func.sum(jobs.c.needs_micros, type_=Micros), 0)
    found = await connection.execute(
        sa.select(needed).where(
            *_of(budget), jobs.c.state == JobState.QUEUED, jobs.c.continuing.is_(sa.false())
        )
    )
    return int(found.scalar_one())


def _of(budget: Budget) -> tuple[sa.ColumnElement[bool], ...]:
    return (jobs.c.upstream == budget.name.upstream, jobs.c.budget == budget.name.id)
