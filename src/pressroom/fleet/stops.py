"""Stops: the vendor refuses the key or the account, so that no purchase may begin, but for a trial now and then.

Without them a revoked key or an empty account would walk a whole queue into `held`, one refusal each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom import audit
from pressroom.audit import PRESSROOM
from pressroom.database import now_ms
from pressroom.fleet.controls import changed
from pressroom.fleet.switches import Batch, SwitchName, set_switch, take_back
from pressroom.fleet.tables import stops
from pressroom.notify.outbox import tell
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

log = event_logger(__name__)

CREDITS = "credits"
"""The account has no credit left."""
QUOTA = "quota"
"""The account's daily quota is used up."""
_KEY = "key:"

_LIFTED = "stop.lifted"

_TOLD = {
    CREDITS: ("credits.exhausted", "P2"),
    QUOTA: ("quota.exhausted", "P2"),
    _KEY: ("key.stopped", "P1"),
}
"""Kind and severity of the notice that each cause makes."""


def key_cause(fingerprint: str) -> str:
    """The cause for a refused key, told by its fingerprint."""
    return _KEY + fingerprint


@dataclass(frozen=True, kw_only=True)
class Stop:
    """
    One reason why nothing is sold to this account or key.

    Attributes:
        cause: `credits`, `quota` or `key:{fingerprint}`.
        since: Milliseconds since the epoch.
        trial_at: When one purchase may go to see whether it is over; a key is tried by a free request instead.
        message: The refusal, and what to do.
    """

    upstream: str
    cause: str
    since: int
    trial_at: int
    message: str

    @property
    def of_key(self) -> bool:
        """Whether it is a key that is refused."""
        return self.cause.startswith(_KEY)


def standing_for(found: Iterable[Stop], fingerprints: Collection[str]) -> list[Stop]:
    """
    Those stops that hold while purchases are made with any of these keys.

    A key's counts only where every one of them is stopped; without any key all stops count.
    """
    everything = list(found)
    causes = {key_cause(one) for one in fingerprints}
    stopped = {one.cause for one in everything if one.of_key}
    return [
        one
        for one in everything
        if not one.of_key or not causes or (causes <= stopped and one.cause in causes)
    ]


_STANDING = sa.select(stops).where(stops.c.upstream == sa.bindparam("of_upstream")).order_by(stops.c.since)


async def all_stops(connection: AsyncConnection, upstream: str) -> list[Stop]:
    """Every stop that stands, oldest first."""
    found = await connection.execute(_STANDING, {"of_upstream": upstream})
    return [Stop(**row) for row in found.mappings()]


async def stop(
    connection: AsyncConnection, upstream: str, cause: str, *, trial_in_s: float, message: str
) -> bool:
    """
    Stop purchases, or put the next trial off where they are stopped already.

    A new stop tells people. One for credits also pauses batches, which a person may undo, and `lift` does.

    Args:
        connection: An open write transaction.
        upstream: Whose.
        cause: `credits`, `quota` or `key_cause(fingerprint)`.
        trial_in_s: Seconds until one purchase may go to see whether it is over.
        message: The refusal, and what to do; never a key.

    Returns:
        True when it is new.
    """
    await changed(connection, upstream)
    trial_at = now_ms() + int(trial_in_s * 1000)
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    made = await connection.execute(
        insert(stops)
        .values(upstream=upstream, cause=cause, since=now_ms(), trial_at=trial_at, message=message)
        .on_conflict_do_nothing(index_elements=["upstream", "cause"])
        .returning(stops.c.cause)
    )
    if made.first() is None:
        await connection.execute(
            sa.update(stops).where(_this(upstream, cause)).values(trial_at=trial_at, message=message)
        )
        return False
    log.warning("stop.set", cause=cause, message=message)
    kind, severity = _TOLD[cause if cause in _TOLD else _KEY]
    await tell(
        connection, upstream=upstream, kind=kind, severity=severity, text=message, facts={"cause": cause}
    )
    if cause == CREDITS:
        await set_switch(connection, upstream, SwitchName.BATCH, Batch.PAUSED, who=PRESSROOM, reason=CREDITS)
    return True


async def lift(
    connection: AsyncConnection,
    upstream: str,
    cause: str,
    *,
    who: str = PRESSROOM,
    reason: str = "sold again",
) -> bool:
    """
    Let purchases begin again; `generation.upkeep.releases` then queues what was held for it.

    Returns:
        False when there was no such stop.
    """
    found = await connection.execute(sa.select(stops.c.cause).where(_this(upstream, cause)))
    if found.first() is None:
        return False
    await changed(connection, upstream)
    gone = await connection.execute(sa.delete(stops).where(_this(upstream, cause)).returning(stops.c.message))
    message = gone.scalar_one_or_none()
    if message is None:
        return False
    await audit.record(
        connection,
        upstream=upstream,
        who=who,
        action=_LIFTED,
        subject=cause,
        before=message,
        reason=reason,
    )
    if cause == CREDITS:
        await take_back(connection, upstream, SwitchName.BATCH, reason=CREDITS)
    log.info("stop.lifted", cause=cause, who=who)
    return True


async def lifted_since(connection: AsyncConnection, upstream: str, cause: str, millis: int) -> bool:
    """Whether it was lifted after that time: then a refusal of something sent before says nothing new."""
    log_of = audit.audit
    found = await connection.execute(
        sa.select(log_of.c.id)
        .where(
            log_of.c.upstream == upstream,
            log_of.c.action == _LIFTED,
            log_of.c.subject == cause,
            log_of.c.at > millis,
        )
        .limit(1)
    )
    return found.first() is not None


async def trial_taken(
    connection: AsyncConnection, upstream: str, causes: Sequence[str], *, again_in_ms: int
) -> bool:
    """Count the trial of these stops as begun: the next one may go after `again_in_ms`. False when it was taken before."""
    done = await connection.execute(
        sa.update(stops)
        .where(stops.c.upstream == upstream, stops.c.cause.in_(causes), stops.c.trial_at <= now_ms())
        .values(trial_at=now_ms() + again_in_ms)
    )
    return done.rowcount > 0


async def order_trial(connection: AsyncConnection, upstream: str, cause: str, *, who: str) -> bool:
    """Let the next job go as a trial now, by a person's order. False when no such stop is tried by buying: a key's never is."""
    if cause.startswith(_KEY):
        return False
    await changed(connection, upstream)
    done = await connection.execute(sa.update(stops).where(_this(upstream, cause)).values(trial_at=now_ms()))
    if done.rowcount == 0:
        return False
    await audit.record(
        connection, upstream=upstream, who=who, action="trial.ordered", subject=cause, reason="by hand"
    )
    return True


def _this(upstream: str, cause: str) -> sa.ColumnElement[bool]:
    return sa.and_(stops.c.upstream == upstream, stops.c.cause == cause)
