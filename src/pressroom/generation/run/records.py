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
from pressroom.fleet.switches import Batch, Mode, SwitchName, all_switches
from pressroom.generation import jobs
from pressroom.generation.jobs import JobState, Priority
from pressroom.generation.run import consequences
from pressroom.spend import attempts
from pressroom.spend.attempts import Attempt, AttemptState
from pressroom.spend.money import MOST_MICROS
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.catalog.assets import Asset
    from pressroom.generation.jobs import Job
    from pressroom.generation.run.context import Parts, Run
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


async def switched_off_or_none(run: Run) -> str | None:
    """Which switch forbids to begin this purchase now, for people: it may have been dispatched long before, as by a worker that died."""
    parts = run.parts

    async def work() -> dict[SwitchName, str | None]:
        async with parts.database.read() as connection:
            return {one.name: one.value for one in await all_switches(connection, parts.upstream)}

    now = await parts.database.patiently(work)
    if now[SwitchName.MODE] != Mode.LIVE:
        return f"the switch mode is {now[SwitchName.MODE]}"
    paused = run.job.priority is Priority.BATCH and now[SwitchName.BATCH] == Batch.PAUSED
    return "the switch batch is paused" if paused and not run.attempt.trial else None


async def begin_sending(run: Run, key_fingerprint: str) -> bool:
    """
    Write ahead of the money: after this commit the attempt may have been sent.

    Args:
        run: Whose.
        key_fingerprint: Of the key that it is sent with.

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
                key_fingerprint=key_fingerprint,
            )

    # Not patiently: while the database is away nothing was sent, and the engine starts the run anew.
    if not await work():
        return False
    run.attempt = replace(
        run.attempt, state=AttemptState.SENDING, owner=run.token, key_fingerprint=key_fingerprint
    )
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
    if (
        cost_micros is not None and cost_micros <= MOST_MICROS
    ):  # more is no price, and no counter could hold it
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
            elif to is AttemptState.BOUGHT:
                await consequences.of_sale(connection, run)
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
        moved = await jobs.transition(
            connection,
            run.job.id,
            JobState.QUEUED,
            only_from=frozenset({JobState.UNCERTAIN}),
            continuing=True,
        )
        if to is AttemptState.BOUGHT:
            await consequences.of_sale(connection, run)
        return moved
    await _note_late(connection, run, facts)
    return False


async def _note_late(connection: AsyncConnection, run: Run, facts: dict[str, Any]) -> None:
    """Keep what came too late for the state, such as the id of an attempt that was written off."""
    late = {name: facts[name] for name in ("generation_id", "answer") if name in facts}
    await attempts.note(connection, run.attempt.id, **late)


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
