"""The audit log: who changed what that acts on the whole fleet or on money, and why. Rows are only ever added."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import Millis, metadata, new_id, now_ms

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

PRESSROOM = "pressroom"
"""Who it was when nobody did: the fleet itself, by a rule of its own."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("at", Millis, nullable=False),
    sa.Column("upstream", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """
    One line of the log.

    Attributes:
        at: Milliseconds since the epoch.
        action: What was done, such as `switch.set`.
        subject: What it was done to, such as `mode`.
        before: Value before; None where there was none.
        after: Value after; None where there is none.
    """

    id: str
    at: int
    upstream: str
    who: str
    action: str
    subject: str
    before: str | None
    after: str | None
    reason: str


def person() -> str:
    """The person at this terminal, as this machine knows them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # containers run under numbers without a name
        return f"user {os.getuid()}"


async def record(
    connection: AsyncConnection,
    *,
    upstream: str,
    who: str,
    action: str,
    subject: str,
    before: str | None = None,
    after: str | None = None,
    reason: str = "",
) -> None:
    """Add a line, in the transaction of the change itself. No key, no prompt goes into it."""
    await connection.execute(
        sa.insert(audit).values(
            id=new_id("au"),
            at=now_ms(),
            upstream=upstream,
            who=who,
            action=action,
            subject=subject,
            before=before,
            after=after,
            reason=reason,
        )
    )


async def newest(connection: AsyncConnection, upstream: str, *, limit: int) -> list[Entry]:
    """The last `limit` lines, newest first."""
    found = await connection.execute(
        sa.select(audit).where(audit.c.upstream == upstream).order_by(audit.c.id.desc()).limit(limit)
    )
    return [Entry(**row) for row in found.mappings()]
