"""Breakers: while the vendor fails, a family of operations buys nothing but a trial now and then.

    closed ──> open ──> trying ──> closed     only a trial that was bought closes it
                 ^         │
                 └─────────┘                  any other end of the trial

A breaker changes no job's outcome. It opens at so many counted failures in a row over the whole fleet, or at a share of them in
a window. A success writes nothing: whether there was one between two failures is looked up when a failure comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom.database import now_ms
from pressroom.fleet.controls import alone, changed
from pressroom.fleet.sales import counted_of, sold_since
from pressroom.fleet.tables import breakers
from pressroom.notify.outbox import tell
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.settings import BreakerSettings

log = event_logger(__name__)

ORDERED = 0
"""`trial_at` of a trial that a person ordered: it waits for no probe."""


class BreakerState(StrEnum):
    """Whether a family buys."""

    CLOSED = "closed"
    """It does."""
    OPEN = "open"
    """It does not; a trial may be due."""
    TRYING = "trying"
    """One trial is on its way."""


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """
    One family's breaker; times in milliseconds since the epoch.

    Attributes:
        failures: Counted in a row, without a success between.
        failed_at: When the last one was counted.
        trial_at: When the next trial may go; `ORDERED` by a person.
        wait_ms: Between the last trial and the next.
        uncertain: Trials that ended so since it opened.
        trial_attempt: The trial on its way.
        probe_answered: Whether the vendor answered the free probe of `probed_at`.
        message: The failure that opened it.
    """

    upstream: str
    family: str
    state: BreakerState
    failures: int
    failed_at: int | None
    opened_at: int | None
    trial_at: int | None
    wait_ms: int
    uncertain: int
    trial_attempt: str | None
    probed_at: int | None
    probe_answered: bool | None
    message: str | None

    def trial_is_due(self, now: int, *, probe_s: float) -> bool:
        """Whether a trial may go now: its time has come and the vendor lately answered the free probe, or a person said so."""
        if self.state is not BreakerState.OPEN or self.trial_at is None:
            return False
        if self.trial_at == ORDERED:
            return True
        heard = bool(self.probe_answered) and now - (self.probed_at or 0) <= PROBES_BELIEVED * probe_s * 1000
        return self.trial_at <= now and heard


PROBES_BELIEVED = 4
"""Times `breaker.probe_s` that an answer of the probe is believed: the loop that probes may be late, or change its place."""

_ALL = (
    sa.select(breakers).where(breakers.c.upstream == sa.bindparam("of_upstream")).order_by(breakers.c.family)
)


async def all_breakers(connection: AsyncConnection, upstream: str) -> list[Breaker]:
    """Every breaker of a family that ever failed."""
    found = await connection.execute(_ALL, {"of_upstream": upstream})
    return [_breaker(row) for row in found.mappings()]


async def get_one_or_none(connection: AsyncConnection, upstream: str, family: str) -> Breaker | None:
    """The breaker of a family; None while it never failed."""
    found = await connection.execute(sa.select(breakers).where(this(upstream, family)))
    row = found.mappings().one_or_none()
    return None if row is None else _breaker(row)


async def failed(
    connection: AsyncConnection, upstream: str, family: str, *, message: str, settings: BreakerSettings
) -> bool:
    """
    Count one failure of the vendor's, and open the breaker when it is one too many.

    Args:
        connection: The transaction that settled the attempt.
        upstream: Whose.
        family: Of the operation that failed.
        message: What happened, without the request.
        settings: What is too many.

    Returns:
        True when this one opened it.
    """
    await alone(connection, upstream)
    now = (await connection.execute(sa.select(now_ms()))).scalar_one()
    await _make(connection, upstream, family)
    before = await get_one_or_none(connection, upstream, family)
    assert before is not None
    row = before.failures
    if row and await sold_since(connection, upstream, family, before.failed_at or 0):
        row = 0
    await write(connection, before, failures=row + 1, failed_at=now)
    if before.state is not BreakerState.CLOSED:
        return False
    too_many = row + 1 >= settings.failures or await _share_is_too_high(connection, before, settings)
    if too_many:
        await _open(connection, before, failures=row + 1, now=now, message=message, settings=settings)
    return too_many


async def _share_is_too_high(
    connection: AsyncConnection, breaker: Breaker, settings: BreakerSettings
) -> bool:
    """The outage before the last trial does not count again."""
    counted, all_of_them = await counted_of(
        connection,
        breaker.upstream,
        breaker.family,
        window_s=settings.window_s,
        since=breaker.opened_at or 0,
    )
    return all_of_them >= settings.minimum and counted >= settings.rate * all_of_them


async def _open(
    connection: AsyncConnection,
    before: Breaker,
    *,
    failures: int,
    now: int,
    message: str,
    settings: BreakerSettings,
) -> None:
    wait_ms = int(settings.trial_s * 1000)
    await changed(connection, before.upstream)
    await write(
        connection,
        before,
        state=BreakerState.OPEN,
        opened_at=now,
        trial_at=now + wait_ms,
        wait_ms=wait_ms,
        uncertain=0,
        trial_attempt=None,
        probed_at=None,
        probe_answered=None,
        message=message,
    )
    await tell(
        connection,
        upstream=before.upstream,
        kind="breaker.opened",
        severity="P2",
        text=f"purchases of {before.family} stop: the vendor fails ({message}). They begin again by themselves, "
        f"or with `pressroom breaker try {before.family}`",
        facts={"family": before.family, "failures": failures},
    )
    log.warning("breaker.opened", family=before.family, failures=failures)


async def _make(connection: AsyncConnection, upstream: str, family: str) -> None:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    await connection.execute(
        insert(breakers)
        .values(
            upstream=upstream,
            family=family,
            state=BreakerState.CLOSED,
            failures=0,
            wait_ms=0,
            uncertain=0,
        )
        .on_conflict_do_nothing(index_elements=["upstream", "family"])
    )


async def write(connection: AsyncConnection, breaker: Breaker, **values: Any) -> None:
    """Change a row that was read under the lock of `alone`."""
    await connection.execute(
        sa.update(breakers).where(this(breaker.upstream, breaker.family)).values(**values)
    )


def this(upstream: str, family: str) -> sa.ColumnElement[bool]:
    """The row of a family's breaker."""
    return sa.and_(breakers.c.upstream == upstream, breakers.c.family == family)


def _breaker(row: Any) -> Breaker:
    return Breaker(**{**row, "state": BreakerState(row["state"])})
