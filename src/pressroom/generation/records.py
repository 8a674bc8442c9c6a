"""What a run writes: one transaction for each fact, repeated until the database has it.

A job that ends well costs six commits: admission, dispatch, `sending`, `accepted`, `bought`, home; five on a wire that
answers at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.catalog import assets as catalog
from pressroom.database import now_ms
from pressroom.generation import jobs
from pressroom.generation.jobs import JobState
from pressroom.generation.outcomes import MOST_RETRY_AFTER_S, Outcome, backoff_s, error_facts
from pressroom.spend import attempts
from pressroom.spend.attempts import Attempt, AttemptState
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.catalog.assets import Asset
    from pressroom.errors import VendorError
    from pressroom.generation.context import Parts, Run
    from pressroom.generation.jobs import Job
    from pressroom.ideogram import Generation, Image

log = event_logger(__name__)

_KNOWN = frozenset({AttemptState.ACCEPTED, AttemptState.BOUGHT})
"""An attempt in one of these has something to go on with."""

_AS_EXPECTED = frozenset({AttemptState.SENDING, AttemptState.ACCEPTED})
"""An attempt in one of these is what the run that learns something about it left it in."""


async def read(parts: Parts, job_id: str) -> tuple[Job | None, Attempt | None]:
    """The job and its open attempt, as their rows are now."""

    async def work() -> tuple[Job | None, Attempt | None]:
        async with parts.database.read() as connection:
            job = await jobs.get_one_or_none(connection, job_id)
            return job, await attempts.get_open_or_none(connection, job_id)

    return await parts.database.patiently(work)


async def seconds_since(parts: Parts, millis: int | None) -> float:
    """Seconds since a row's time, by the database's clock; 0 for a time that is not set."""

    async def work() -> float:
        async with parts.database.read() as connection:
            now = (await connection.execute(sa.select(now_ms()))).scalar_one()
        return 0.0 if millis is None else (now - millis) / 1000

    return await parts.database.patiently(work)


async def begin_sending(run: Run) -> bool:
    """
    Write ahead of the money: after this commit the attempt may have been sent.

    Returns:
        False when another run has it, or it was cancelled.
    """
    parts = run.parts

    async def work() -> bool:
        async with parts.database.write() as connection:
            return await attempts.transition(
                connection,
                run.attempt.id,
                AttemptState.SENDING,
                owner=run.token,
                key_fingerprint=parts.key_fingerprint,
            )

    # Not patiently: while the database is away nothing was sent, and the engine starts the run anew.
    if not await work():
        return False
    run.attempt = replace(run.attempt, state=AttemptState.SENDING, owner=run.token)
    return True


async def take_over(run: Run) -> bool:
    """Make this run the one that continues the attempt; False when another one was faster."""

    async def work() -> bool:
        async with run.parts.database.write() as connection:
            return await attempts.claim(connection, run.attempt, run.token)

    if not await run.parts.database.patiently(work):
        return False
    run.attempt = replace(run.attempt, owner=run.token)
    return True


async def record_accepted(run: Run, generation_id: str) -> bool:
    """The vendor gave an id. Returns whether this run goes on with it."""
    return await _record(run, AttemptState.ACCEPTED, generation_id=generation_id)


async def record_bought(
    run: Run, images: Sequence[Image], *, cost_micros: int | None, generation_id: str | None
) -> bool:
    """The vendor delivered: money settled, slot freed. Returns whether this run goes on to bring the images home."""
    facts: dict[str, Any] = {"answer": [image.to_json() for image in images], "spool": run.parts.spool_id}
    if cost_micros is not None:
        facts["cost_micros"] = cost_micros
    if generation_id is not None:
        facts["generation_id"] = generation_id
    return await _record(run, AttemptState.BOUGHT, **facts)


async def _record(run: Run, to: AttemptState, **facts: Any) -> bool:
    parts = run.parts

    async def work() -> Attempt | None:
        async with parts.database.write() as connection:
            moved = False
            if not await attempts.transition(connection, run.attempt.id, to, only_from=_AS_EXPECTED, **facts):
                moved = await _record_unexpected(connection, run, to, facts)
            now = await attempts.get_open_or_none(connection, run.job.id)
        return None if moved or now is None or now.id != run.attempt.id else now

    now = await parts.database.patiently(work)
    if now is None or now.owner != run.token or now.state not in _KNOWN:
        log.warning("run.overtaken", **run.facts)
        return False
    run.attempt = now
    if now.state is AttemptState.BOUGHT:
        log.info("run.bought", **run.facts)
    else:
        log.info("run.accepted", **run.facts)
    return True


async def _record_unexpected(
    connection: AsyncConnection, run: Run, to: AttemptState, facts: dict[str, Any]
) -> bool:
    """A fact about an attempt that was uncertain sends its job on its way again, with a run of its own."""
    if await attempts.transition(connection, run.attempt.id, to, only_from={AttemptState.UNCERTAIN}, **facts):
        return await jobs.transition(
            connection,
            run.job.id,
            JobState.QUEUED,
            only_from=frozenset({JobState.UNCERTAIN}),
            continuing=True,
        )
    await _note_late(connection, run, facts)
    return False


async def _note_late(connection: AsyncConnection, run: Run, facts: dict[str, Any]) -> None:
    """Keep what came too late for the state, such as the id of an attempt that was written off."""
    late = {name: facts[name] for name in ("generation_id", "answer") if name in facts}
    await attempts.note(connection, run.attempt.id, **late)


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
                error=error_facts(error) if error else {"kind": outcome.reason, "message": message},
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
        return settled

    if await parts.database.patiently(work):
        log.info(
            "run.settled",
            **run.facts,
            attempt_state=outcome.attempt,
            job_state=outcome.job,
            reason=outcome.reason,
        )


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


async def take_back(run: Run, *, reason: str, message: str) -> None:
    """
    Settle an attempt that this run did not send, and queue the job for a new one.

    Args:
        run: Whose.
        reason: One word.
        message: What is wrong and what to do.
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
                await _wait_again(connection, run, JobState.QUEUED, reason, message, continuing=False)

    await run.parts.database.patiently(work)
    log.info("run.taken_back", **run.facts, reason=reason)


