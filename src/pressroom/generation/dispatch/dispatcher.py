"""The dispatcher: decides which job goes next, and commits slot, reservation, attempt and the engine's debt together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from pressroom.access.projects import all_projects
from pressroom.errors import InvalidRequest
from pressroom.fleet.gate import GateCache
from pressroom.fleet.slots import places
from pressroom.generation.dispatch import waiting
from pressroom.generation.dispatch.giving import Giving, Plan
from pressroom.generation.dispatch.turns import Chooser, Shares
from pressroom.generation.jobs import JobState, transition
from pressroom.ideogram import Call
from pressroom.spend.attempts import CLOSED
from pressroom.spend.tables import attempts
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database
    from pressroom.engine import Engine
    from pressroom.fleet.flows import Flow
    from pressroom.fleet.gate import Gate
    from pressroom.fleet.keys import Keys
    from pressroom.generation.dispatch.turns import Turn
    from pressroom.generation.jobs import Job
    from pressroom.settings import Settings
    from pressroom.spend.prices import Prices
    from pressroom.spend.reservations import Price

log = event_logger(__name__)

BATCH = 50
"""Jobs in one dispatch transaction at most."""

LOOKS = 20
"""Looks in one dispatch at most, while each finds that the one before was overtaken or moved jobs out of the way."""

LOCK = 0x70726573
"""Advisory lock number on Postgres ("pres"); on SQLite the write lock serves."""


class Dispatcher:
    """
    Gives waiting jobs to the engine, one dispatcher at a time over the whole fleet.

    Args:
        database: Where jobs wait.
        engine: Who then owes us the runs.
        prices: What to reserve.
        settings: Limits, weights and waits.
        upstream: Whose jobs; never another's.
        keys: What would be bought with; nothing is while the current one is refused.
    """

    def __init__(
        self,
        *,
        database: Database,
        engine: Engine,
        prices: Prices,
        settings: Settings,
        upstream: str,
        keys: Keys,
    ) -> None:
        self._database = database
        self._giving = Giving(engine, upstream)
        self._prices = prices
        self._upstream = upstream
        self._settings = settings
        self._keys = keys
        self._gate = GateCache(upstream, settings, fingerprint=lambda: keys.current().fingerprint)
        self._shares: tuple[Shares, float] | None = None

    async def dispatch(self) -> int:
        """
        Dispatch what may go now; a plain read when nothing may.

        Returns:
            How many jobs were given to the engine.
        """
        for _ in range(LOOKS):
            plan = await self._look()
            if plan is None:
                return 0
            try:
                given = await self._commit(plan)
            except IntegrityError:
                if not await self._mend(plan):
                    raise
                continue
            if given is not None:
                return given
        return 0

    async def _look(self) -> Plan | None:
        async with self._database.read() as connection:
            look = await waiting.look(connection, self._upstream)
        if look.due and await self._wake():
            async with self._database.read() as connection:
                look = await waiting.look(connection, self._upstream)
        if not look.going_on and not look.fresh:
            return None
        async with self._database.read() as connection:
            going_on = await waiting.going_on(connection, self._upstream, look.going_on, limit=BATCH)
            shares = await self._current_shares(connection)
            gate = await self._gate.current(connection) if look.fresh and self._keys.may_buy else None
            turns = [] if gate is None else await self._turns(connection, look.flows, gate, shares)
        priced = [(turn, price) for turn in turns if (price := await self._price(turn.job)) is not None]
        if not going_on and not priced:
            return None
        return Plan(
            going_on=going_on,
            turns=priced,
            flows=look.flows,
            gate=gate,
            shares=shares,
            fingerprint=self._keys.current().fingerprint,
        )

    async def _turns(
        self, connection: AsyncConnection, waiting_flows: Sequence[Flow], gate: Gate, shares: Shares
    ) -> list[Turn]:
        taken = await places(connection, self._upstream)
        most = min(len(taken.free(gate.limit)), BATCH)
        if most == 0:
            return []
        chooser = Chooser(connection, self._upstream, self._settings, most=most)
        return await chooser.choose(waiting_flows, gate, shares, taken.of_projects())

    async def _current_shares(self, connection: AsyncConnection) -> Shares:
        """Weights and caps, as they were a second ago at most."""
        if self._shares is None or time.monotonic() - self._shares[1] > self._settings.fleet.switch_cache_s:
            read_at = time.monotonic()
            shares = Shares(self._settings.fleet.interactive_weight, await all_projects(connection))
            self._shares = (shares, read_at)
        return self._shares[0]

    async def _price(self, job: Job) -> Price | None:
        """What to reserve; None for a job that this version can no longer send, which the run will say of it."""
        try:
            return await self._prices.price(Call.from_json(job.call))
        except InvalidRequest as error:
            async with self._database.write() as connection:
                await transition(connection, job.id, JobState.FAILED, reason="request", message=error.message)
            log.warning("job.unsendable", job=job.id, field=error.field)
            return None

    async def _commit(self, plan: Plan) -> int | None:
        """Carry a plan out; None when another look is due at once."""
        async with self._database.write() as connection:
            if not await self._lock(connection):
                return 0
            count = await self._giving.give(connection, plan)
        if count:
            log.info("jobs.dispatched", count=count)
        return count

    async def _wake(self) -> int:
        """Let the jobs be looked at that have rested for long enough."""
        async with self._database.write() as connection:
            return await waiting.wake(connection, self._upstream) if await self._lock(connection) else 0

    async def _mend(self, plan: Plan) -> bool:
        """
        Let those continue what they have that are marked as having nothing, so that the others get their turn.

        Returns:
            False when none of the plan's jobs contradicts its rows.
        """
        query = sa.select(attempts.c.job_id).where(
            attempts.c.job_id.in_([turn.job.id for turn, _ in plan.turns]),
            attempts.c.state.not_in(sorted(CLOSED)),
        )
        async with self._database.write() as connection:
            contradictory = list((await connection.execute(query)).scalars())
            for job_id in contradictory:
                await transition(connection, job_id, JobState.QUEUED, continuing=True)
        for job_id in contradictory:
            log.error("job.contradictory", job=job_id)
        return bool(contradictory)

    async def _lock(self, connection: AsyncConnection) -> bool:
        if self._database.is_sqlite:
            return True
        key = sa.func.hashtext(self._upstream)
        taken = await connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK, key)))
        return bool(taken.scalar_one())
