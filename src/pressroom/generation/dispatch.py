"""The dispatcher: decides which job goes next, and commits slot, reservation, attempt and the engine's debt together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from pressroom.database import now_ms
from pressroom.errors import InvalidRequest
from pressroom.fleet.slots import free_slots
from pressroom.generation.jobs import Job, JobState, job_of, transition
from pressroom.generation.refusals import purchases_now
from pressroom.generation.tables import jobs
from pressroom.ideogram import Call
from pressroom.spend.attempts import reserve
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database
    from pressroom.engine import Engine
    from pressroom.settings import FleetSettings
    from pressroom.spend.attempts import Price
    from pressroom.spend.prices import Prices

log = event_logger(__name__)

RUN = "run"
"""Name of the workflow that carries one job through one run."""

BATCH = 50
"""Jobs in one dispatch transaction at most."""

_WAITING = (
    sa.select(jobs)
    .where(
        jobs.c.upstream == sa.bindparam("of_upstream"),
        jobs.c.state == sa.literal_column("'queued'"),
        jobs.c.continuing == sa.bindparam("goes_on", type_=sa.Boolean),
        jobs.c.eligible_at <= now_ms(),
    )
    .order_by(jobs.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)

LOCK = 0x70726573
"""Advisory lock number on Postgres ("pres"); on SQLite the write lock serves."""


def run_id(job_id: str, number: int) -> str:
    """The engine's id of one run: the job and how often it was dispatched."""
    return f"{job_id}:{number}"


class Dispatcher:
    """
    Gives waiting jobs to the engine, one dispatcher at a time over the whole fleet.

    Args:
        database: Where jobs wait.
        engine: Who then owes us the runs.
        prices: What to reserve.
        settings: The limit.
        upstream: Whose jobs; never another's.
    """

    def __init__(
        self, *, database: Database, engine: Engine, prices: Prices, settings: FleetSettings, upstream: str
    ) -> None:
        self._database = database
        self._engine = engine
        self._prices = prices
        self._upstream = upstream
        self._settings = settings
        self._limit = min(settings.concurrency, settings.account_limit)

    async def dispatch(self) -> int:
        """
        Dispatch what may go now; a plain read when nothing may.

        Returns:
            How many jobs were given to the engine.
        """
        async with self._database.read() as connection:
            continuing = await self._waiting(connection, continuing=True, limit=BATCH)
            free = await free_slots(connection, self._upstream, self._limit)
            fresh = await self._fresh(connection, len(free)) if free else []
        if not continuing and not fresh:
            return 0
        priced = [(job, price) for job in fresh if (price := await self._price(job)) is not None]
        try:
            return await self._commit(continuing, priced)
        except IntegrityError:
            # A job whose rows contradict each other must not keep the others from their turn.
            return sum([await self._alone(continuing=[job]) for job in continuing]) + sum(
                [await self._alone(priced=[one]) for one in priced]
            )

    async def _fresh(self, connection: AsyncConnection, free: int) -> list[Job]:
        waiting = await self._waiting(connection, continuing=False, limit=min(free, BATCH))
        if not waiting:
            return []
        allowed = await purchases_now(
            connection, self._upstream, free=free, trial_s=self._settings.refused_trial_s
        )
        return waiting[:allowed]

    async def _alone(
        self, *, continuing: Sequence[Job] = (), priced: Sequence[tuple[Job, Price]] = ()
    ) -> int:
        try:
            return await self._commit(continuing, priced)
        except IntegrityError:
            [job] = [*continuing, *(job for job, _ in priced)]
            log.error("job.contradictory", job=job.id)  # noqa: TRY400
            async with self._database.write() as connection:  # it has an attempt: that one is continued
                await transition(connection, job.id, JobState.QUEUED, continuing=True)
            return 0

    async def _price(self, job: Job) -> Price | None:
        """What to reserve; None for a job that this version can no longer send, which the run will say of it."""
        try:
            return await self._prices.price(Call.from_json(job.call))
        except InvalidRequest as error:
            async with self._database.write() as connection:
                await transition(connection, job.id, JobState.FAILED, reason="request", message=error.message)
            log.warning("job.unsendable", job=job.id, field=error.field)
            return None

    async def _commit(self, continuing: Sequence[Job], priced: Sequence[tuple[Job, Price]]) -> int:
        count = 0
        async with self._database.write() as connection:
            if not await self._lock(connection):
                return 0
            for job in continuing:
                count += await self._give(connection, job)
            free = await free_slots(connection, self._upstream, self._limit) if priced else []
            for (job, price), slot in zip(priced, free, strict=False):
                if await self._give(connection, job):
                    await reserve(
                        connection,
                        job_id=job.id,
                        upstream=self._upstream,
                        operation=job.call["operation"],
                        project=job.project,
                        campaign=job.metadata.get("campaign"),
                        model=job.request["model"],
                        slot=slot,
                        price=price,
                    )
                    count += 1
        if count:
            log.info("jobs.dispatched", count=count)
        return count

    async def _give(self, connection: AsyncConnection, job: Job) -> bool:
        """Owe the job a run, if it still waits."""
        if not await transition(connection, job.id, JobState.RUNNING, as_dispatched=job.dispatches):
            return False
        number = job.dispatches + 1
        await self._engine.enqueue(connection, RUN, run_id(job.id, number), job.id, number)
        return True

    async def _lock(self, connection: AsyncConnection) -> bool:
        if self._database.is_sqlite:
            return True
        key = sa.func.hashtext(self._upstream)
        taken = await connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK, key)))
        return bool(taken.scalar_one())

    async def _waiting(self, connection: AsyncConnection, *, continuing: bool, limit: int) -> list[Job]:
        facts = {"of_upstream": self._upstream, "goes_on": continuing, "most": limit}
        found = await connection.execute(_WAITING, facts)
        return [job_of(row) for row in found.mappings()]
