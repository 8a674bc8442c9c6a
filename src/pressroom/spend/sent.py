"""Attempts by the hours that the vendor may have billed them in, summed up while they are read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection

HOUR_MS = 3_600_000

SKEW_MS = 60_000
"""Milliseconds that the vendor's clock and ours may differ; a worker warns of more."""

LONGEST_MS = 900_000
"""Milliseconds after sending within which the vendor has billed what it bills: what is pending longer is uncertain."""

PAGE = 5000
"""Attempts read at once."""


class Kind(StrEnum):
    """What an attempt says about the vendor's bill."""

    BOUGHT = "bought"
    WRITTEN_OFF = "written_off"
    OPEN = "open"
    UNCERTAIN = "uncertain"


_KINDS = {
    AttemptState.BOUGHT: Kind.BOUGHT,
    AttemptState.WRITTEN_OFF: Kind.WRITTEN_OFF,
    AttemptState.SENDING: Kind.OPEN,
    AttemptState.ACCEPTED: Kind.OPEN,
    AttemptState.UNCERTAIN: Kind.UNCERTAIN,
}


@dataclass(frozen=True)
class Where:
    """The hours (since the epoch) that an attempt may have been billed in, and the one that it was sent in."""

    first: int
    last: int
    sent: int


@dataclass(frozen=True)
class Unknown:
    """One uncertain attempt; sent at milliseconds since the epoch."""

    job_id: str
    attempt_id: str
    sent_ms: int
    expected_micros: int
    where: Where


@dataclass
class Sent:
    """Sums of attempts, few however many attempts there are, and each uncertain one."""

    sums: Counter[tuple[Kind, Where]] = field(default_factory=Counter)
    unknown: list[Unknown] = field(default_factory=list)

    def sent_in(self, kind: Kind, begin: int, end: int) -> int:
        """Micro-dollars of one kind by the hour of sending, the end excluded."""
        return sum(m for (k, where), m in self.sums.items() if k is kind and begin <= where.sent < end)

    def least(self, begin: int, end: int) -> int:
        """What the vendor has billed in these hours for certain."""
        return sum(
            micros
            for (kind, where), micros in self.sums.items()
            if kind is Kind.BOUGHT and begin <= where.first and where.last < end
        )

    def most(self, begin: int, end: int) -> int:
        """What it can have billed in these hours for anything but uncertain attempts."""
        return sum(
            micros
            for (kind, where), micros in self.sums.items()
            if kind is not Kind.UNCERTAIN and where.first < end and where.last >= begin
        )


async def read_sent(connection: AsyncConnection, upstream: str, begin: int, end: int, now: int) -> Sent:
    """Attempts that can have been billed between two hours, page by page, since there may be a million."""
    ours = Sent()
    async for row in _pages(
        connection, upstream, begin * HOUR_MS - LONGEST_MS - SKEW_MS, end * HOUR_MS + SKEW_MS
    ):
        kind, where = _KINDS[AttemptState(row.state)], _where(row, now)
        settled = kind in {Kind.BOUGHT, Kind.WRITTEN_OFF}
        ours.sums[kind, where] += row.cost_micros if settled else row.reserved_micros
        if kind is Kind.UNCERTAIN:
            ours.unknown.append(Unknown(row.job_id, row.id, row.sending_at, row.expected_micros, where))
    return ours


async def _pages(connection: AsyncConnection, upstream: str, from_ms: int, to_ms: int) -> AsyncIterator[Any]:
    """Attempts sent in that time, oldest first; their ids begin with the time they were made at."""
    last = ""
    query = (
        sa.select(
            attempts.c.id,
            attempts.c.job_id,
            attempts.c.state,
            attempts.c.sending_at,
            attempts.c.ended_at,
            attempts.c.cost_micros,
            attempts.c.reserved_micros,
            attempts.c.expected_micros,
        )
        .where(
            attempts.c.upstream == upstream,
            attempts.c.state.in_(sorted(_KINDS)),
            # What is reserved is sent within seconds, or, when the engine was away, within a day; the index is on this.
            attempts.c.created_at >= from_ms - 24 * HOUR_MS,
            attempts.c.sending_at >= from_ms,
            attempts.c.sending_at < to_ms,
        )
        .order_by(attempts.c.id)
        .limit(PAGE)
    )
    while page := (await connection.execute(query.where(attempts.c.id > last))).all():
        for row in page:
            yield row
        last = page[-1].id


def _where(row: Any, now: int) -> Where:
    ended = row.ended_at if row.state == AttemptState.BOUGHT else now
    latest = min(ended or now, row.sending_at + LONGEST_MS)
    return Where(
        first=(row.sending_at - SKEW_MS) // HOUR_MS,
        last=(latest + SKEW_MS) // HOUR_MS,
        sent=row.sending_at // HOUR_MS,
    )
