"""The one POST that costs money, and the wait for what it bought."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pressroom.errors import (
    DatabaseError,
    GenerationNotFound,
    InvalidInput,
    InvalidRequest,
    KeyRefused,
    StorageError,
    VendorError,
)
from pressroom.generation import records
from pressroom.generation.durations import kind_of
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.generation.outcomes import LOST, UNSENDABLE, failed_generation, outcome_of
from pressroom.ideogram import Acknowledgement, Call, Status, polling_api
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pressroom.generation.context import Run
    from pressroom.ideogram import Generation

log = event_logger(__name__)

STALE = "this worker's lease is stale; it begins nothing until it beats again"


async def purchase(run: Run) -> bool:
    """
    Send the reserved attempt, once.

    Returns:
        True when it was accepted or bought and this run goes on with it; else the job has been moved on.
    """
    log.debug("run.purchasing", **run.facts)
    try:
        call = Call.from_json(run.job.call)
    except InvalidRequest as error:
        await records.record_outcome(run, UNSENDABLE, message=error.message)
        return False
    if not await _may_begin(run, call) or not await _begin(run):
        return False
    try:
        answer = await run.parts.client.send(call)
    except InvalidInput as error:  # found before anything left
        await records.record_outcome(run, UNSENDABLE, message=error.message)
        return False
    except VendorError as error:
        log.info("run.refused", **run.facts, error=type(error).__name__, status=error.status)
        await records.record_outcome(run, outcome_of(error), error=error)
        return False
    except Exception as error:  # a mistake of ours, after which nobody knows what left
        await records.record_outcome(run, LOST, message=f"{type(error).__name__} while sending")
        raise
    log.debug("run.posted", **run.facts)
    if isinstance(answer, Acknowledgement):
        return await records.record_accepted(run, answer.generation_id)
    return await records.record_bought(
        run, answer.images, cost_micros=None, generation_id=answer.generation_id
    )


async def _begin(run: Run) -> bool:
    """Commit `sending`; False when this run may not send after all."""
    asked_at = time.monotonic()
    try:
        began = await records.begin_sending(run)
    except DatabaseError as error:  # whether the commit arrived or not, nothing was sent
        await records.take_back(run, reason="database", message=error.message)
        return False
    if not began:
        log.info("run.superseded", **run.facts)
        return False
    log.debug("run.sending", **run.facts)
    # The commit, or a pause of this process, took so long that others may have counted us as dead meanwhile.
    if not run.parts.lease_is_fresh() or time.monotonic() - asked_at >= run.parts.fresh_s:
        await records.take_back(run, reason="worker", message=STALE)
        return False
    return True


async def _may_begin(run: Run, call: Call) -> bool:
    """Nothing is bought that this worker could not keep, or while others may count it as dead."""
    if not run.parts.lease_is_fresh():
        await records.take_back(run, reason="worker", message=STALE)
        return False
    try:
        await run.parts.keeping.check(call.num_images)
    except (StorageError, DatabaseError) as error:
        await records.take_back(run, reason="storage", message=error.message)
        return False
    return True


async def wait_for_end(run: Run, *, waited_s: float) -> bool:
    """
    Poll an accepted attempt until the vendor is done with it.

    Args:
        run: Whose.
        waited_s: Seconds that it has been waited for already, by runs before this one.

    Returns:
        True when it was bought and this run goes on with it; else the job has been moved on.
    """
    settings, durations = run.parts.settings, run.parts.durations
    kind = kind_of(run.job.call)
    began = time.monotonic()
    pending_at: float | None = None
    unknown_since: float | None = None
    slower_s = 0.0
    for wait in durations.waits(kind):
        await asyncio.sleep(max(wait, slower_s))
        slower_s = 0.0
        waited = time.monotonic() - began
        try:
            generation = await _poll(run)
        except GenerationNotFound as error:
            unknown_since = waited if unknown_since is None else unknown_since
            if waited - unknown_since >= settings.lost_id_s:
                return await _give_up_on_id(run, error)
        except KeyRefused as error:
            await records.leave(run, to=JobState.HELD, reason=HeldFor.KEY, message=error.message)
            return False
        except VendorError as error:  # 429, 5xx, a lost connection: a poll can be repeated
            slower_s = min(settings.backoff_max_s, error.retry_after or settings.poll_every_s)
            log.info("run.poll_failed", **run.facts, error=type(error).__name__)
        else:
            log.debug("run.polled", **run.facts, status=generation.status)
            if generation.status is not Status.PENDING:
                if waited_s == 0.0:
                    durations.learn(kind, pending_at=pending_at, ended_at=waited)
                return await _end(run, generation)
            pending_at, unknown_since = waited, None
        if waited_s + waited >= settings.pending_limit_s and not await _goes_on_pending(run):
            return False
    raise AssertionError("the waits never end")


async def _poll(run: Run) -> Generation:
    return await run.parts.client.poll(
        run.attempt.generation_id or "", api=polling_api(run.attempt.operation)
    )


async def _give_up_on_id(run: Run, error: GenerationNotFound) -> bool:
    message = f"{error.message}. {LOST.advice}"
    await records.record_uncertain(run, reason="unknown id", message=message, free_slot=True)
    return False


async def _goes_on_pending(run: Run) -> bool:
    """Make a generation that is pending for too long uncertain, once; False when a person has decided about it."""
    job, now = await records.read(run.parts, run.job.id)
    if now is None or now.id != run.attempt.id or now.owner != run.token:
        return False
    if job is not None and job.state is JobState.UNCERTAIN:
        return True
    limit = run.parts.settings.pending_limit_s
    message = f"the vendor has it pending for over {limit:.0f} s; polling goes on. {LOST.advice}"
    return await records.record_uncertain(run, reason="pending", message=message, free_slot=True)


async def _end(run: Run, generation: Generation) -> bool:
    if generation.status is Status.COMPLETED:
        return await records.record_bought(
            run, generation.images, cost_micros=generation.usage_cost_usd_micros, generation_id=None
        )
    failures = run.job.failures + 1
    outcome = failed_generation(generation, failures=failures, attempts=run.parts.settings.attempts)
    await records.record_outcome(
        run,
        outcome,
        message=f"the vendor accepted the generation and then failed it ({generation.failure_reason or 'no reason given'})",
        failures=1,
    )
    return False
