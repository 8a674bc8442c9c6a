"""Backfill: after an outage the real pictures replace the placeholders, oldest first and behind new requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.fleet.gate import Flow
from pressroom.generation.jobs import HeldFor, JobState, transition
from pressroom.generation.tables import jobs
from pressroom.spend import attempts
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database
    from pressroom.fleet.gate import GateCache
    from pressroom.settings import FallbackSettings

log = event_logger(__name__)

READY_FOR_EACH = 10
"""Jobs kept ready for each place of the backfill, so that none stands empty between two rounds; the dispatcher keeps the limit."""

AT_ONCE = 200
"""Jobs cancelled in one transaction."""

_SERVED = (jobs.c.placeholder_served.is_not(None), jobs.c.ended_at.is_(None))
"""As the index has it."""

_HELD = (*_SERVED, jobs.c.state == JobState.HELD, jobs.c.reason == HeldFor.VENDOR)


class Backfill:
    """
    Queues what got a placeholder, while the vendor can be asked; each task is safe to repeat and to interrupt.

    Args:
        database: Where the jobs are.
        upstream: Whose.
        settings: Pace, and how long a placeholder may stand.
        gates: What may be bought now.
    """

    def __init__(
        self, database: Database, upstream: str, *, settings: FallbackSettings, gates: GateCache
    ) -> None:
        self._database = database
        self._upstream = upstream
        self._settings = settings
        self._gates = gates

    async def release(self) -> None:
        """Queue held jobs of the families that the vendor sells again; one for a trial where only that may go."""
        async with self._database.read() as connection:
            waiting = await self._families(connection)
            if not waiting:
                return
            gate = await self._gates.current(connection)
        flows = {family: gate.flow(family) for family in waiting}
        async with self._database.write() as connection:
            released = 0
            for family in (family for family in waiting if flows[family] is Flow.TRIAL):
                if not await self._anybody_waits(connection, family):
                    released += await self._release(connection, [family], most=1)
            freely = [family for family in waiting if flows[family] is Flow.OPEN]
            ready = READY_FOR_EACH * self._settings.backfill_inflight
            room = ready - await self._under_way(connection, freely)
            if freely and room > 0:
                released += await self._release(connection, freely, most=room)
        if released:
            log.info("backfill.released", count=released)

    async def expire(self) -> None:
        """Cancel what was not bought while its placeholder could stand for it; not what a person is to look at."""
        life_ms = int(self._settings.placeholder_life_s * 1000)
        async with self._database.write() as connection:
            found = await connection.execute(
                sa.select(jobs.c.id, jobs.c.dispatches)
                .where(
                    jobs.c.upstream == self._upstream,
                    *_SERVED,
                    jobs.c.placeholder_served < now_ms() - life_ms,
                    jobs.c.state.in_([JobState.HELD, JobState.QUEUED]),
                    jobs.c.continuing.is_(sa.false()),
                    jobs.c.reason.is_distinct_from(HeldFor.RESTORED),
                )
                .order_by(jobs.c.id)
                .limit(AT_ONCE)
            )
            ended = sum([await self._cancel(connection, row.id, row.dispatches) for row in found.all()])
        if ended:
            log.warning("backfill.expired", count=ended)

    async def _cancel(self, connection: AsyncConnection, job_id: str, dispatches: int) -> bool:
        if await attempts.get_open_or_none(connection, job_id) is not None:
            return False
        life_s = self._settings.placeholder_life_s
        return await transition(
            connection,
            job_id,
            JobState.CANCELLED,
            reason="fallback",
            message=f"its placeholder stood for {life_s:.0f} s and the picture could not be bought",
            only_from=frozenset({JobState.HELD, JobState.QUEUED}),
            as_dispatched=dispatches,
            continuing=False,
        )

    async def _families(self, connection: AsyncConnection) -> list[str]:
        """The families that have jobs to release."""
        found = await connection.execute(
            sa.select(jobs.c.family)
            .where(jobs.c.upstream == self._upstream, *_HELD)
            .distinct()
            .order_by(jobs.c.family)
        )
        return list(found.scalars())

    async def _under_way(self, connection: AsyncConnection, families: Collection[str]) -> int:
        """Released and not home yet; what another family's breaker keeps waiting takes no place."""
        found = await connection.execute(
            sa.select(sa.func.count())
            .select_from(jobs)
            .where(
                jobs.c.upstream == self._upstream,
                *_SERVED,
                jobs.c.family.in_(sorted(families)),
                jobs.c.state.in_([JobState.QUEUED, JobState.RUNNING]),
            )
        )
        return found.scalar_one()

    async def _anybody_waits(self, connection: AsyncConnection, family: str) -> bool:
        """Whether some job of the family is there already that can be the trial now."""
        found = await connection.execute(
            sa.select(jobs.c.id)
            .where(
                jobs.c.upstream == self._upstream,
                jobs.c.state == JobState.QUEUED,
                jobs.c.resting.is_(sa.false()),
                jobs.c.continuing.is_(sa.false()),
                jobs.c.family == family,
            )
            .limit(1)
        )
        return found.first() is not None

    async def _release(self, connection: AsyncConnection, families: Collection[str], *, most: int) -> int:
        found = await connection.execute(
            sa.select(jobs.c.id)
            .where(jobs.c.upstream == self._upstream, *_HELD, jobs.c.family.in_(sorted(families)))
            .order_by(jobs.c.id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        return sum(
            [
                await transition(
                    connection,
                    job_id,
                    JobState.QUEUED,
                    reason="backfill",
                    message="its picture is bought now, to replace the placeholder",
                    only_from=frozenset({JobState.HELD}),
                    continuing=False,
                    backoffs=0,
                )
                for job_id in found.scalars().all()
            ]
        )
