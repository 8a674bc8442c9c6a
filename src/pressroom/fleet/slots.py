"""Slots: numbered places under the in-flight limit, shared by the whole fleet of one upstream."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True)
class Places:
    """
    Slots at one moment.

    Attributes:
        taken: For each slot that is taken, the project of its attempt.
    """

    taken: Mapping[int, str]

    def free(self, limit: int) -> list[int]:
        """
        Slots that may be taken now, lowest first.

        A slot above a lowered limit stays busy until its attempt ends and counts against the limit meanwhile.
        """
        room = max(0, limit - len(self.taken))
        return [slot for slot in range(limit) if slot not in self.taken][:room]

    def of_projects(self) -> Counter[str]:
        """How many each project has taken."""
        return Counter(self.taken.values())


_TAKEN = sa.select(attempts.c.slot, attempts.c.project).where(
    attempts.c.upstream == sa.bindparam("of_upstream"), attempts.c.slot.is_not(None)
)


async def places(connection: AsyncConnection, upstream: str) -> Places:
    """Which slots are taken; the answer holds only under the dispatcher's lock, but that slots come free meanwhile."""
    found = await connection.execute(_TAKEN, {"of_upstream": upstream})
    return Places({row.slot: row.project for row in found})


async def free_slots(connection: AsyncConnection, upstream: str, limit: int) -> list[int]:
    """Slots that may be taken now, lowest first; as `Places.free`."""
    return (await places(connection, upstream)).free(limit)


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
    lost = (
        sa.select(attempts.c.id)
        .where(
            attempts.c.upstream == upstream,
            attempts.c.slot.is_not(None),
            attempts.c.state.in_([AttemptState.SENDING, AttemptState.UNCERTAIN, AttemptState.ACCEPTED]),
            attempts.c.sending_at
            < now_ms()
            - sa.case((attempts.c.generation_id.is_(None), int(life_s * 1000)), else_=int(pending_s * 1000)),
        )
        .order_by(attempts.c.id)
        .with_for_update(
            skip_locked=True
        )  # who holds one is learning its end; the next round sees what is left
    )
    ids = list((await connection.execute(lost)).scalars())
    if ids:
        await connection.execute(sa.update(attempts).where(attempts.c.id.in_(ids)).values(slot=None))
    return len(ids)
