"""The check of the counters: each is the sum of the attempts that name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.spend.attempts import SETTLED
from pressroom.spend.counters import named_counters
from pressroom.spend.money import dollars
from pressroom.spend.tables import attempts, budgets, counters

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, kw_only=True)
class Difference:
    """
    Something in the books that is not as it must be.

    Attributes:
        subject: Id of a counter or an attempt.
        text: What is wrong, for a person.
    """

    subject: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """The shape of `--json`."""
        return {"subject": self.subject, "text": self.text}


async def check_counters(connection: AsyncConnection, upstream: str) -> list[Difference]:
    """
    Compare every counter with the sums over the attempts that name it.

    One statement sees one moment, so that a fleet at work is no difference.
    """
    dialect = connection.dialect.name
    named = named_counters(dialect)
    settled = attempts.c.state.in_(sorted(SETTLED))
    sums = (
        sa.select(
            named.c.value.label("id"),
            sa.func.sum(sa.case((settled, 0), else_=attempts.c.reserved_micros)).label("reserved"),
            sa.func.sum(sa.case((settled, attempts.c.cost_micros), else_=0)).label("settled"),
        )
        .select_from(attempts.join(named, sa.true()))
        .where(attempts.c.upstream == upstream)
        .group_by(named.c.value)
        .cte("sums")
    )
    counted = (
        sa.select(
            counters.c.id.label("counter"),
            counters.c.reserved_micros,
            counters.c.settled_micros,
            sa.func.coalesce(sums.c.reserved, 0).label("reserved"),
            (counters.c.base_micros + sa.func.coalesce(sums.c.settled, 0)).label("settled"),
        )
        .select_from(
            counters.join(budgets, budgets.c.id == counters.c.budget_id).outerjoin(
                sums, sums.c.id == counters.c.id
            )
        )
        .where(budgets.c.upstream == upstream)
    )
    uncounted = sa.select(sums.c.id, sa.null(), sa.null(), sums.c.reserved, sums.c.settled).where(
        sums.c.id.not_in(sa.select(counters.c.id))
    )
    found = await connection.execute(sa.union_all(counted, uncounted).order_by("counter"))
    return [difference for row in found for difference in _differences(row)]


def _differences(row: Any) -> list[Difference]:
    if row.reserved_micros is None:
        return [
            Difference(
                subject=row.counter, text=f"attempts name the counter {row.counter}, which is not there"
            )
        ]
    told = []
    for word, counted, summed in (
        ("reserved", row.reserved_micros, int(row.reserved)),
        ("spent", row.settled_micros, int(row.settled)),
    ):
        if counted != summed:
            told.append(
                f"counter {row.counter}: {word} is {dollars(counted)} and the attempts sum up to {dollars(summed)}"
            )
        if counted < 0:
            told.append(f"counter {row.counter}: {word} is below zero, {dollars(counted)}")
    return [Difference(subject=row.counter, text=text) for text in told]