async def _wait_again(
    connection: AsyncConnection, run: Run, to: JobState, reason: str, message: str, *, continuing: bool
) -> None:
    settings = run.parts.settings
    await jobs.transition(
        connection,
        run.job.id,
        to,
        reason=reason,
        message=message,
        delay_s=backoff_s(run.job.backoffs, first_s=settings.backoff_s, most_s=settings.backoff_max_s),
        continuing=continuing,
        backoffs=run.job.backoffs + 1,
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
        return known

    known = await run.parts.database.patiently(work)
    if known:
        run.attempt = replace(run.attempt, state=AttemptState.UNCERTAIN)
        log.warning("run.uncertain", **run.facts, reason=reason)
    return known


async def note_answer(run: Run, generation: Generation) -> None:
    """Keep fresh addresses of images that are already bought."""
    answer = [image.to_json() for image in generation.images]

    async def work() -> None:
        async with run.parts.database.write() as connection:
            await attempts.note(connection, run.attempt.id, answer=answer)

    await run.parts.database.patiently(work)
    run.attempt = replace(run.attempt, answer=answer)


async def note_spool(run: Run) -> None:
    """Say whose disk holds the images now, where that was another one's."""
    if run.attempt.spool == run.parts.spool_id:
        return

    async def work() -> None:
        async with run.parts.database.write() as connection:
            await attempts.note(connection, run.attempt.id, spool=run.parts.spool_id)

    await run.parts.database.patiently(work)
    run.attempt = replace(run.attempt, spool=run.parts.spool_id)


async def record_home(
    run: Run,
    found: Sequence[Asset],
    *,
    state: JobState,
    filtered_count: int,
    missing: list[dict[str, Any]],
    message: str | None,
) -> bool:
    """The records and the job's end in one transaction. False when another run has taken over."""
    parts = run.parts

    async def work() -> bool:
        async with parts.database.write() as connection:
            if not await attempts.still_owned(connection, run.attempt.id, run.token):
                return False
            await catalog.add(connection, found)
            ended = await jobs.transition(
                connection,
                run.job.id,
                state,
                reason=None if state is JobState.COMPLETED else ("missing" if missing else "refused"),
                message=message,
                continuing=False,
                filtered_count=filtered_count,
                missing=missing,
            )
            if ended:
                return True
            # A repeated transaction whose first answer was lost finds the job ended as it should be.
            now = await jobs.get_one_or_none(connection, run.job.id)
        return now is not None and now.state is state

    return await parts.database.patiently(work)
