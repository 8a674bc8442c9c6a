"""The account's balance, estimated: the API tells none to a key, so it is the last stated one minus what was spent since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom import audit
from pressroom.database import at, now_ms
from pressroom.spend.attempts import AttemptState
from pressroom.spend.money import dollars, usd
from pressroom.spend.tables import attempts, balances

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

RESERVED_FOR_MS = 3_600_000
"""Milliseconds within which a reservation is sent, so that an index by creation time finds what was sent since."""

GONE = (AttemptState.BOUGHT, AttemptState.WRITTEN_OFF)
"""Attempts whose cost is spent."""


@dataclass(frozen=True, kw_only=True)
class Balance:
    """
    An estimate of what the account holds.

    Attributes:
        stated_micros: What somebody stated, with the top-ups since, millionths of a US dollar.
        stated_at: When, milliseconds since the epoch.
        spent_micros: Spent since, what is uncertain counted with its reservation.
    """

    stated_micros: int
    stated_at: int
    spent_micros: int

    @property
    def estimated_micros(self) -> int:
        """The estimate; below zero when more was spent than was stated."""
        return self.stated_micros - self.spent_micros

    def to_json(self) -> dict[str, Any]:
        """The shape of `--json`."""
        return {
            "estimated_usd": usd(self.estimated_micros),
            "stated_usd": usd(self.stated_micros),
            "stated_at": at(self.stated_at).isoformat().replace("+00:00", "Z"),
            "spent_since_usd": usd(self.spent_micros),
        }


async def estimated_or_none(connection: AsyncConnection, upstream: str) -> Balance | None:
    """The estimate; None while nobody has stated a balance."""
    stated = (
        await connection.execute(sa.select(balances).where(balances.c.upstream == upstream))
    ).one_or_none()
    if stated is None:
        return None
    spent = sa.func.sum(
        sa.case(
            (attempts.c.state.in_(GONE), attempts.c.cost_micros),
            (attempts.c.state == AttemptState.UNCERTAIN, attempts.c.reserved_micros),
            else_=0,
        )
    )
    found = await connection.execute(
        sa.select(sa.func.coalesce(spent, 0)).where(
            attempts.c.upstream == upstream,
            attempts.c.created_at >= stated.stated_at - RESERVED_FOR_MS,
            attempts.c.sending_at >= stated.stated_at,
        )
    )
    return Balance(
        stated_micros=stated.stated_micros,
        stated_at=stated.stated_at,
        spent_micros=int(found.scalar_one()),
    )


async def state_balance(connection: AsyncConnection, upstream: str, micros: int, *, who: str) -> None:
    """Say what the account holds now, as the vendor's page shows it."""
    values = {"stated_micros": micros, "stated_at": now_ms()}
    if connection.dialect.name == "sqlite":
        insert = sqlite.insert(balances).values(upstream=upstream, **values)
        await connection.execute(insert.on_conflict_do_update(index_elements=["upstream"], set_=values))
    else:
        statement = postgresql.insert(balances).values(upstream=upstream, **values)
        await connection.execute(statement.on_conflict_do_update(index_elements=["upstream"], set_=values))
    await _audit(connection, upstream, "balance.stated", micros, who)


async def add_topup(connection: AsyncConnection, upstream: str, micros: int, *, who: str) -> None:
    """Say that money was added; the estimate grows by it where there is one."""
    await connection.execute(
        sa.update(balances)
        .where(balances.c.upstream == upstream)
        .values(stated_micros=balances.c.stated_micros + micros)
    )
    await _audit(connection, upstream, "balance.topup", micros, who)


async def _audit(connection: AsyncConnection, upstream: str, action: str, micros: int, who: str) -> None:
    await audit.record(
        connection, upstream=upstream, who=who, action=action, subject="balance", after=dollars(micros)
    )
