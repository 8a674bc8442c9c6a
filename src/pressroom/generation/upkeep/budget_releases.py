"""Jobs that a budget held have their turn again when it has room: a new day, a higher cap, something that cost less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import Micros, now_ms
from pressroom.generation.jobs import HeldFor, JobState, Priority, transition
from pressroom.generation.tables import jobs
from pressroom.generation.upkeep.releases import paused_by_a_person
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

STALE_S = 3600.0
"""Seconds after which the need of a held job is no longer believed: prices change, and the table's stand in for quotes."""

_HELD = frozenset({JobState.HELD})
_NO_BATCH = jobs.c.priority != Priority.BATCH


async def release_within_budgets(database: Database, upstream: str) -> int:
    """
    Queue what fits into its budget now, the oldest first.

    A job that was released and still waits keeps its claim on the room, so that a round releases no more than can be
    bought. A job that needs more than the whole cap does not stand in the way of others, nor does a batch job while a person
    has paused batches. Of jobs whose need is stale, one in each round has its price asked anew, whatever it was.

    Returns:
        How many were queued.
    """
    released = 0
    async with database.read() as connection:
        open_ones = await rooms(connection, upstream)
        may_go = _NO_BATCH if await paused_by_a_person(connection, upstream) else sa.true()
    for budget in open_ones:
        while count := await _release(database, budget, may_go):
            released += count
            if count < BATCH:
                break
        released += await _ask_anew(database, budget, may_go)
    if released:
        log.info("jobs.within_budget", count=released)
    return released


async def _release(database: Database, budget: Budget, may_go: sa.ColumnElement[bool]) -> int:
    fitting = _fitting(budget, may_go)
    async with database.read() as connection:
        if not await _found(connection, fitting, limit=1):  # the usual case costs no transaction that writes
            return 0
    count = 0
    async with database.write() as connection:
        room = await _room(connection, budget, may_go)
        for row in await _found(connection, fitting, limit=BATCH):
            if room is not None:
                room -= row.needs_micros
                if room < 0:
                    break
            count += await _queue(connection, row.id)
    return count


async def _ask_anew(database: Database, budget: Budget, may_go: sa.ColumnElement[bool]) -> int:
    """Queue one job with a stale need, without a claim; in a transaction of its own, as jobs are locked in the order of ids."""
    async with database.read() as connection:
        found = await _found(connection, _stale(budget, may_go), limit=1)
    if not found:
        return 0
    async with database.write() as connection:
        room = await _room(connection, budget, may_go)
        if room is not None and room <= 0:
            return 0
        return int(await _queue(connection, found[0].id, needs_micros=0))


async def _queue(connection: AsyncConnection, job_id: str, **values: Any) -> bool:
    """The columns `budget` and `needs_micros` stay unless `values` say otherwise: they are its claim while it waits."""
    still = await connection.execute(
        sa.select(jobs.c.id)
        .where(jobs.c.id == job_id, jobs.c.state == JobState.HELD, jobs.c.reason == HeldFor.BUDGET)
        .with_for_update()
    )
    if still.first() is None:
        return False
    return await transition(connection, job_id, JobState.QUEUED, only_from=_HELD, backoffs=0, **values)


def _fitting(budget: Budget, may_go: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """What is held and needs no more than the cap, the oldest first."""
    waiting = _held(budget, may_go).order_by(jobs.c.id)
    return waiting if budget.cap_micros is None else waiting.where(jobs.c.needs_micros <= budget.cap_micros)


def _stale(budget: Budget, may_go: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Of the oldest those that had their last turn, and so their price, long ago; the longest first."""
    oldest = _held(budget, may_go).order_by(jobs.c.id).limit(BATCH).subquery()
    long_ago = now_ms() - int(STALE_S * 1000)
    return sa.select(oldest).where(oldest.c.dispatched_at < long_ago).order_by(oldest.c.dispatched_at)


def _held(budget: Budget, may_go: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(jobs.c.id, jobs.c.needs_micros, jobs.c.dispatched_at).where(
        *_of(budget), may_go, jobs.c.state == JobState.HELD, jobs.c.reason == HeldFor.BUDGET
    )


async def _found(connection: AsyncConnection, query: sa.Select[Any], *, limit: int) -> Sequence[Any]:
    found: Sequence[Any] = (await connection.execute(query.limit(limit))).all()
    return found


async def _room(connection: AsyncConnection, budget: Budget, may_go: sa.ColumnElement[bool]) -> int | None:
    """What is left beside what released jobs claim; None: unlimited."""
    return (
        None
        if budget.left_micros is None
        else budget.left_micros - await _claimed(connection, budget, may_go)
    )


async def _claimed(connection: AsyncConnection, budget: Budget, may_go: sa.ColumnElement[bool]) -> int:
    """Room that released jobs will take when they have their turn."""
    needed = sa.func.coalesce(sa.func.sum(jobs.c.needs_micros, type_=Micros), 0)
    found = await connection.execute(
        sa.select(needed).where(
            *_of(budget), may_go, jobs.c.state == JobState.QUEUED, jobs.c.continuing.is_(sa.false())
        )
    )
    return int(found.scalar_one())


def _of(budget: Budget) -> tuple[sa.ColumnElement[bool], ...]:
    return (jobs.c.upstream == budget.name.upstream, jobs.c.budget == budget.name.id)
