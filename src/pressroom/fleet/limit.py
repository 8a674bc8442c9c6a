"""The in-flight limit: what it is now, learned from what the vendor refuses.

Additive increase, multiplicative decrease (Chiu and Jain 1989): several buyers that share a key, and know nothing of
each other, come to share its places fairly by it. The decrease is written when a refusal arrives; the increase is a
function of the time since then, so that a success writes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom.database import now_ms
from pressroom.fleet.controls import alone, changed
from pressroom.fleet.tables import limits
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.settings import LimitSettings, Settings

log = event_logger(__name__)

ANY = "any"
"""The vendor's queue where it does not say which was full; else `fast` or `slow` (reference section 3)."""

STATED_LIFE_S = 3600.0
"""Seconds that a number stated by the vendor is believed. The account may get a larger one, and we would never hear of it: only
a refusal states a number, and below the old one nothing is refused."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """
    What refusals of one of the vendor's queues have taught.

    Attributes:
        learned: The limit right after the last cut.
        learned_at: When that was, milliseconds since the epoch.
        stated: The account's limit as the vendor last stated it; None where it did not.
        refusals: In a row, over the whole fleet.
        refused_since: When that row began; None while there is none.
    """

    queue: str
    learned: float
    learned_at: int
    stated: int | None
    refusals: int
    refused_since: int | None


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """
    What one more refusal means.

    Attributes:
        cut: True when it was learned from.
        in_a_row: Refusals without a success between, this one included.
        sustained: True when they are more than `limit.many` and last for `limit.many_s`; a new row begins then, so that it is
            said once for each such row.
    """

    cut: bool
    in_a_row: int
    sustained: bool


def grown(row: Learned, now_ms: int, settings: LimitSettings, *, ceiling: int) -> float:
    """
    The limit of one queue at a moment: one more for each `limit.raise_s` since the last cut, up to `ceiling`.

    Args:
        row: What was learned.
        now_ms: The database's clock.
        settings: How fast it grows.
        ceiling: The account's limit; a smaller number that the vendor stated lately takes its place.
    """
    passed_s = max(0, now_ms - row.learned_at) / 1000
    most = float(ceiling)
    if row.stated is not None:
        most = min(most, row.stated + max(0.0, passed_s - STATED_LIFE_S) / settings.raise_s)
    return max(1.0, min(row.learned + passed_s / settings.raise_s, most))


def cut_to(in_flight: int, settings: LimitSettings) -> float:
    """The limit after a refusal with `in_flight` purchases on their way: never below one, or nothing would ever be learned."""
    return max(1.0, in_flight * settings.cut)


def effective(
    rows: Iterable[Learned], now_ms: int, settings: Settings, *, concurrency: int | None = None
) -> int:
    """
    How many purchases may be in flight now, over the whole fleet of one upstream.

    Args:
        rows: What was learned of each of the vendor's queues; none yet for a fleet that was never refused.
        now_ms: The database's clock.
        settings: The account's limit, and the concurrency where no switch says.
        concurrency: The switch, while it is set.

    Returns:
        The least of concurrency, account limit and everything learned; 1 or more.
    """
    ceiling = settings.fleet.account_limit
    wanted = settings.fleet.concurrency if concurrency is None else concurrency
    learned = [grown(row, now_ms, settings.limit, ceiling=ceiling) for row in rows]
    return max(1, math.floor(min([wanted, ceiling, *learned])))


_ALL = (
    sa.select(
        limits.c.queue,
        limits.c.learned,
        limits.c.learned_at,
        limits.c.stated,
        limits.c.refusals,
        limits.c.refused_since,
    )
    .where(limits.c.upstream == sa.bindparam("of_upstream"))
    .order_by(limits.c.queue)
)


async def all_learned(connection: AsyncConnection, upstream: str) -> list[Learned]:
    """What was learned of each queue; empty while nothing was refused."""
    found = await connection.execute(_ALL, {"of_upstream": upstream})
    return [Learned(**row) for row in found.mappings()]


async def refused(
    connection: AsyncConnection,
    upstream: str,
    *,
    sent_at_ms: int,
    stated: int | None,
    queue: str | None,
    settings: Settings,
) -> Refusals:
    """
    Learn from one refusal (429) of a purchase.

    One congestion event cuts once: a purchase that was sent before the last cut says nothing new.

    Args:
        connection: The transaction that settles the attempt; it waits for others that learn at the same time.
        upstream: Whose.
        sent_at_ms: When the refused purchase was sent.
        stated: The limit that the vendor stated, if it did.
        queue: The vendor's queue that was full, if it said.
        settings: All of them.

    Returns:
        What it means; a cut has raised the upstream's version, so that every dispatcher notices at its next look.
    """
    limit, fleet = settings.limit, settings.fleet
    of = {"of_upstream": upstream, "of_queue": queue or ANY}
    await alone(connection, upstream)
    heard = await connection.execute(_hear(connection.dialect.name), {**of, "said": stated})
    row = heard.one()  # from here on its lock is ours
    in_a_row, since = row.refusals, row.refused_since
    if in_a_row > 1 and await _sold_since(connection, upstream, since):
        in_a_row, since = 1, row.at
        await connection.execute(_BEGIN_ROW, {**of, "count": 1, "since": since})
    sustained = in_a_row > limit.many and row.at - since >= limit.many_s * 1000
    if sustained:
        await connection.execute(_BEGIN_ROW, {**of, "count": 0, "since": None})
    in_flight = (await connection.execute(_IN_FLIGHT, of)).scalar_one()
    lowered = {**of, "to": cut_to(in_flight, limit), "sent_at": sent_at_ms}
    cut = (await connection.execute(_CUT, lowered)).rowcount == 1
    if cut:
        await changed(connection, upstream)
    if stated is not None and stated > fleet.account_limit:
        log.warning("limit.stated", stated=stated, account_limit=fleet.account_limit)
    log.info("limit.refused", queue=of["of_queue"], cut=cut, in_a_row=in_a_row, stated=stated)
    return Refusals(cut=cut, in_a_row=in_a_row, sustained=sustained)


@cache
def _hear(dialect: str) -> sa.Executable:
    """Count a refusal; the first one of a queue makes its row, with nothing learned yet. Locks the row."""
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return (
        insert(limits)
        .values(
            upstream=sa.bindparam("of_upstream"),
            queue=sa.bindparam("of_queue"),
            learned=1.0,
            learned_at=0,
            stated=sa.bindparam("said", type_=sa.Integer),
            refusals=1,
            refused_since=now_ms(),
        )
        .on_conflict_do_update(
            index_elements=["upstream", "queue"],
            set_={
                "stated": sa.func.coalesce(sa.bindparam("said", type_=sa.Integer), limits.c.stated),
                "refusals": limits.c.refusals + 1,
                "refused_since": sa.func.coalesce(limits.c.refused_since, now_ms()),
            },
        )
        .returning(limits.c.refusals, limits.c.refused_since, now_ms().label("at"))
    )


_OF_QUEUE = (limits.c.upstream == sa.bindparam("of_upstream"), limits.c.queue == sa.bindparam("of_queue"))

_BEGIN_ROW = (
    sa.update(limits)
    .where(*_OF_QUEUE)
    .values(
        refusals=sa.bindparam("count", type_=sa.Integer),
        refused_since=sa.bindparam("since", type_=sa.BigInteger),
    )
)

_CUT = (
    sa.update(limits)
    .where(*_OF_QUEUE, limits.c.learned_at < sa.bindparam("sent_at", type_=sa.BigInteger))
    .values(learned=sa.bindparam("to", type_=sa.Float), learned_at=now_ms())
)

_IN_FLIGHT = sa.select(sa.func.count()).where(
    attempts.c.upstream == sa.bindparam("of_upstream"), attempts.c.slot.is_not(None)
)

_SOLD_SINCE = (
    sa.select(attempts.c.id)
    .where(
        attempts.c.upstream == sa.bindparam("of_upstream"),
        # Sent after it was reserved: this bounds the search by the index over that time.
        attempts.c.created_at > sa.bindparam("since") - sa.bindparam("longest"),
        attempts.c.sending_at > sa.bindparam("since"),
        attempts.c.state.in_([AttemptState.ACCEPTED, AttemptState.BOUGHT]),
    )
    .limit(1)
)

LONGEST_WAIT_MS = 600_000
"""Milliseconds between reservation and sending at most, for the search of what was sold lately: a run begins in well under a minute."""


async def _sold_since(connection: AsyncConnection, upstream: str, since: int) -> bool:
    found = await connection.execute(
        _SOLD_SINCE, {"of_upstream": upstream, "since": since, "longest": LONGEST_WAIT_MS}
    )
    return found.first() is not None
