"""Stops of keys that no worker has any more: they stop nothing, and would stand in the list for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.fleet import stops
from pressroom.fleet.stops import key_cause
from pressroom.fleet.tables import stops as stop_rows
from pressroom.fleet.tables import workers
from pressroom.fleet.workers import WorkerState
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.generation.tables import jobs

if TYPE_CHECKING:
    from pressroom.database import Database

UNUSED_FOR_S = 3600.0
"""Seconds in which a key was neither refused nor any worker's."""

_LONG_AGO = now_ms() - int(UNUSED_FOR_S * 1000)
_ITS_WORKERS = sa.exists().where(
    workers.c.upstream == stop_rows.c.upstream,
    sa.or_(
        sa.and_(
            sa.literal(key_cause("")) + workers.c.key_fingerprint == stop_rows.c.cause,
            workers.c.beat_at >= _LONG_AGO,
        ),
        # A worker of the version before does not say which key it has.
        sa.and_(workers.c.key_fingerprint.is_(None), workers.c.state == WorkerState.LIVE),
    ),
)
_WAITING = sa.exists().where(
    jobs.c.upstream == stop_rows.c.upstream, jobs.c.state == JobState.HELD, jobs.c.reason == HeldFor.KEY
)
_UNUSED = sa.select(stop_rows.c.cause).where(
    stop_rows.c.upstream == sa.bindparam("of_upstream"),
    stop_rows.c.cause.startswith(key_cause("")),
    stop_rows.c.since < _LONG_AGO,
    stop_rows.c.trial_at < _LONG_AGO,  # every refusal puts it off
    ~_ITS_WORKERS,
    ~_WAITING,
)


async def lift_unused_keys(database: Database, upstream: str) -> int:
    """
    Lift stops of keys that no worker has had for an hour, while no job waits for a key; each is audited.

    A stop of a key that comes back all the same is set again by the first refusal.

    Returns:
        How many were lifted.
    """
    async with database.read() as connection:
        unused = list((await connection.execute(_UNUSED, {"of_upstream": upstream})).scalars())
    for cause in unused:
        async with database.write() as connection:
            await stops.lift(connection, upstream, cause, reason="no worker has had this key for an hour")
    return len(unused)
