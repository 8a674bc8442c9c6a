"""Trials of open breakers: when one may go, and what its end means."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom import audit
from pressroom.database import now_ms
from pressroom.fleet.breakers import (
    ORDERED,
    Breaker,
    BreakerState,
    all_breakers,
    get_one_or_none,
    this,
    write,
)
from pressroom.fleet.controls import alone, changed
from pressroom.fleet.tables import breakers
from pressroom.notify.outbox import tell
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.settings import BreakerSettings

log = event_logger(__name__)


class Verdict(StrEnum):
    """How a trial ended."""

    BOUGHT = "bought"
    """The vendor sells again."""
    FAILED = "failed"
    """It failed in a way that the table of outcomes counts."""
    UNCERTAIN = "uncertain"
    """Nobody knows; it may have cost money."""
    NONE = "none"
    """It ended for a reason that says nothing about the vendor: refused, cancelled, never sent."""


async def trial_began(connection: AsyncConnection, upstream: str, family: str, *, attempt_id: str) -> bool:
    """Say which attempt is the trial; False when none is due any more. The caller has raised the version."""
    done = await connection.execute(
        sa.update(breakers)
        .where(this(upstream, family), breakers.c.state == BreakerState.OPEN)
        .values(state=BreakerState.TRYING, trial_attempt=attempt_id)
    )
    return done.rowcount == 1


async def trial_ended(
    connection: AsyncConnection,
    upstream: str,
    family: str,
    *,
    attempt_id: str,
    verdict: Verdict,
    settings: BreakerSettings,
) -> bool:
    """
    Close the breaker after a trial that was bought; else wait for the next one.

    A trial that was given up and then turns out to be bought closes it too, as long as no later one opened it anew.

    Returns:
        False when that attempt is not this breaker's trial (any more).
    """
    await alone(connection, upstream)
    before = await get_one_or_none(connection, upstream, family)
    if before is None or before.state is BreakerState.CLOSED or before.trial_attempt != attempt_id:
        return False
    if verdict is Verdict.BOUGHT:
        await _close(connection, before)
        return True
    if before.state is not BreakerState.TRYING:
        return False
    now = (await connection.execute(sa.select(now_ms()))).scalar_one()
    await changed(connection, upstream)
    await write(connection, before, **after_trial(before, verdict, now, settings))
    log.info("breaker.tried", family=family, verdict=verdict)
    return True


def after_trial(before: Breaker, verdict: Verdict, now: int, settings: BreakerSettings) -> dict[str, Any]:
    """What changes when a trial was not bought: the wait doubles for the vendor's failures only."""
    uncertain = before.uncertain + (verdict is Verdict.UNCERTAIN)
    if verdict is Verdict.NONE:
        wait_ms, pause_ms = before.wait_ms, int(settings.trial_s * 1000)
    else:
        wait_ms = min(before.wait_ms * 2, int(settings.trial_max_s * 1000))
        rare = uncertain >= settings.uncertain_trials
        pause_ms = max(wait_ms, int(settings.uncertain_trial_s * 1000)) if rare else wait_ms
    return {
        "state": BreakerState.OPEN,
        "trial_at": now + pause_ms,
        "wait_ms": wait_ms,
        "uncertain": uncertain,
    }


async def _close(connection: AsyncConnection, before: Breaker) -> None:
    await changed(connection, before.upstream)
    await write(
        connection,
        before,
        state=BreakerState.CLOSED,
        failures=0,
        trial_at=None,
        trial_attempt=None,
        uncertain=0,
    )
    await tell(
        connection,
        upstream=before.upstream,
        kind="breaker.closed",
        severity="P2",
        text=f"purchases of {before.family} go on: a trial was bought",
        facts={"family": before.family},
    )
    log.info("breaker.closed", family=before.family)


async def order_trial(connection: AsyncConnection, upstream: str, family: str, *, who: str) -> bool:
    """Let the family's next job go as a trial now, by a person's order. False when its breaker is not open."""
    await changed(connection, upstream)
    done = await connection.execute(
        sa.update(breakers)
        .where(this(upstream, family), breakers.c.state == BreakerState.OPEN)
        .values(trial_at=ORDERED)
    )
    if done.rowcount == 0:
        return False
    await audit.record(
        connection, upstream=upstream, who=who, action="trial.ordered", subject=family, reason="by hand"
    )
    return True


async def probed(connection: AsyncConnection, upstream: str, *, answered: bool) -> None:
    """Write down what the free probe saw, for every open breaker."""
    await changed(connection, upstream)
    await connection.execute(
        sa.update(breakers)
        .where(breakers.c.upstream == upstream, breakers.c.state == BreakerState.OPEN)
        .values(probed_at=now_ms(), probe_answered=answered)
    )


async def trials_under_way(connection: AsyncConnection, upstream: str) -> list[Breaker]:
    """Breakers whose trial is on its way."""
    return [one for one in await all_breakers(connection, upstream) if one.state is BreakerState.TRYING]
