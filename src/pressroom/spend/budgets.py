"""Money set aside under budgets, exactly: no number of dispatchers spends a millionth more than a cap allows."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import Micros, now_ms
from pressroom.notify.outbox import tell
from pressroom.spend.counters import exclude, new_counter
from pressroom.spend.money import dollars
from pressroom.spend.scopes import BudgetName, Scope
from pressroom.spend.tables import budgets, counters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """
    Money that one job needs set aside.

    Attributes:
        upstream: The same for all of one call.
        campaign: None when it belongs to none.
        key_fingerprint: The key that it will be bought with.
        backfill: It replaces a placeholder.
        micros: Millionths of a US dollar.
    """

    upstream: str
    project: str
    campaign: str | None
    key_fingerprint: str
    backfill: bool
    micros: int

    def budgets(self) -> list[BudgetName]:
        """Every budget that would have to allow it, in the order in which they refuse."""
        subjects = {
            Scope.DAY: "",
            Scope.PROJECT: self.project,
            Scope.CAMPAIGN: self.campaign,
            Scope.KEY: self.key_fingerprint,
            Scope.TOTAL: "",
            Scope.BACKFILL: "" if self.backfill else None,
        }
        return [
            BudgetName(upstream=self.upstream, scope=scope, subject=subject)
            for scope, subject in subjects.items()
            if subject is not None
        ]


@dataclass(frozen=True, kw_only=True)
class OverBudget:
    """
    A budget that has no room for a job.

    Attributes:
        budget_id: Which; the job is queued again when this one has room.
        needs_micros: The room that it must have.
        message: For a person: what is left, what is needed, and how to raise it.
    """

    budget_id: str
    needs_micros: int
    message: str


@dataclass(frozen=True)
class _Limited:
    """A budget with a cap, and its counter of this moment."""

    name: BudgetName
    cap_micros: int
    counter_id: str
    period: str


_CAPPED = sa.select(budgets.c.id, budgets.c.cap_micros, now_ms().label("now")).where(
    budgets.c.id.in_(sa.bindparam("of_budgets", expanding=True)), budgets.c.cap_micros.is_not(None)
)
_CAP = sa.select(budgets.c.cap_micros).where(budgets.c.id == counters.c.budget_id).scalar_subquery()
_TAKE = (
    sa.update(counters)
    .where(
        counters.c.id == sa.bindparam("of_counter"),
        counters.c.settled_micros + counters.c.reserved_micros + sa.bindparam("micros", type_=Micros) <= _CAP,
    )
    .values(reserved_micros=counters.c.reserved_micros + sa.bindparam("micros", type_=Micros))
)
_CHANGE = (
    sa.update(counters)
    .where(counters.c.id == sa.bindparam("of_counter"))
    .values(reserved_micros=counters.c.reserved_micros + sa.bindparam("micros", type_=Micros))
)
_LOCKED = sa.select(counters).where(counters.c.id == sa.bindparam("of_counter")).with_for_update()


async def set_aside(
    connection: AsyncConnection, wanted: Sequence[Wanted]
) -> list[tuple[str, ...] | OverBudget]:
    """
    Set money aside for each job, all or nothing for one job, in the order given.

    Where no budget has a cap this costs two small reads. Where the whole batch fits it costs one guarded update for each
    counter. Call it before the rows of jobs are locked that have an attempt (those that go on): a settlement locks an
    attempt, then counters, then the job.

    Args:
        connection: An open write transaction; what is set aside is given back if it is rolled back.
        wanted: Jobs of one upstream.

    Returns:
        For each job the ids of the counters that its reservation stands on, to be kept on the attempt; or the budget
        that has no room for it.
    """
    if not wanted:
        return []
    await exclude(connection, wanted[0].upstream, alone=False)
    limited = await _limited(connection, wanted)
    if not limited:
        return [() for _ in wanted]
    plans = [[limited[name.id] for name in one.budgets() if name.id in limited] for one in wanted]
    if not await _take_all(connection, _sums(wanted, plans)):
        return await _take_each(connection, wanted, plans)
    return [_ids(plan) for plan in plans]


async def _limited(connection: AsyncConnection, wanted: Sequence[Wanted]) -> Mapping[str, _Limited]:
    """Those of the jobs' budgets that have a cap; the shared lock keeps them so until this transaction ends."""
    names = {name.id: name for one in wanted for name in one.budgets()}
    found = await connection.execute(_CAPPED, {"of_budgets": sorted(names)})
    return {
        row.id: _Limited(
            names[row.id], row.cap_micros, names[row.id].counter_id(row.now), names[row.id].period(row.now)
        )
        for row in found
    }


