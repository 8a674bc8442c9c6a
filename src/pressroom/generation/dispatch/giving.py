"""The dispatcher's one transaction: slot, reservation, attempt and the engine's debt, together or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.fleet.flows import charge, charged
from pressroom.fleet.gate import trial_began
from pressroom.fleet.slots import free_slots
from pressroom.fleet.tables import controls, flows
from pressroom.generation.jobs import HeldFor, JobState, begin, transition
from pressroom.generation.upkeep.expiry import cancel
from pressroom.spend.budgets import OverBudget, Wanted, set_aside
from pressroom.spend.reservations import Reservation, reserve_many
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.engine import Engine
    from pressroom.fleet.flows import Flow
    from pressroom.fleet.gate import Gate
    from pressroom.generation.dispatch.turns import Shares, Turn
    from pressroom.generation.jobs import Job
    from pressroom.spend.reservations import Price

log = event_logger(__name__)

RUN = "run"
"""Name of the workflow that carries one job through one run."""


def run_id(job_id: str, number: int) -> str:
    """The engine's id of one run: the job and how often it was dispatched."""
    return f"{job_id}:{number}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    What one look found, without a lock.

    Attributes:
        going_on: Jobs with an attempt to continue.
        turns: Jobs that would buy, in their order, each with what to reserve.
        flows: All flows, as the order was made from them.
        gate: What allowed the turns; None where there are none.
        shares: The weights that the order was made with.
        fingerprint: The key that would be bought with.
    """

    going_on: Sequence[Job]
    turns: Sequence[tuple[Turn, Price]]
    flows: Sequence[Flow]
    gate: Gate | None
    shares: Shares
    fingerprint: str


_VERSION = sa.select(controls.c.version).where(controls.c.upstream == sa.bindparam("of_upstream"))
_STAMP = sa.select(
    flows.c.project,
    flows.c.priority,
    flows.c.family,
    flows.c.start_tag,
    _VERSION.scalar_subquery().label("version"),
).where(flows.c.upstream == sa.bindparam("of_upstream"))


class Giving:
    """
    Carries plans out, each in a transaction of the caller's that holds the dispatcher's lock.

    Args:
        engine: Who then owes us the runs.
        upstream: Whose jobs.
    """

    def __init__(self, engine: Engine, upstream: str) -> None:
        self._engine = engine
        self._upstream = upstream

    async def give(self, connection: AsyncConnection, plan: Plan) -> int | None:
        """
        Give the plan's jobs to the engine, as far as they still may go.

        Returns:
            How many; None when none did and another look is due at once, because this one was overtaken or moved jobs out
            of the way.
        """
        again = not await self._stands(connection, plan)
        # Before those that go on: whoever settles an attempt locks budgets first, then the job, then the controls.
        bought = [] if again else await self._buy(connection, plan)
        count = len(bought) + await self._go_on(connection, plan.going_on)
        await self._begin_trials(connection, plan, bought)
        return count if count or not plan.turns else None

    async def _stands(self, connection: AsyncConnection, plan: Plan) -> bool:
        """Whether the order and the gate are still as they were read: nobody else gave a turn, nothing was switched."""
        if plan.gate is None or not plan.turns:
            return True
        rows = (await connection.execute(_STAMP, {"of_upstream": self._upstream})).all()
        tags = {(row.project, row.priority, row.family): row.start_tag for row in rows}
        return (rows[0].version or 0) == plan.gate.version and all(
            tags.get((flow.project, flow.priority, flow.family)) == flow.start_tag for flow in plan.flows
        )

    async def _buy(self, connection: AsyncConnection, plan: Plan) -> list[tuple[Turn, str]]:
        """The turns that were taken, each with its new attempt's id."""
        if plan.gate is None or not plan.turns:
            return []
        free = await free_slots(connection, self._upstream, plan.gate.limit)
        turns = (await self._in_time(connection, plan.turns))[: len(free)]
        begun = await begin(connection, [turn.job.id for turn, _ in turns], continuing=False)
        turns = [one for one in turns if one[0].job.id in begun]
        paid = await self._set_aside(connection, plan, turns)
        wanted = [
            self._reservation(plan, turn, price, slot, counters)
            for (turn, price, counters), slot in zip(paid, free, strict=False)
        ]
        attempt_ids = await reserve_many(connection, wanted)
        for turn, _, _ in paid:
            await self._owe(connection, turn.job.id, begun[turn.job.id])
        units = [turn.unit for turn, _, _ in paid]
        await charge(connection, self._upstream, charged(plan.flows, units, weight=plan.shares.weight))
        return [(turn, attempt_id) for (turn, _, _), attempt_id in zip(paid, attempt_ids, strict=True)]

    async def _begin_trials(
        self, connection: AsyncConnection, plan: Plan, bought: Sequence[tuple[Turn, str]]
    ) -> None:
        for turn, attempt_id in bought:
            if turn.trial and plan.gate is not None:
                await trial_began(connection, plan.gate, family=turn.job.family, attempt_id=attempt_id)
                log.info("job.trial", job=turn.job.id, family=turn.job.family)

    async def _in_time(
        self, connection: AsyncConnection, turns: Sequence[tuple[Turn, Price]]
    ) -> list[tuple[Turn, Price]]:
        """Cancel those that were to be bought before now."""
        if all(turn.job.buy_before is None for turn, _ in turns):
            return list(turns)
        now = (await connection.execute(sa.select(now_ms()))).scalar_one()
        late = {
            turn.job.id for turn, _ in turns if turn.job.buy_before is not None and turn.job.buy_before <= now
        }
        for job_id in sorted(late):
            await cancel(connection, job_id)
        return [one for one in turns if one[0].job.id not in late]

    async def _set_aside(
        self, connection: AsyncConnection, plan: Plan, turns: Sequence[tuple[Turn, Price]]
    ) -> list[tuple[Turn, Price, tuple[str, ...]]]:
        """Those whose budgets have room; the others are held."""
        wanted = [
            Wanted(
                upstream=self._upstream,
                project=turn.job.project,
                campaign=turn.job.metadata.get("campaign"),
                key_fingerprint=plan.fingerprint,
                backfill=turn.job.placeholder_served is not None,
                micros=price.micros,
            )
            for turn, price in turns
        ]
        paid = []
        for (turn, price), answer in zip(turns, await set_aside(connection, wanted), strict=True):
            if isinstance(answer, OverBudget):
                await transition(
                    connection,
                    turn.job.id,
                    JobState.HELD,
                    reason=HeldFor.BUDGET,
                    message=answer.message,
                    budget=answer.budget_id,
                    needs_micros=answer.needs_micros,
                )
            else:
                paid.append((turn, price, answer))
        return paid

    def _reservation(
        self, plan: Plan, turn: Turn, price: Price, slot: int, counters: tuple[str, ...]
    ) -> Reservation:
        job = turn.job
        return Reservation(
            job_id=job.id,
            upstream=self._upstream,
            operation=job.call["operation"],
            project=job.project,
            campaign=job.metadata.get("campaign"),
            model=job.request["model"],
            slot=slot,
            price=price,
            counters=counters,
            trial=turn.trial,
            key_fingerprint=plan.fingerprint,
        )

    async def _go_on(self, connection: AsyncConnection, going_on: Sequence[Job]) -> int:
        begun = await begin(connection, [job.id for job in going_on], continuing=True)
        for job_id, number in begun.items():
            await self._owe(connection, job_id, number)
        return len(begun)

    async def _owe(self, connection: AsyncConnection, job_id: str, number: int) -> None:
        await self._engine.enqueue(connection, RUN, run_id(job_id, number), job_id, number)
