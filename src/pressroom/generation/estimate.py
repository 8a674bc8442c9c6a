"""How long a waiting job will probably take, from what was seen lately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

LATELY = 50
"""Generations that the estimate is drawn from."""


async def usual_seconds_or_none(connection: AsyncConnection, upstream: str, operation: str) -> float | None:
    """Mean seconds from sending to the vendor's end over the last `LATELY` generations; None while there is none."""
    lately = (
        sa.select((attempts.c.ended_at - attempts.c.sending_at).label("took"))
        .where(
            attempts.c.upstream == upstream,
            attempts.c.operation == operation,
            attempts.c.state == AttemptState.BOUGHT,
            attempts.c.sending_at.is_not(None),
        )
        .order_by(attempts.c.id.desc())
        .limit(LATELY)
        .subquery()
    )
    took = (await connection.execute(sa.select(sa.func.avg(lately.c.took)))).scalar_one()
    return None if took is None else float(took) / 1000


def seconds_until_done(*, ahead: int, limit: int, usual_s: float) -> float:
    """Seconds for everything ahead to pass through `limit` places, and then for the job itself."""
    return (ahead // limit + 1) * usual_s
