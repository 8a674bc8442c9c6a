"""Slots: numbered places under the in-flight limit, shared by the whole fleet of one upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


_TAKEN = sa.select(attempts.c.slot).where(
    attempts.c.upstream == sa.bindparam("of_upstream"), attempts.c.slot.is_not(None)
)


async def free_slots(connection: AsyncConnection, upstream: str, limit: int) -> list[int]:
    """
    Places that may be taken now, lowest first.

    A place above a lowered limit stays busy until its attempt ends and counts against the limit meanwhile. The answer
    holds only under the dispatcher's lock.
    """
    found = await connection.execute(_TAKEN, {"of_upstream": upstream})
    taken = set(found.scalars())
    room = max(0, limit - len(taken))
    return [slot for slot in range(limit) if slot not in taken][:room]


async def free_lost_slots(
    connection: AsyncConnection, upstream: str, *, life_s: float, pending_s: float
) -> int:
    """
    Free the slots of attempts whose end nobody will see in time.

    By then the vendor is done with them, whatever became of them; the attempts stay what they are.

    Args:
        connection: An open write transaction.
        upstream: Whose.
        life_s: Seconds after sending for an attempt whose answer never came.
        pending_s: Seconds after sending for one that has an id and that nobody polls to its end, as while its key is refused.

    Returns:
        How many were freed.
    """
    done = await connection.execute(
        sa.update(attempts)
        .where(
            attempts.c.upstream == upstream,
            attempts.c.slot.is_not(None),
            attempts.c.state.in_([AttemptState.SENDING, AttemptState.UNCERTAIN, AttemptState.ACCEPTED]),
            attempts.c.sending_at
            < now_ms()
            - sa.case((attempts.c.generation_id.is_(None), int(life_s * 1000)), else_=int(pending_s * 1000)),
        )
        .values(slot=None)
    )
    return done.rowcount
