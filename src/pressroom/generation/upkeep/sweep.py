"""What must not be left lying: runs of dead workers, slots of lost answers, jobs that nobody owes a run."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.fleet import slots, workers
from pressroom.fleet.workers import WorkerState
from pressroom.generation.dispatch.giving import run_id
from pressroom.generation.jobs import ENDED, JobState, transition
from pressroom.generation.run.outcomes import backoff_s
from pressroom.generation.tables import jobs
from pressroom.spend.attempts import AttemptState, get_open_or_none
from pressroom.spend.attempts import transition as transition_attempt
from pressroom.spend.tables import attempts
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pressroom.database import Database
    from pressroom.engine import Engine
    from pressroom.settings import Settings
    from pressroom.storage import Spool

log = event_logger(__name__)

FORGET_WORKERS_S = 7 * 86400.0
"""Seconds that an ended worker is remembered, for people who look for it."""

UNOWED_BATCH = 500
"""Running jobs looked at in one sweep."""


class Sweep:
    """
    The maintenance tasks of the spine; each is safe to repeat and to interrupt.

    Args:
        database: Where the rows are.
        engine: Who owes the runs.
        settings: Lives and waits.
        upstream: Whose rows.
    """

    def __init__(self, *, database: Database, engine: Engine, settings: Settings, upstream: str) -> None:
        self._database = database
        self._engine = engine
        self._settings = settings
        self._upstream = upstream

    def tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """By name, in the order to do them."""
        return {
            "orphans": self.hand_on_orphans,
            "versions": self.restart_old_versions,
            "slots": self.free_lost_slots,
            "unowed": self.release_unowed,
            "workers": self.forget_workers,
        }

    async def hand_on_orphans(self) -> None:
        """Give the runs of workers that are gone to those that are there."""
        begun = await self._engine.under_way()
        live = {worker.id for worker in await self._live()}  # read later, so that a new worker is in it
        orphans = [run.workflow_id for run in begun if run.executor_id not in live]
        await self._engine.hand_on(orphans)
        if orphans:
            log.warning("runs.handed_on", count=len(orphans))

    async def restart_old_versions(self) -> None:
        """Give up runs that only a version without a live worker could start; `release_unowed` frees their jobs."""
        owed = await self._engine.all_owed()
        live = {worker.version for worker in await self._live()}
        stale = [run.workflow_id for run in owed if run.version not in live]
        await self._engine.abandon(stale)
        if stale:
            log.warning("runs.of_old_version", count=len(stale))

    async def free_lost_slots(self) -> None:
        """Free the slots of answers that never came."""
        async with self._database.write() as connection:
            freed = await slots.free_lost_slots(
                connection,
                self._upstream,
                life_s=self._settings.fleet.slot_life_s,
                pending_s=self._settings.generation.pending_limit_s,
            )
        if freed:
            log.warning("slots.freed", count=freed)

    async def release_unowed(self) -> None:
        """Queue running jobs that the engine owes nothing any more, as after a run that ended in an error of ours."""
        grace_ms = int(self._settings.fleet.beat_s * 2000)
        async with self._database.read() as connection:
            found = await connection.execute(
                sa.select(jobs.c.id, jobs.c.dispatches, jobs.c.backoffs)
                .where(
                    jobs.c.upstream == self._upstream,
                    jobs.c.state == JobState.RUNNING,
                    jobs.c.dispatched_at < now_ms() - grace_ms,
                )
                .order_by(jobs.c.dispatched_at)
                .limit(UNOWED_BATCH)
            )
            running = {run_id(row.id, row.dispatches): row for row in found}
        owed = await self._engine.owed(list(running))
        for workflow_id, row in running.items():
            if workflow_id not in owed:
                await self._release(row.id, row.dispatches, row.backoffs)

    async def _release(self, job_id: str, number: int, backoffs: int) -> None:
        generation = self._settings.generation
        async with self._database.write() as connection:
            if (
                await connection.execute(sa.select(jobs.c.dispatches).where(jobs.c.id == job_id))
            ).scalar_one() != number:
                return
            attempt = await get_open_or_none(connection, job_id)
            # Nothing was sent of a reserved one: it gives its slot back, or a few broken jobs would stop all others.
            if attempt is not None and await transition_attempt(
                connection, attempt.id, AttemptState.UNSOLD, only_from={AttemptState.RESERVED}
            ):
                attempt = None
            released = await transition(
                connection,
                job_id,
                JobState.QUEUED,
                only_from=frozenset({JobState.RUNNING}),
                reason="interrupted",
                message="its run ended without a word; another one follows",
                delay_s=backoff_s(backoffs, first_s=generation.backoff_s, most_s=generation.backoff_max_s),
                continuing=attempt is not None,
                backoffs=backoffs + 1,
            )
        if released:
            log.warning("job.released", job=job_id)

    async def tidy_spool(self, spool: Spool) -> None:
        """Remove what ended jobs left on this worker's disk; done by every worker for its own."""
        async with self._database.read() as connection:
            found = await connection.execute(
                sa.select(attempts.c.id)
                .join(jobs, jobs.c.id == attempts.c.job_id)
                .where(
                    attempts.c.id.in_(await asyncio.to_thread(spool.attempt_ids)),
                    # A job that could not bring home what it bought can be retried.
                    sa.or_(
                        jobs.c.state.not_in(ENDED),
                        sa.and_(jobs.c.state == JobState.FAILED, attempts.c.state == AttemptState.BOUGHT),
                    ),
                )
            )
            needed = set(found.scalars())
        keep = timedelta(seconds=self._settings.storage.spool_keep_s)
        removed = await asyncio.to_thread(spool.sweep, needed, min_age=keep)
        if removed:
            log.info("spool.tidied", count=len(removed))

    async def forget_workers(self) -> None:
        """Drop workers that ended long ago."""
        async with self._database.write() as connection:
            await workers.forget(connection, after_s=FORGET_WORKERS_S)

    async def _live(self) -> list[workers.Worker]:
        async with self._database.read() as connection:
            known = await workers.all_workers(connection, upstream=self._upstream)
        return [worker for worker in known if worker.state is WorkerState.LIVE]
