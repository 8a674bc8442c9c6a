"""What a family of operations sold lately: looked up when a failure comes, so that a success writes nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.fleet.families import family_of
from pressroom.ideogram import OPERATIONS
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

COUNTED = "counted"
"""Key in an attempt's `error` that marks it as a failure of the vendor's."""

LONGEST_MS = 300_000
"""Milliseconds before a failure within which an attempt was created that can have ended after it: longer than the longest
synchronous request. One that took longer is overlooked, which opens a breaker sooner, not later."""

NEWEST = 500
"""Attempts of a window that are looked at, so that a busy fleet pays a flat price for a failure."""

_SOLD = (AttemptState.ACCEPTED, AttemptState.BOUGHT)


async def sold_since(connection: AsyncConnection, upstream: str, family: str, millis: int) -> bool:
    """Whether anything was sold that was sent or ended after that time (milliseconds since the epoch)."""
    found = await connection.execute(_sold(family), {"of_upstream": upstream, "since": millis})
    return found.first() is not None


@cache
def _sold(family: str) -> sa.Select[Any]:
    since = sa.bindparam("since", type_=sa.BigInteger)
    return (
        sa.select(attempts.c.id)
        .where(
            attempts.c.upstream == sa.bindparam("of_upstream"),
            attempts.c.created_at > since - LONGEST_MS,
            attempts.c.operation.in_(_operations_of(family)),
            attempts.c.state.in_(_SOLD),
            sa.or_(attempts.c.sending_at > since, attempts.c.ended_at > since),
        )
        .order_by(attempts.c.created_at.desc())
        .limit(1)
    )


async def counted_of(
    connection: AsyncConnection, upstream: str, family: str, *, window_s: float, since: int
) -> tuple[int, int]:
    """
    How much of what was tried in the last `window_s` seconds, and after `since` (milliseconds of the epoch), failed.

    Returns:
        Failures of the vendor's, and all attempts that tell something about it: those and what was sold.
    """
    window = {"of_upstream": upstream, "window_ms": int(window_s * 1000), "since": since}
    counted, all_of_them = (await connection.execute(_counted(family), window)).one()
    return counted or 0, all_of_them


@cache
def _counted(family: str) -> sa.Select[Any, int]:
    failure = attempts.c.error[COUNTED].as_boolean()
    newest = (
        sa.select(sa.case((failure, 1), else_=0).label("counted"))
        .where(
            attempts.c.upstream == sa.bindparam("of_upstream"),
            attempts.c.created_at > now_ms() - sa.bindparam("window_ms", type_=sa.BigInteger),
            attempts.c.created_at > sa.bindparam("since", type_=sa.BigInteger),
            attempts.c.operation.in_(_operations_of(family)),
            sa.or_(attempts.c.state.in_(_SOLD), failure),
        )
        .order_by(attempts.c.created_at.desc())
        .limit(NEWEST)
        .subquery()
    )
    return sa.select(sa.func.sum(newest.c.counted), sa.func.count()).select_from(newest)


@cache
def _operations_of(family: str) -> tuple[str, ...]:
    return tuple(name for name in OPERATIONS if family_of(name) == family)
