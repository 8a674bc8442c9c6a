"""What a settled attempt means for the whole fleet: breaker, stops and limit, in the transaction that settles it.

Rows are locked in one order everywhere, so that no two transactions wait for each other: the attempt, the counters of its
money, its job, then the upstream's controls, under whose lock everything of the fleet is changed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from pressroom.audit import PRESSROOM
from pressroom.database import now_ms
from pressroom.errors import DatabaseError, InflightLimit
from pressroom.fleet import breakers, limit, stops
from pressroom.fleet.controls import alone
from pressroom.fleet.families import family_of
from pressroom.fleet.stops import CREDITS, QUOTA, key_cause
from pressroom.fleet.switches import SwitchName, all_switches, set_switch
from pressroom.fleet.trials import Verdict, trial_ended
from pressroom.generation.run.outcomes import Stopping
from pressroom.notify.outbox import tell
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database
    from pressroom.errors import VendorError
    from pressroom.generation.run.context import Run
    from pressroom.generation.run.outcomes import Outcome
    from pressroom.settings import Settings

log = event_logger(__name__)

DAY_MS = 86_400_000
"""Milliseconds of a day; days of the epoch begin at 00:00 UTC, when the vendor's daily quota opens again."""

CLOCKS_DIFFER_MS = 900_000
"""Milliseconds that the vendor's midnight may come after ours. A trial refused that early would else cost a whole day."""

_SENT = sa.select(
    sa.func.coalesce(attempts.c.sending_at, attempts.c.created_at).label("at"), now_ms().label("now")
).where(attempts.c.id == sa.bindparam("of_attempt"))


async def of_outcome(
    connection: AsyncConnection, run: Run, outcome: Outcome, *, error: VendorError | None, message: str
) -> None:
    """
    Tell the fleet what became of an attempt that was not sold.

    Args:
        connection: The transaction that settled it.
        run: Whose.
        outcome: What became of it.
        error: What the vendor answered, where it did.
        message: What happened, without the request.
    """
    if not (outcome.counts or outcome.stops or outcome.limits or run.attempt.trial):
        return
    settings = run.parts.all_settings
    await alone(connection, run.job.upstream)
    if run.attempt.trial:
        await end_trial(connection, run, _verdict(outcome))
    if outcome.counts:
        what = _what_happened(str(error) if error else message)
        await breakers.failed(
            connection, run.job.upstream, _family(run), message=what, settings=settings.breaker
        )
    if outcome.stops or outcome.limits:
        sent = (await connection.execute(_SENT, {"of_attempt": run.attempt.id})).one()
        if outcome.stops:
            await _stop(connection, run, outcome.stops, sent, message=message, settings=settings)
        if outcome.limits:
            await _learn(connection, run.job.upstream, error, sent_at_ms=sent.at, settings=settings)


def _what_happened(message: str) -> str:
    """The failure without what to do about the one request: `HTTP 503` is what the breaker is about."""
    return message.partition(": ")[0]


def _verdict(outcome: Outcome) -> Verdict:
    if outcome.attempt is AttemptState.UNCERTAIN:
        return Verdict.UNCERTAIN
    return Verdict.FAILED if outcome.counts else Verdict.NONE


async def of_sale(connection: AsyncConnection, run: Run) -> None:
    """A trial that was bought: its breaker closes, and what refused the account no longer stands. Others write nothing."""
    if not run.attempt.trial:
        return
    upstream = run.job.upstream
    await alone(connection, upstream)
    await end_trial(connection, run, Verdict.BOUGHT)
    sent = (await connection.execute(_SENT, {"of_attempt": run.attempt.id})).one()
    ours = run.attempt.key_fingerprint or ""
    for standing in stops.standing_for(await stops.all_stops(connection, upstream), [ours]):
        if standing.since <= sent.at:
            await stops.lift(connection, upstream, standing.cause)


