"""The outbox: a notice is written in the transaction that made it true, and delivered afterwards, at least once.

A sink is a function that takes a notice and raises a `PressroomError` when it could not pass it on. A notice counts as
delivered when every sink has taken it; one that failed is given to all of them again, after a wait that doubles.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import Millis, new_id, now_ms
from pressroom.errors import PressroomError
from pressroom.notify.tables import notices
from pressroom.telemetry import PRIVATE_FIELDS, event_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database

log = event_logger(__name__)

AT_ONCE = 50
"""Notices in one round of delivery; what is left follows in the next."""

FIRST_WAIT_MS, LONGEST_WAIT_MS = 10_000, 3_600_000
"""Milliseconds between two tries at one notice: doubling from the first, an hour at most."""

KEEP_MS = 90 * 24 * 3_600_000
"""Milliseconds that a delivered notice is kept, as long as a job (design section 4)."""


class Severity(StrEnum):
    """How soon somebody has to look (spec row R1)."""

    P1 = "P1"
    """Within 15 minutes."""
    P2 = "P2"
    """Within an hour."""
    P3 = "P3"
    """Within four hours."""
    P4 = "P4"
    """On the next business day."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """
    What people must be told.

    Attributes:
        kind: What it is about, such as `budget.near`.
        text: What happened and what to do; never a prompt or a key.
        facts: The same as data.
        created_at: Milliseconds since the epoch.
        tries: Deliveries begun, this one counted.
    """

    id: str
    upstream: str
    kind: str
    severity: Severity
    text: str
    facts: dict[str, Any]
    created_at: int
    tries: int


if TYPE_CHECKING:
    Sink = Callable[[Notice], Awaitable[None]]

_TOLD_LATELY = (
    sa.select(sa.literal(1))
    .where(
        notices.c.upstream == sa.bindparam("of_upstream"),
        notices.c.kind == sa.bindparam("of_kind"),
        notices.c.created_at > now_ms() - sa.bindparam("within_ms", type_=Millis),
    )
    .limit(1)
)


async def tell(
    connection: AsyncConnection,
    *,
    upstream: str,
    kind: str,
    severity: str,
    text: str,
    facts: Mapping[str, Any] | None = None,
    once_in_s: float = 0.0,
) -> bool:
    """
    Write a notice in the caller's transaction; it is delivered when that is committed, and only then.

    Args:
        connection: An open write transaction.
        upstream: Whom it concerns.
        kind: What it is about, such as `credits.exhausted`.
        severity: P1 to P4.
        text: What happened and what to do; never a prompt or a key.
        facts: The same as data; names that telemetry calls private lose their values.
        once_in_s: Seconds. Nothing is written when the same kind was told within them. Two transactions that are open
            at the same moment do not see each other's.

    Returns:
        Whether it was written.

    Raises:
        ValueError: The severity is none.
    """
    if once_in_s > 0:
        asked = {"of_upstream": upstream, "of_kind": kind, "within_ms": int(once_in_s * 1000)}
        if (await connection.execute(_TOLD_LATELY, asked)).first() is not None:
            return False
    shown = {name: "(private)" if name in PRIVATE_FIELDS else value for name, value in (facts or {}).items()}
    await connection.execute(
        sa.insert(notices).values(
            id=new_id("no"),
            upstream=upstream,
            kind=kind,
            severity=Severity(severity),
            text=text,
            facts=shown,
            created_at=now_ms(),
            tries=0,
            next_at=now_ms(),
        )
    )
    return True


async def log_sink(notice: Notice) -> None:
    """Pass a notice on to the log."""
    log.warning(
        "notice.delivered",
        notice=notice.id,
        kind=notice.kind,
        severity=notice.severity,
        text=notice.text,
        facts=notice.facts,
    )


async def deliver(database: Database, upstream: str, sinks: Mapping[str, Sink]) -> int:
    """
    Give every due notice to every sink, oldest first.

    Returns:
        How many were delivered.
    """
    delivered = 0
    for notice in await _begin(database, upstream):
        try:
            for sink in sinks.values():
                await sink(notice)
        except PressroomError as error:
            log.warning("notice.failed", notice=notice.id, kind=notice.kind, error=type(error).__name__)
            continue
        async with database.write() as connection:
            await connection.execute(
                sa.update(notices).where(notices.c.id == notice.id).values(delivered_at=now_ms())
            )
        delivered += 1
    return delivered


async def _begin(database: Database, upstream: str) -> list[Notice]:
    """Count a try of each due notice and put off the next, so that a process that dies now costs a wait, not a notice."""
    async with database.read() as connection:
        found = await connection.execute(
            sa.select(notices)
            .where(
                notices.c.upstream == upstream,
                notices.c.delivered_at.is_(None),
                notices.c.next_at <= now_ms(),
            )
            .order_by(notices.c.id)
            .limit(AT_ONCE)
        )
        due = list(found.mappings())
    if not due:
        return []
    async with database.write() as connection:
        return [_notice(row) for row in due if await _begin_one(connection, row)]


async def _begin_one(connection: AsyncConnection, row: Any) -> bool:
    wait_ms = min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** min(row["tries"], 30))
    done = await connection.execute(
        sa.update(notices)
        .where(notices.c.id == row["id"], notices.c.tries == row["tries"], notices.c.delivered_at.is_(None))
        .values(tries=row["tries"] + 1, next_at=now_ms() + wait_ms)
    )
    return done.rowcount == 1


def _notice(row: Any) -> Notice:
    values = {name: row[name] for name in ("id", "upstream", "kind", "text", "facts", "created_at")}
    return Notice(**values, severity=Severity(row["severity"]), tries=row["tries"] + 1)


async def forget_delivered(connection: AsyncConnection, *, after_ms: int = KEEP_MS) -> int:
    """Drop notices that were delivered long ago. Returns how many."""
    done = await connection.execute(
        sa.delete(notices).where(notices.c.delivered_at < now_ms() - sa.literal(after_ms, Millis))
    )
    return done.rowcount
