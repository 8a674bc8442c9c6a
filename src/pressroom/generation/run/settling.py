"""How an attempt or a run ends short of its pictures: settled, left to another run, taken back, or uncertain.

Each is one transaction, repeated until the database has it; what it means for the whole fleet is in `consequences`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pressroom.errors import VendorError
from pressroom.fleet.sales import COUNTED
from pressroom.fleet.trials import Verdict
from pressroom.generation import jobs
from pressroom.generation.jobs import JobState
from pressroom.generation.run import consequences
from pressroom.generation.run.outcomes import MOST_RETRY_AFTER_S, Outcome, backoff_s, error_facts
from pressroom.spend import attempts
from pressroom.spend.attempts import AttemptState
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.errors import StorageError
    from pressroom.generation.run.context import Run

log = event_logger(__name__)


async def record_outcome(
    run: Run, outcome: Outcome, *, error: VendorError | None = None, message: str = "", failures: int = 0
) -> None:
    """
    Settle the attempt and move the job as `outcome` says; nothing when the attempt was settled already.

    Args:
        run: Whose.
        outcome: From the table of outcomes.
        error: What the vendor answered, kept on the attempt.
        message: What to tell when there is no error.
        failures: Failed generations to add to the job's count.
    """
    parts, settings = run.parts, run.parts.settings
    words = ". ".join(part for part in (str(error) if error else message, outcome.advice) if part)
    values: dict[str, Any] = {"continuing": False, "failures": run.job.failures + failures}
    delay = 0.0
    if outcome.job is JobState.QUEUED:
        delay = backoff_s(run.job.backoffs, first_s=settings.backoff_s, most_s=settings.backoff_max_s)
        delay = max(delay, min(MOST_RETRY_AFTER_S, (error.retry_after or 0.0) if error else 0.0))
        values["backoffs"] = run.job.backoffs + 1
    if outcome.job is JobState.FILTERED:
        values["filtered_count"] = run.job.request.get("num_images", 1)

    async def work() -> bool:
        async with parts.database.write() as connection:
            settled = await attempts.transition(
                connection,
                run.attempt.id,
                outcome.attempt,
                error=_facts(outcome, error, message),
            )
            if settled:
                await jobs.transition(
                    connection,
                    run.job.id,
                    outcome.job,
                    reason=outcome.reason,
                    message=words,
                    delay_s=delay,
                    **values,
                )
                await consequences.of_outcome(connection, run, outcome, error=error, message=words)
        return settled

    if await parts.database.patiently(work):
        log.info(
            "run.settled",
            **run.facts,
            attempt_state=outcome.attempt,
            job_state=outcome.job,
            reason=outcome.reason,
        )


def _facts(outcome: Outcome, error: VendorError | None, message: str) -> dict[str, Any]:
    facts = error_facts(error) if error else {"kind": outcome.reason, "message": message}
    return facts | ({COUNTED: True} if outcome.counts else {})


async def note_vendor_failure(run: Run, error: VendorError | StorageError) -> None:
    """Tell the fleet where the vendor failed (5xx) at a poll or a download; the run itself tries again."""
    if isinstance(error, VendorError) and (error.status or 0) >= 500:
        await consequences.of_free_failure(run, error.message)


async def leave(run: Run, *, to: JobState, reason: str, message: str) -> None:
    """
    End this run with its attempt open, and let the job have another run, without a new slot or reservation.

    Args:
        run: Whose.
        to: `queued` for another turn after a wait, `held` for a person.
        reason: One word.
        message: What is wrong and what to do.
    """

    async def work() -> None:
        async with run.parts.database.write() as connection:
            if await attempts.still_owned(connection, run.attempt.id, run.token):
                await _wait_again(connection, run, to, reason, message, continuing=True)

    await run.parts.database.patiently(work)
    log.info("run.left", **run.facts, to=to, reason=reason)


async def take_back(run: Run, *, reason: str, message: str, rest_s: float | None = None) -> None:
    """
    Settle an attempt that this run did not send, and queue the job for a new one.

    Args:
        run: Whose.
        reason: One word.
        message: What is wrong and what to do.
        rest_s: Seconds before its next turn, where this worker is at fault and another one may be fit; default: as
            the job's backoff says, which doubles with each.
    """
    if run.attempt.state is AttemptState.SENDING:
        # Only this run could have sent it, so that it did not is a fact, even if others have given it up meanwhile.
        guard: dict[str, Any] = {"only_from": {AttemptState.SENDING, AttemptState.UNCERTAIN}}
    else:
        # Another run's token stands for a request that may be on its way.
        guard = {"only_from": {AttemptState.RESERVED, AttemptState.SENDING}, "token": run.token}

    async def work() -> None:
        async with run.parts.database.write() as connection:
            error = {"kind": reason, "message": message}
            if await attempts.transition(
                connection, run.attempt.id, AttemptState.UNSOLD, error=error, **guard
            ):
                await _wait_again(
                    connection, run, JobState.QUEUED, reason, message, continuing=False, rest_s=rest_s
                )
                await consequences.end_trial(connection, run, Verdict.NONE)

    await run.parts.database.patiently(work)
    log.info("run.taken_back", **run.facts, reason=reason)


async def _wait_again(
    connection: AsyncConnection,
    run: Run,
    to: JobState,
    reason: str,
    message: str,
    *,
    continuing: bool,
    rest_s: float | None = None,
) -> None:
    settings = run.parts.settings
    backoff = backoff_s(run.job.backoffs, first_s=settings.backoff_s, most_s=settings.backoff_max_s)
    await jobs.transition(
        connection,
        run.job.id,
        to,
        reason=reason,
        message=message,
        delay_s=backoff if rest_s is None else rest_s,
        continuing=continuing,
        backoffs=run.job.backoffs + (rest_s is None),
    )


async def record_uncertain(run: Run, *, reason: str, message: str, free_slot: bool) -> bool:
    """
    Say that nobody knows, so that a person can decide; what was known already is kept.

    Args:
        run: Whose.
        reason: One word or two.
        message: What happened and what to do.
        free_slot: False for a lost answer, whose request may still be worked on until its slot's life is over.

    Returns:
        False when the attempt is no longer as this run knows it.
    """
    freed = {"slot": None} if free_slot else {}
    error = {"kind": reason, "message": message}

    async def work() -> bool:
        async with run.parts.database.write() as connection:
            changed = await attempts.transition(
                connection,
                run.attempt.id,
                AttemptState.UNCERTAIN,
                only_from={run.attempt.state},
                error=error,
                **freed,
            )
            known = changed or (
                run.attempt.state is AttemptState.UNCERTAIN
                and await attempts.still_owned(connection, run.attempt.id, run.token)
            )
            if known:
                await jobs.transition(
                    connection,
                    run.job.id,
                    JobState.UNCERTAIN,
                    reason=reason,
                    message=message,
                    continuing=False,
                )
            if changed:
                await consequences.end_trial(connection, run, Verdict.UNCERTAIN)
        return known

    known = await run.parts.database.patiently(work)
    if known:
        run.attempt = replace(run.attempt, state=AttemptState.UNCERTAIN)
        log.warning("run.uncertain", **run.facts, reason=reason)
    return known