async def end_trial(connection: AsyncConnection, run: Run, verdict: Verdict) -> None:
    """The trial of a breaker is over; nothing for any other attempt."""
    if run.attempt.trial:
        await trial_ended(
            connection,
            run.job.upstream,
            _family(run),
            attempt_id=run.attempt.id,
            verdict=verdict,
            settings=run.parts.all_settings.breaker,
        )


async def _stop(
    connection: AsyncConnection, run: Run, what: Stopping, sent: Any, *, message: str, settings: Settings
) -> None:
    fleet = settings.fleet
    cause, trial_in_s = {
        Stopping.KEY: (key_cause(run.attempt.key_fingerprint or "unknown"), fleet.key_trial_s),
        Stopping.CREDITS: (CREDITS, fleet.refused_trial_s),
        Stopping.QUOTA: (QUOTA, quota_trial_s(sent.now, again_s=fleet.refused_trial_s)),
    }[what]
    if await stops.lifted_since(connection, run.job.upstream, cause, sent.at):
        return  # sent before it was lifted: the next purchase will tell
    await stops.stop(connection, run.job.upstream, cause, trial_in_s=trial_in_s, message=message)


def quota_trial_s(now: int, *, again_s: float) -> float:
    """
    Seconds until the daily quota is tried again: at 00:00 UTC.

    Args:
        now: The database's clock, milliseconds since the epoch.
        again_s: Seconds between trials just after midnight, when the vendor's clock may say that it is still yesterday.
    """
    into_day_ms = now % DAY_MS
    return again_s if into_day_ms < CLOCKS_DIFFER_MS else (DAY_MS - into_day_ms) / 1000


async def _learn(
    connection: AsyncConnection,
    upstream: str,
    error: VendorError | None,
    *,
    sent_at_ms: int,
    settings: Settings,
) -> None:
    stated, queue = (error.max_inflight, error.queue) if isinstance(error, InflightLimit) else (None, None)
    refusals = await limit.refused(
        connection, upstream, sent_at_ms=sent_at_ms, stated=stated, queue=queue, settings=settings
    )
    if refusals.sustained:
        await _calm(connection, upstream, settings)


async def _calm(connection: AsyncConnection, upstream: str, settings: Settings) -> None:
    """The documents' reaction to sustained refusals, unless fewer are allowed already."""
    calm = settings.limit.calm
    now = {one.name: one.value for one in await all_switches(connection, upstream)}[SwitchName.CONCURRENCY]
    if int(now or settings.fleet.concurrency) <= calm:
        return
    await set_switch(
        connection,
        upstream,
        SwitchName.CONCURRENCY,
        str(calm),
        who=PRESSROOM,
        reason="the vendor keeps answering that too many requests are in flight",
        for_s=settings.limit.calm_s,
    )
    await tell(
        connection,
        upstream=upstream,
        kind="limit.sustained",
        severity="P2",
        text=f"the vendor refused more than {settings.limit.many} purchases in a row for too many in flight; concurrency is "
        f"{calm} for {settings.limit.calm_s:.0f} s. Another user of the key may be the reason",
    )


NOTE_EVERY_S = 1.0
"""Seconds between two failures of polls or downloads that one process counts: one outage shows in every run at once."""

_noted: WeakKeyDictionary[Database, dict[str, float]] = WeakKeyDictionary()


async def of_free_failure(run: Run, message: str) -> None:
    """
    Count that the vendor failed at a poll or a download, at most once in `NOTE_EVERY_S` for each family in this process.

    The run goes on whatever becomes of it.
    """
    noted = _noted.setdefault(run.parts.database, {})
    family, now = _family(run), time.monotonic()
    if now - noted.get(family, float("-inf")) < NOTE_EVERY_S:
        return
    noted[family] = now
    try:
        async with run.parts.database.write() as connection:
            await breakers.failed(
                connection,
                run.job.upstream,
                family,
                message=_what_happened(message),
                settings=run.parts.all_settings.breaker,
            )
    except DatabaseError as failure:  # the next one counts; this run has what is paid for to look after
        log.warning("breaker.not_counted", **run.facts, error=type(failure).__name__)


def _family(run: Run) -> str:
    return family_of(run.attempt.operation)
