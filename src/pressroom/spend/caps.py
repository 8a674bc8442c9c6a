"""Budgets as people see them: caps, and how much of them is used."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.notify.outbox import tell
from pressroom.spend.budgets import how_to_raise
from pressroom.spend.money import dollars, usd
from pressroom.spend.scopes import EVER, BudgetName, Scope
from pressroom.spend.tables import budgets, counters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

_ORDER = list(Scope)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """
    A budget and how much of it is used in its current period.

    Attributes:
        cap_micros: Millionths of a US dollar; None: unlimited, on purpose, and then nothing is counted.
        period: A UTC day, or `ever`.
        settled_micros: Spent.
        reserved_micros: Set aside for what is under way or uncertain.
        set_at: Milliseconds since the epoch.
    """

    name: BudgetName
    cap_micros: int | None
    period: str
    settled_micros: int
    reserved_micros: int
    near_at: int | None
    full_at: int | None
    set_by: str
    set_at: int

    @property
    def left_micros(self) -> int | None:
        """What can still be set aside; below zero where the cap was lowered. None: unlimited."""
        if self.cap_micros is None:
            return None
        return self.cap_micros - self.settled_micros - self.reserved_micros

    def is_near(self, share: float) -> bool:
        """Whether people must be told that it is used up to `share` of its cap."""
        used = self.settled_micros + self.reserved_micros
        if self.cap_micros is None or self.near_at is not None or used == 0:
            return False
        return used >= self.cap_micros * Decimal(str(share))

    def to_json(self) -> dict[str, Any]:
        """The shape of `--json`."""
        counted = self.cap_micros is not None
        return {
            "budget": self.name.words,
            "scope": self.name.scope,
            "subject": self.name.subject or None,
            "period": self.period,
            "cap_usd": usd(self.cap_micros),
            "spent_usd": usd(self.settled_micros) if counted else None,
            "reserved_usd": usd(self.reserved_micros) if counted else None,
            "left_usd": usd(self.left_micros),
            "set_by": self.set_by,
        }


async def all_budgets(connection: AsyncConnection, upstream: str) -> list[Budget]:
    """Every budget of an upstream, in the order of scopes."""
    now = (await connection.execute(sa.select(now_ms()))).scalar_one()
    found = await connection.execute(
        sa.select(
            budgets,
            counters.c.settled_micros,
            counters.c.reserved_micros,
            counters.c.near_at,
            counters.c.full_at,
        )
        .outerjoin(counters, counters.c.id == budgets.c.id + "@" + _period_now(now))
        .where(budgets.c.upstream == upstream)
    )
    known = [_budget(row, now) for row in found]
    return sorted(known, key=lambda one: (_ORDER.index(one.name.scope), one.name.subject))


def _period_now(now: int) -> sa.ColumnElement[str]:
    day = BudgetName(upstream="", scope=Scope.DAY).period(now)
    return sa.case((budgets.c.scope == Scope.DAY, day), else_=EVER)


def _budget(row: Any, now: int) -> Budget:
    name = BudgetName(upstream=row.upstream, scope=Scope(row.scope), subject=row.subject)
    return Budget(
        name=name,
        cap_micros=row.cap_micros,
        period=name.period(now),
        settled_micros=row.settled_micros or 0,
        reserved_micros=row.reserved_micros or 0,
        near_at=row.near_at,
        full_at=row.full_at,
        set_by=row.set_by,
        set_at=row.set_at,
    )


async def rooms(connection: AsyncConnection, upstream: str) -> Sequence[Budget]:
    """Budgets under which something can be set aside now."""
    known = await all_budgets(connection, upstream)
    return [one for one in known if one.left_micros is None or one.left_micros > 0]


async def tell_nearly_used(connection: AsyncConnection, upstream: str, *, share: float) -> int:
    """
    Tell of budgets that are used up to `share` of their cap, once for each counter.

    Returns:
        How many were told.
    """
    told = 0
    known = await all_budgets(connection, upstream)
    for one in sorted(known, key=lambda budget: budget.name.id):  # as everybody locks counters
        if one.cap_micros is None or not one.is_near(share) or not await _mark_near(connection, one):
            continue
        used = one.settled_micros + one.reserved_micros
        told += await tell(
            connection,
            upstream=upstream,
            kind="budget.near",
            severity="P3",
            text=(
                f"Budget {one.name.words} is nearly used up: {dollars(used)} of {dollars(one.cap_micros)}. "
                f"Jobs will wait when it is; {how_to_raise(one.name)}."
            ),
            facts={
                "budget": one.name.words,
                "period": one.period,
                "used_micros": used,
                "cap_micros": one.cap_micros,
            },
        )
    return told


async def _mark_near(connection: AsyncConnection, one: Budget) -> bool:
    done = await connection.execute(
        sa.update(counters)
        .where(counters.c.id == f"{one.name.id}@{one.period}", counters.c.near_at.is_(None))
        .values(near_at=now_ms())
    )
    return done.rowcount == 1
