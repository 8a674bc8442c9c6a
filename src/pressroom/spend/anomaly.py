"""Spending that is unusual: the last hour beside the usual hour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.notify.outbox import tell
from pressroom.spend.attempts import AttemptState
from pressroom.spend.balance import GONE
from pressroom.spend.money import dollars, usd
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

HOUR_MS = 3_600_000
HISTORY_MS = 7 * 24 * HOUR_MS
"""Milliseconds that the usual rate is taken over (issue 3: a week)."""
LEAST_HISTORY_MS = 24 * HOUR_MS
"""Milliseconds of history below which nothing is usual yet."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """
    How fast money is spent.

    Attributes:
        last_hour_micros: Spent by what was begun in the last 60 minutes; what is uncertain counts with its reservation.
        usual_micros: Mean of the hours with spending in the seven days before; None with less than a day of history.
    """

    last_hour_micros: int
    usual_micros: int | None

    def is_unusual(self, *, factor: float, minimum_micros: int) -> bool:
        """Whether the last hour is `factor` times the usual one, and at least `minimum_micros`."""
        if self.usual_micros is None or self.last_hour_micros < minimum_micros:
            return False
        return self.last_hour_micros >= factor * self.usual_micros

    def to_json(self) -> dict[str, Any]:
        """The shape of `--json`."""
        return {"last_hour_usd": usd(self.last_hour_micros), "usual_hour_usd": usd(self.usual_micros)}


async def rate(connection: AsyncConnection, upstream: str) -> Rate:
    """The last hour's spending and the usual one."""
    now = (await connection.execute(sa.select(now_ms()))).scalar_one()
    ago = (sa.literal(now) - attempts.c.created_at).label("ago")
    cost = sa.case((attempts.c.state.in_(GONE), attempts.c.cost_micros), else_=attempts.c.reserved_micros)
    hours_ago = ago // HOUR_MS
    found = await connection.execute(
        sa.select(
            hours_ago.label("hours_ago"), sa.func.sum(cost).label("micros"), sa.func.max(ago).label("oldest")
        )
        .where(
            attempts.c.upstream == upstream,
            attempts.c.created_at > now - HISTORY_MS - HOUR_MS,
            attempts.c.state.in_([*GONE, AttemptState.UNCERTAIN]),
        )
        .group_by(hours_ago)
    )
    rows = [row for row in found if row.micros > 0]
    before = [row for row in rows if row.hours_ago >= 1]
    enough = max((row.oldest for row in before), default=0) >= LEAST_HISTORY_MS
    return Rate(
        last_hour_micros=sum(int(row.micros) for row in rows if row.hours_ago < 1),
        usual_micros=sum(int(row.micros) for row in before) // len(before) if enough else None,
    )


async def tell_unusual(
    connection: AsyncConnection, upstream: str, *, factor: float, minimum_micros: int
) -> bool:
    """Tell of unusual spending, at most once an hour. Returns whether it was told now."""
    now = await rate(connection, upstream)
    if not now.is_unusual(factor=factor, minimum_micros=minimum_micros):
        return False
    usual = now.usual_micros or 0
    return await tell(
        connection,
        upstream=upstream,
        kind="spend.anomaly",
        severity="P3",
        text=(
            f"Unusual spending: {dollars(now.last_hour_micros)} in the last hour, usually {dollars(usual)}. "
            "`pressroom spend report` shows where it goes; `pressroom spend budget day AMOUNT` limits it."
        ),
        facts={"last_hour_micros": now.last_hour_micros, "usual_micros": usual},
        once_in_s=HOUR_MS / 1000,
    )