def _sums(wanted: Sequence[Wanted], plans: Sequence[Sequence[_Limited]]) -> Mapping[str, int]:
    sums: Counter[str] = Counter()
    for one, plan in zip(wanted, plans, strict=True):
        for budget in plan:
            sums[budget.counter_id] += one.micros
    return sums


def _ids(plan: Sequence[_Limited]) -> tuple[str, ...]:
    return tuple(sorted(budget.counter_id for budget in plan))


async def _take_all(connection: AsyncConnection, sums: Mapping[str, int]) -> bool:
    """Set the whole batch's money aside, or nothing."""
    taken: list[str] = []
    for counter_id in sorted(sums):
        done = await connection.execute(_TAKE, {"of_counter": counter_id, "micros": sums[counter_id]})
        if done.rowcount != 1:  # no room for all, or a day that has no counter yet
            for other in taken:
                await connection.execute(_CHANGE, {"of_counter": other, "micros": -sums[other]})
            return False
        taken.append(counter_id)
    return True


async def _take_each(
    connection: AsyncConnection, wanted: Sequence[Wanted], plans: Sequence[Sequence[_Limited]]
) -> list[tuple[str, ...] | OverBudget]:
    """Lock all the counters, then give each job in turn what fits."""
    rows = await _lock(connection, {budget.counter_id: budget for plan in plans for budget in plan})
    left = {
        budget.counter_id: budget.cap_micros
        - rows[budget.counter_id].settled_micros
        - rows[budget.counter_id].reserved_micros
        for plan in plans
        for budget in plan
    }
    results: list[tuple[str, ...] | OverBudget] = []
    granted: list[tuple[Wanted, Sequence[_Limited]]] = []
    refusing: dict[str, _Limited] = {}
    for one, plan in zip(wanted, plans, strict=True):
        over = next((budget for budget in plan if left[budget.counter_id] < one.micros), None)
        if over is not None:
            refusing[over.counter_id] = over
            results.append(_over(over, left[over.counter_id], one.micros))
            continue
        for budget in plan:
            left[budget.counter_id] -= one.micros
        granted.append((one, plan))
        results.append(_ids(plan))
    for counter_id, micros in _sums([one for one, _ in granted], [plan for _, plan in granted]).items():
        await connection.execute(_CHANGE, {"of_counter": counter_id, "micros": micros})
    for counter_id, budget in refusing.items():
        if rows[counter_id].full_at is None:
            await _tell_full(connection, budget)
    return results


async def _lock(
    connection: AsyncConnection, wanted: Mapping[str, _Limited]
) -> Mapping[str, sa.Row[tuple[object, ...]]]:
    """Every counter's row, locked in the order of ids; a day's row appears when it is first used."""
    rows = {}
    for counter_id in sorted(wanted):
        budget = wanted[counter_id]
        await connection.execute(
            new_counter(connection.dialect.name),
            {"id": counter_id, "budget_id": budget.name.id, "period": budget.period},
        )
        rows[counter_id] = (await connection.execute(_LOCKED, {"of_counter": counter_id})).one()
    return rows


def _over(budget: _Limited, left_micros: int, needs_micros: int) -> OverBudget:
    opens = "it opens again at 00:00 UTC, or " if budget.name.scope is Scope.DAY else ""
    return OverBudget(
        budget_id=budget.name.id,
        needs_micros=needs_micros,
        message=(
            f"budget {budget.name.words} has {dollars(max(0, left_micros))} left of {dollars(budget.cap_micros)} "
            f"and this needs {dollars(needs_micros)}; {opens}{how_to_raise(budget.name)}"
        ),
    )


def how_to_raise(name: BudgetName) -> str:
    """What to type."""
    return f"raise it with `pressroom spend budget {shlex.quote(name.words)} AMOUNT`"


async def _tell_full(connection: AsyncConnection, budget: _Limited) -> None:
    """The first refusal of a counter is told; what follows it is not."""
    await connection.execute(
        sa.update(counters).where(counters.c.id == budget.counter_id).values(full_at=now_ms())
    )
    await tell(
        connection,
        upstream=budget.name.upstream,
        kind="budget.full",
        severity="P3",
        text=(
            f"Budget {budget.name.words} of {dollars(budget.cap_micros)} is used up: jobs wait in held: budget. "
            f"They go on by themselves when there is room; {how_to_raise(budget.name)}."
        ),
        facts={"budget": budget.name.words, "period": budget.period, "cap_micros": budget.cap_micros},
    )
