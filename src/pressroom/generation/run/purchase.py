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
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.generation.run import records, settling
from pressroom.generation.run.durations import kind_of
from pressroom.generation.run.outcomes import LOST, UNSENDABLE, failed_generation, outcome_of
from pressroom.generation.run.polling import poll
from pressroom.generation.upkeep.expiry import TOO_LATE, TOO_LATE_MESSAGE
from pressroom.ideogram import Acknowledgement, Call, Status
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pressroom.fleet.keys import LiveKey
    from pressroom.generation.run.context import Run
    from pressroom.ideogram import Generation

log = event_logger(__name__)

OTHER_KEY = "another worker may have a better one, or this one gets it within seconds"

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
        await settling.record_outcome(run, UNSENDABLE, message=error.message)
        return False
    with run.parts.keys.using() as key:  # it is not closed under the request
        if not await _may_begin(run, call, key) or not await _begin(run, key):
            return False
        return await _send(run, call, key)


async def _send(run: Run, call: Call, key: LiveKey) -> bool:
    try:
        answer = await key.client.send(call)
    except InvalidInput as error:  # found before anything left
        await settling.record_outcome(run, UNSENDABLE, message=error.message)
        return False
    except VendorError as error:
        log.info("run.refused", **run.facts, error=type(error).__name__, status=error.status)
        await settling.record_outcome(run, outcome_of(error), error=error)
        if isinstance(error, KeyRefused):
            run.parts.keys.stop(key.fingerprint)
        return False
    except Exception as error:  # a mistake of ours, after which nobody knows what left
        await settling.record_outcome(run, LOST, message=f"{type(error).__name__} while sending")
        raise
    log.debug("run.posted", **run.facts)
    if isinstance(answer, Acknowledgement):
        return await records.record_accepted(run, answer.generation_id)
    return await records.record_bought(
        run, answer.images, cost_micros=None, generation_id=answer.generation_id
    )


async def _begin(run: Run, key: LiveKey) -> bool:
    """Commit `sending`; False when this run may not send after all."""
    asked_at = time.monotonic()
    try:
        began = await records.begin_sending(run, key.fingerprint)
    except DatabaseError as error:  # whether the commit arrived or not, nothing was sent
        await settling.take_back(run, reason="database", message=error.message)
        return False
    if not began:
        log.info("run.superseded", **run.facts)
        return False
    log.debug("run.sending", **run.facts)
    # The commit, or a pause of this process, took so long that others may have counted us as dead meanwhile.
    if not run.parts.lease_is_fresh() or time.monotonic() - asked_at >= run.parts.fresh_s:
        await settling.take_back(run, reason="worker", message=STALE)
        return False
    return True


async def _may_begin(run: Run, call: Call, key: LiveKey) -> bool:
    """
    Look a last time before the money.

    Nothing is bought with a refused key, too late, against a switch, or that this worker could not keep, or while others
    may count it as dead.
    """
    keys = run.parts.keys
    if not keys.may_buy and not run.attempt.trial:
        message = f"the vendor refuses this worker's key ({key.fingerprint}); {OTHER_KEY}"
        keys.doubt()
        await settling.take_back(run, reason=HeldFor.KEY, message=message, rest_s=keys.rest_s)
        return False
    if not run.parts.lease_is_fresh():
        await settling.take_back(run, reason="worker", message=STALE)
        return False
    buy_before = run.job.buy_before
    if buy_before is not None and await records.seconds_since(run.parts, buy_before) >= 0:
        await settling.take_back(
            run, reason=TOO_LATE, message=TOO_LATE_MESSAGE, rest_s=0.0
        )  # dispatch ends it
        return False
    if (switched := await records.switched_off_or_none(run)) is not None:
        await settling.take_back(run, reason="switch", message=f"{switched}; nothing was sent", rest_s=0.0)
        return False
    try:
        await run.parts.keeping.check(call.num_images)
    except (StorageError, DatabaseError) as error:
        await settling.take_back(run, reason="storage", message=error.message)
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
            generation = await poll(run)
        except GenerationNotFound as error:
            unknown_since = waited if unknown_since is None else unknown_since
            if waited - unknown_since >= settings.lost_id_s:
                return await _give_up_on_id(run, error)
        except KeyRefused as error:
            await settling.leave(run, to=JobState.HELD, reason=HeldFor.KEY, message=error.message)
            return False
        except VendorError as error:  # 429, 5xx, a lost connection: a poll can be repeated
            slower_s = min(settings.backoff_max_s, error.retry_after or settings.poll_every_s)
            log.info("run.poll_failed", **run.facts, error=type(error).__name__)
            await settling.note_vendor_failure(run, error)
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


async def _give_up_on_id(run: Run, error: GenerationNotFound) -> bool:
    message = f"{error.message}. {LOST.advice}"
    await settling.record_uncertain(run, reason="unknown id", message=message, free_slot=True)
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
    return await settling.record_uncertain(run, reason="pending", message=message, free_slot=True)


async def _end(run: Run, generation: Generation) -> bool:
    if generation.status is Status.COMPLETED:
        return await records.record_bought(
            run, generation.images, cost_micros=generation.usage_cost_usd_micros, generation_id=None
        )
    failures = run.job.failures + 1
    outcome = failed_generation(generation, failures=failures, attempts=run.parts.settings.attempts)
    await settling.record_outcome(
        run,
        outcome,
        message=f"the vendor accepted the generation and then failed it ({generation.failure_reason or 'no reason given'})",
        failures=1,
    )
    return False
