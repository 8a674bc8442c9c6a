"""Switches: settings of the whole fleet that act within seconds and leave running work alone.

A rule of pressroom's own never overwrites what a person set: its row stands beside the person's, and the stricter of the two
counts until the rule's is taken back or expires. What a person sets afterwards ends the rule's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom import audit
from pressroom.audit import PRESSROOM
from pressroom.database import now_ms, rfc3339
from pressroom.errors import InvalidRequest
from pressroom.fleet.controls import changed
from pressroom.fleet.tables import switches
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database

log = event_logger(__name__)


class SwitchName(StrEnum):
    """What can be switched."""

    MODE = "mode"
    CONCURRENCY = "concurrency"
    BATCH = "batch"
    RATE_LIMIT_MODE = "rate_limit_mode"


class Mode(StrEnum):
    """Whether anything is bought. What is bought already comes home in every mode."""

    LIVE = "live"
    """As usual."""
    FALLBACK = "fallback"
    """Nothing new is bought; each new request gets its fallback."""
    DISABLED = "disabled"
    """Nothing new is bought; every new request gets a placeholder or fails."""


class Batch(StrEnum):
    """Whether batch jobs have turns."""

    RUNNING = "running"
    PAUSED = "paused"


class RateLimitMode(StrEnum):
    """What happens to an interactive request that would have to wait."""

    QUEUE = "queue"
    REJECT = "reject"


DEFAULT = "default"
"""A value for every switch: as if it had never been set."""

LONGEST_S = 10 * 366 * 86400.0
"""Seconds. A longer life is a slip of the finger."""


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """
    One row of the table of switches.

    Attributes:
        default: Value while nobody has set it; None where the settings say.
        allowed: What it takes, for people.
        takes: Whether a value is one of those.
        stricter: Chooses between a person's value and a rule's.
    """

    default: str | None
    allowed: str
    takes: Callable[[str], bool]
    stricter: Callable[[str, str], str]


def _one_of(kind: type[StrEnum], default: StrEnum) -> _Kind:
    """The members stand in the order from lenient to strict."""
    order = [str(member) for member in kind]
    return _Kind(
        default=str(default),
        allowed=" or ".join((", ".join(order[:-1]), order[-1])),
        takes=order.__contains__,
        stricter=lambda one, other: max(one, other, key=order.index),
    )


def _is_count(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 6 and int(value) >= 1


KINDS: dict[SwitchName, _Kind] = {
    SwitchName.MODE: _one_of(Mode, Mode.LIVE),
    SwitchName.CONCURRENCY: _Kind(
        default=None,
        allowed="a whole number from 1 to the account's limit",
        takes=_is_count,
        stricter=lambda one, other: min(one, other, key=int),
    ),
    SwitchName.BATCH: _one_of(Batch, Batch.RUNNING),
    SwitchName.RATE_LIMIT_MODE: _one_of(RateLimitMode, RateLimitMode.QUEUE),
}


@dataclass(frozen=True, kw_only=True)
class Switch:
    """
    One switch as it acts now.

    Attributes:
        value: None where nobody has set it and the settings say.
        set_by: A person, `environment NAME`, or `pressroom`; None while it has its default.
        reason: Why, in their words.
        set_at: Milliseconds since the epoch.
        expires_at: When it falls back to its default; None for never.
    """

    name: SwitchName
    value: str | None
    set_by: str | None = None
    reason: str | None = None
    set_at: int | None = None
    expires_at: int | None = None


_OWN = "/pressroom"
"""Marks the row of a rule of our own, beside the one that people set."""

_STANDING = sa.select(switches).where(
    switches.c.upstream == sa.bindparam("of_upstream"),
    sa.or_(switches.c.expires_at.is_(None), switches.c.expires_at > now_ms()),
)


async def all_switches(connection: AsyncConnection, upstream: str) -> list[Switch]:
    """Every switch as it acts now; one that has expired is at its default at once."""
    found = await connection.execute(_STANDING, {"of_upstream": upstream})
    rows: dict[str, Any] = {row["name"]: row for row in found.mappings()}
    return [_acting(name, rows.get(name), rows.get(name + _OWN)) for name in SwitchName]


def _acting(name: SwitchName, theirs: Any, own: Any) -> Switch:
    row = theirs if own is None else own
    if theirs is not None and own is not None:
        strict = KINDS[name].stricter(theirs["value"], own["value"])
        row = theirs if theirs["value"] == strict else own
    if row is None:
        return Switch(name=name, value=KINDS[name].default)
    return Switch(
        name=name,
        value=row["value"],
        set_by=row["set_by"],
        reason=row["reason"],
        set_at=row["set_at"],
        expires_at=row["expires_at"],
    )


def parsed(name: str, value: str, *, account_limit: int | None = None) -> tuple[SwitchName, str]:
    """
    A switch and a value for it.

    Raises:
        InvalidRequest: There is no such switch, or it does not take that value; says what is allowed.
    """
    try:
        switch = SwitchName(name)
    except ValueError:
        raise InvalidRequest("switch", name, f"it is one of {', '.join(SwitchName)}") from None
    most = account_limit if switch is SwitchName.CONCURRENCY else None
    fits = KINDS[switch].takes(value) and (most is None or int(value) <= most)
    if value != DEFAULT and not fits:
        allowed = KINDS[switch].allowed if most is None else f"a whole number from 1 to {most}"
        raise InvalidRequest(switch, value, f"{switch} takes {allowed}, or {DEFAULT}")
    return switch, value


async def set_switch(
    connection: AsyncConnection,
    upstream: str,
    name: str,
    value: str,
    *,
    who: str,
    reason: str,
    for_s: float | None = None,
    account_limit: int | None = None,
) -> None:
    """
    Set a switch for the whole fleet.

    Args:
        connection: An open write transaction.
        upstream: Whose.
        name: Of `SwitchName`.
        value: What it takes, or `default`.
        who: For the audit log; `pressroom` is a rule of our own, which stands beside what people set.
        reason: Why; no key, no prompt.
        for_s: Seconds until it falls back to its default; None for ever.
        account_limit: Highest value that `concurrency` takes, when given; the gate never goes beyond it anyway.

    Raises:
        InvalidRequest: There is no such switch, or it does not take that value.
    """
    switch, value = parsed(name, value, account_limit=account_limit)
    if for_s is not None and not 0 < for_s <= LONGEST_S:
        raise InvalidRequest("for", for_s, "more than no time and at most ten years")
    if for_s is not None and value == DEFAULT:
        allowed = f"{DEFAULT} has no end: leave it out, or set the value that shall act for so long"
        raise InvalidRequest("for", for_s, allowed)
    await changed(connection, upstream)
    before = {one.name: one.value for one in await all_switches(connection, upstream)}[switch]
    rows = [switch + _OWN] if who == PRESSROOM else [switch, switch + _OWN]
    await connection.execute(
        sa.delete(switches).where(switches.c.upstream == upstream, switches.c.name.in_(rows))
    )
    until: int | None = None
    if value != DEFAULT:
        ends = None if for_s is None else now_ms() + int(for_s * 1000)
        row = {"upstream": upstream, "name": rows[0], "value": value, "set_by": who, "reason": reason}
        made = sa.insert(switches).values(**row, set_at=now_ms(), expires_at=ends)
        until = (await connection.execute(made.returning(switches.c.expires_at))).scalar_one()
    await audit.record(
        connection,
        upstream=upstream,
        who=who,
        action="switch.set",
        subject=switch,
        before=before,
        after=value if until is None else f"{value} until {rfc3339(until)}",
        reason=reason,
    )
    log.info("switch.set", switch=switch, value=value, who=who)


async def take_back(connection: AsyncConnection, upstream: str, name: SwitchName, *, reason: str) -> bool:
    """End what a rule of our own had set for `reason`; False when that no longer stands, as after a person's decision."""
    found = await connection.execute(
        sa.select(switches.c.name).where(
            switches.c.upstream == upstream, switches.c.name == name + _OWN, switches.c.reason == reason
        )
    )
    if found.first() is None:
        return False
    await set_switch(connection, upstream, name, DEFAULT, who=PRESSROOM, reason=f"{reason}: over")
    return True


async def expire(database: Database, upstream: str) -> int:
    """
    Remove what has expired and say so in the audit log; it had stopped acting at its time.

    Returns:
        How many rows were removed.
    """
    late = sa.and_(switches.c.upstream == upstream, switches.c.expires_at <= now_ms())
    async with database.read() as connection:
        if (await connection.execute(sa.select(switches.c.name).where(late).limit(1))).first() is None:
            return 0
    async with database.write() as connection:
        return await _remove_late(connection, upstream, late)


async def _remove_late(connection: AsyncConnection, upstream: str, late: sa.ColumnElement[bool]) -> int:
    await changed(connection, upstream)
    gone = (await connection.execute(sa.delete(switches).where(late).returning(switches))).mappings().all()
    for row in gone:
        await audit.record(
            connection,
            upstream=upstream,
            who=PRESSROOM,
            action="switch.expired",
            subject=row["name"].removesuffix(_OWN),
            before=row["value"],
            reason=f"set by {row['set_by']}: {row['reason']}",
        )
        log.info("switch.expired", switch=row["name"].removesuffix(_OWN), value=row["value"])
    return len(gone)
