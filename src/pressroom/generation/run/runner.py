"""The run: one execution of a job by this worker, beginning wherever the rows say that the job is."""

from __future__ import annotations

import asyncio
import secrets
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from pressroom.errors import NotFound
from pressroom.fleet.workers import WorkerState, get_one_or_none
from pressroom.generation.jobs import JobState
from pressroom.generation.run import records, settling
from pressroom.generation.run.bring_home import bring_home
from pressroom.generation.run.context import Parts, Run
from pressroom.generation.run.outcomes import LOST
from pressroom.generation.run.purchase import purchase, wait_for_end
from pressroom.spend.attempts import Attempt, AttemptState
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Callable

log = event_logger(__name__)


class Runner:
    """
    Carries out the runs that the engine starts in this process.

    Args:
        parts: What every run works with.
        worker_id: First half of every run's token.
        on_end: Called after each run, so that the dispatcher looks for the next job at once.
    """

    def __init__(self, parts: Parts, *, worker_id: str, on_end: Callable[[], None]) -> None:
        self._parts = parts
        self._worker_id = worker_id
        self._on_end = on_end
        self._active: dict[str, asyncio.Task[object] | None] = {}
        self._posting: set[str] = set()

    @property
    def active(self) -> int:
        """Runs under way."""
        return len(self._active)

    @property
    def posting(self) -> int:
        """Runs whose paid request is on its way; to stop them now would make them uncertain."""
        return len(self._posting)

    def cancel_all(self) -> None:
        """Stop every run where it is; the engine hands them on, and the next run reads where this one was."""
        for task in list(self._active.values()):
            if task is not None:
                task.cancel()

    async def run(self, job_id: str, number: int) -> str:
        """
        Take a job as far as it goes now.

        Args:
            job_id: Which.
            number: Its dispatch number; a run of an earlier one finds nothing to do.

        Returns:
            One word for the engine's record.
        """
        token = f"{self._worker_id}/{secrets.token_hex(8)}"
        self._active[token] = asyncio.current_task()
        try:
            return await self._run(job_id, number, token)
        except Exception as error:
            # The engine notes it, the sweep gives the job another run; values stay out of the log.
            log.error("run.crashed", job=job_id, error=type(error).__name__, at=_place(error))  # noqa: TRY400
            raise
        finally:
            del self._active[token]
            self._posting.discard(token)
            self._parts.waiters.moved(job_id)
            self._on_end()

    async def _run(self, job_id: str, number: int, token: str) -> str:
        job, attempt = await records.read(self._parts, job_id)
        if job is None:
            raise NotFound(f"job {job_id}: the engine owes it a run, but its row is gone")
        if job.upstream != self._parts.upstream:
            raise AssertionError(
                f"job {job_id} is for {job.upstream}; this worker speaks to {self._parts.upstream}"
            )
        polls_on = (
            job.state is JobState.UNCERTAIN and attempt is not None and attempt.generation_id is not None
        )
        if job.dispatches != number or attempt is None or not (job.state is JobState.RUNNING or polls_on):
            log.info("run.stale", job=job_id, dispatch=number, state=job.state)
            return "stale"
        run = Run(parts=self._parts, job=job, attempt=attempt, token=token)
        log.info("run.started", **run.facts, state=attempt.state)
        if attempt.state is not AttemptState.RESERVED and not await self._take_over(run, attempt):
            return "elsewhere"
        return await self._continue(run)

    async def _continue(self, run: Run) -> str:
        """Walk from the state that the attempt is in to the job's end, or to where it must wait."""
        nobody_knows = run.attempt.generation_id is None and run.attempt.state in {
            AttemptState.SENDING,
            AttemptState.UNCERTAIN,
        }
        if nobody_knows:
            message = f"the worker vanished while it was sending; the vendor may have accepted. {LOST.advice}"
            lost = await settling.record_uncertain(run, reason=LOST.reason, message=message, free_slot=False)
            return "lost" if lost else "overtaken"
        waited_s = 0.0
        if run.attempt.state is AttemptState.RESERVED:
            self._posting.add(run.token)
            goes_on = await purchase(run)
            self._posting.discard(run.token)
            if not goes_on:
                return "moved on"
        else:
            waited_s = await records.seconds_since(self._parts, run.attempt.sending_at)
        if run.attempt.state is not AttemptState.BOUGHT and not await wait_for_end(run, waited_s=waited_s):
            return "moved on"
        self._on_end()  # the slot is free
        await bring_home(run)
        return "done"

    async def _take_over(self, run: Run, attempt: Attempt) -> bool:
        """
        Replace the run that had this attempt.

        A purchase under way in a live worker is left to it, for as long as its request can last.
        """
        owner = (attempt.owner or "").partition("/")[0]
        if attempt.state is AttemptState.SENDING and owner and await self._can_be_sending(attempt):
            alive = attempt.owner in self._active if owner == self._worker_id else await self._is_live(owner)
            if alive:
                log.info("run.left_to_owner", **run.facts, owner=owner)
                return False
        return await records.take_over(run)

    async def _can_be_sending(self, attempt: Attempt) -> bool:
        """Whether the longest request that this fleet makes could still be under way."""
        client = self._parts.client_settings
        longest_s = client.pool_s + 2 * client.connect_s + max(client.sync_post_s, client.async_post_s)
        return await records.seconds_since(self._parts, attempt.sending_at) < longest_s

    async def _is_live(self, worker_id: str) -> bool:
        async def work() -> bool:
            async with self._parts.database.read() as connection:
                worker = await get_one_or_none(connection, worker_id)
            return worker is not None and worker.state is WorkerState.LIVE

        return await self._parts.database.patiently(work)


def _place(error: BaseException) -> str:
    """Where it was raised, as file and line."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
