"""After the vendor refused the key or the account, purchases stop, but for a trial now and then.

Without this a revoked key or an empty account would walk a whole queue into `held`, one refusal each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.generation.tables import jobs
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

REFUSALS = (HeldFor.KEY, HeldFor.CREDITS, HeldFor.QUOTA)
"""Reasons that hold for every purchase of the account, not for one request."""


async def purchases_now(connection: AsyncConnection, upstream: str, *, free: int, trial_s: float) -> int:
    """
    How many purchases may begin.

    Args:
        connection: For reading.
        upstream: Whose.
        free: Slots that are free.
        trial_s: Seconds between two trials while the vendor refuses.

    Returns:
        `free`, unless a job was held for one of `REFUSALS` and nothing was sold since: then 1 when a trial is due, else 0.
    """
    held = await connection.execute(
        sa.select(sa.func.max(jobs.c.dispatched_at), now_ms()).where(
            jobs.c.upstream == upstream, jobs.c.state == JobState.HELD, jobs.c.reason.in_(REFUSALS)
        )
    )
    refused_at, now = held.one()
    if refused_at is None:
        return free
    sold = await connection.execute(
        sa.select(attempts.c.sending_at)
        .where(
            attempts.c.upstream == upstream,
            attempts.c.state.in_([AttemptState.ACCEPTED, AttemptState.BOUGHT]),
        )
        .order_by(attempts.c.id.desc())
        .limit(1)
    )
    if (sold.scalar_one_or_none() or 0) > refused_at:
        return free
    return min(free, 1) if now - refused_at >= trial_s * 1000 else 0
