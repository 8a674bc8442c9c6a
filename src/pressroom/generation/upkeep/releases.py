"""Releases: jobs that were held for something that is over wait for their turn again, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.audit import PRESSROOM
from pressroom.database import now_ms
from pressroom.fleet import stops, trials
from pressroom.fleet.switches import Batch, SwitchName, all_switches
from pressroom.fleet.trials import Verdict
from pressroom.generation.jobs import HeldFor, JobState, Priority, transition
from pressroom.generation.tables import jobs
from pressroom.spend.attempts import CLOSED, AttemptState
from pressroom.spend.tables import attempts
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database
    from pressroom.fleet.breakers import Breaker
    from pressroom.settings import Settings

log = event_logger(__name__)

AT_ONCE = 500
"""Jobs released in one transaction, so that other writers do not wait for long."""

_CAUSES = {HeldFor.CREDITS: stops.CREDITS, HeldFor.QUOTA: stops.QUOTA}
"""Which stop, while it stands, keeps the jobs held for a reason."""


async def release_held(
    connection: AsyncConnection, upstream: str, reason: str, *, limit: int, batch: bool = True
) -> int:
    """
    Queue jobs that are held for `reason`, oldest first.

    Args:
        connection: An open write transaction.
        upstream: Whose.
        reason: Of `HeldFor`.
        limit: Jobs at most.
        batch: Batch jobs too.

    Returns:
        How many were queued; fewer than `limit` when no more are held.
    """
    query = _HELD if batch else _HELD.where(jobs.c.priority != Priority.BATCH)
    found = await connection.execute(query, {"of_upstream": upstream, "why": reason, "most": limit})
    released = 0
    for row in found.all():
        released += await transition(
            connection,
            row.id,
            JobState.QUEUED,
            only_from=frozenset({JobState.HELD}),
            continuing=bool(row.continues),
            backoffs=0,
        )
    if released:
        log.info("jobs.released", reason=reason, count=released)
    return released


_HELD = (
    sa.select(
        jobs.c.id,
        sa.exists()
        .where(attempts.c.job_id == jobs.c.id, attempts.c.state.not_in(sorted(CLOSED)))
        .label("continues"),
    )
    .where(
        jobs.c.upstream == sa.bindparam("of_upstream"),
        jobs.c.state == JobState.HELD,
        jobs.c.reason == sa.bindparam("why"),
    )
    .order_by(jobs.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
    # In the order of their ids, so that neither two releases nor a release and a decision wait for each other in a circle.
    .with_for_update(of=jobs, skip_locked=True)
)


class Releases:
    """
    What the maintenance loop does about stops and trials; each task is safe to repeat and to interrupt.

    Args:
        database: Where the rows are.
        upstream: Whose.
        settings: Waits and limits.
    """

    def __init__(self, database: Database, upstream: str, *, settings: Settings) -> None:
        self._database = database
        self._upstream = upstream
        self._settings = settings

    async def release_lifted(self) -> None:
        """Queue what no stop on credits or quota holds any more; the keys' own watch sees to what a key held."""
        async with self._database.read() as connection:
            standing = {one.cause for one in await stops.all_stops(connection, self._upstream)}
        reasons = [reason for reason, cause in _CAUSES.items() if cause not in standing]
        for reason in reasons:
            while await self._some_are_held(reason) and await self._release(reason) == AT_ONCE:
                pass

    async def offer_trials(self) -> None:
        """
        Where a stop is due for a trial and no job waits that could be it, queue the oldest of those held for it.

        Batch jobs that a person has paused are no trial: neither those that wait nor those that are held.
        """
        async with self._database.read() as connection:
            now = await _now(connection)
            due = {
                one.cause for one in await stops.all_stops(connection, self._upstream) if one.trial_at <= now
            }
            batch = not await paused_by_a_person(connection, self._upstream)
            if not due or await self._anybody_waits(connection, batch=batch):
                return
        for reason, cause in _CAUSES.items():
            if cause in due:
                await self._release(reason, most=1, batch=batch)

    async def end_lost_trials(self) -> None:
        """See trials end that no run told of: their job was cancelled, their worker died, or nothing came for too long."""
        async with self._database.read() as connection:
            under_way = await trials.trials_under_way(connection, self._upstream)
        for breaker in under_way:
            async with self._database.write() as connection:
                verdict = await self._verdict_or_none(connection, breaker)
                if verdict is not None:
                    await trials.trial_ended(
                        connection,
                        self._upstream,
                        breaker.family,
                        attempt_id=breaker.trial_attempt or "",
                        verdict=verdict,
                        settings=self._settings.breaker,
                    )

    async def _verdict_or_none(self, connection: AsyncConnection, breaker: Breaker) -> Verdict | None:
        """What the trial's attempt says; None while it is under way."""
        found = await connection.execute(
            sa.select(attempts.c.state, attempts.c.created_at, now_ms().label("now")).where(
                attempts.c.id == breaker.trial_attempt
            )
        )
        row = found.one_or_none()
        if row is None:
            return Verdict.NONE
        longest_ms = 2 * self._settings.generation.pending_limit_s * 1000
        given_up = Verdict.UNCERTAIN if row.now - row.created_at > longest_ms else None
        return _VERDICTS.get(AttemptState(row.state), given_up)

    async def _some_are_held(self, reason: HeldFor) -> bool:
        async with self._database.read() as connection:
            found = await connection.execute(
                sa.select(jobs.c.id)
                .where(
                    jobs.c.upstream == self._upstream,
                    jobs.c.state == JobState.HELD,
                    jobs.c.reason == reason,
                )
                .limit(1)
            )
            return found.first() is not None

    async def _anybody_waits(self, connection: AsyncConnection, *, batch: bool) -> bool:
        waiting = sa.select(jobs.c.id).where(
            jobs.c.upstream == self._upstream,
            jobs.c.state == JobState.QUEUED,
            jobs.c.resting.is_(sa.false()),
            jobs.c.continuing.is_(sa.false()),
        )
        if not batch:
            waiting = waiting.where(jobs.c.priority != Priority.BATCH)
        return (await connection.execute(waiting.limit(1))).first() is not None

    async def _release(self, reason: HeldFor, *, most: int = AT_ONCE, batch: bool = True) -> int:
        async with self._database.write() as connection:
            return await release_held(connection, self._upstream, reason, limit=most, batch=batch)


async def paused_by_a_person(connection: AsyncConnection, upstream: str) -> bool:
    """Whether a person has paused batches; our own pause, for missing credits, lets a trial pass."""
    switched = {one.name: one for one in await all_switches(connection, upstream)}[SwitchName.BATCH]
    return switched.value == Batch.PAUSED and switched.set_by != PRESSROOM


_VERDICTS = {
    AttemptState.BOUGHT: Verdict.BOUGHT,
    AttemptState.UNSOLD: Verdict.NONE,
    AttemptState.UNCERTAIN: Verdict.UNCERTAIN,
    AttemptState.WRITTEN_OFF: Verdict.UNCERTAIN,
}
"""What the end of a trial means that its own run could not tell; an attempt in another state is under way."""


async def _now(connection: AsyncConnection) -> int:
    return (await connection.execute(sa.select(now_ms()))).scalar_one()
