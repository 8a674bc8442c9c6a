"""Reservations: a new attempt begins as a slot and money set aside, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import new_id, now_ms
from pressroom.spend.states import AttemptState
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

_RESERVE = sa.insert(attempts).values(created_at=now_ms())


@dataclass(frozen=True, kw_only=True)
class Price:
    """
    What a request is expected to cost.

    Attributes:
        micros: To reserve: millionths of a US dollar, the upper bound where the price is an estimate.
        expected_micros: What it will probably cost.
        source: `quote` or `table`.
    """

    micros: int
    expected_micros: int
    source: str


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """
    A new attempt: a slot and money set aside.

    Attributes:
        counters: Ids of the budget counters that the money was set aside on (`budgets.set_aside`).
        trial: Sent to see whether the vendor sells again.
        key_fingerprint: The key that it will probably be sent with; the one that it was sent with replaces it.
    """

    job_id: str
    upstream: str
    operation: str
    project: str
    campaign: str | None
    model: str
    slot: int
    price: Price
    counters: Sequence[str] = ()
    trial: bool = False
    key_fingerprint: str | None = None


async def reserve(connection: AsyncConnection, **facts: Any) -> str:
    """
    Set a slot and money aside for a new attempt.

    Args:
        connection: An open write transaction.
        facts: The fields of `Reservation`.

    Returns:
        The attempt's id.

    Raises:
        sqlalchemy.exc.IntegrityError: The job has an open attempt already, or the slot is taken.
    """
    [attempt_id] = await reserve_many(connection, [Reservation(**facts)])
    return attempt_id


async def reserve_many(connection: AsyncConnection, wanted: Sequence[Reservation]) -> list[str]:
    """
    Set slots and money aside for many new attempts in one statement.

    Returns:
        The attempts' ids in the same order.

    Raises:
        sqlalchemy.exc.IntegrityError: One of the jobs has an open attempt already, or one of the slots is taken.
    """
    rows = [_reserved(one) for one in wanted]
    if rows:
        await connection.execute(_RESERVE, rows)
    return [row["id"] for row in rows]


def _reserved(one: Reservation) -> dict[str, Any]:
    own = {name: value for name, value in vars(one).items() if name != "price"}
    return {
        **own,
        "id": new_id("at"),
        "state": AttemptState.RESERVED,
        "counters": list(one.counters),
        "reserved_micros": one.price.micros,
        "expected_micros": one.price.expected_micros,
        "price_source": one.price.source,
    }
