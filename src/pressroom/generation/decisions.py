"""What a person decides about a job, or about many: cancel, retry, resolve."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from pressroom.errors import Conflict, NotFound
from pressroom.generation import jobs, selections
from pressroom.generation.jobs import Job, JobState
from pressroom.spend import attempts
from pressroom.spend.attempts import Attempt, AttemptState
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database
    from pressroom.generation.selections import Selection

log = event_logger(__name__)

_UNSENT = frozenset({JobState.QUEUED, JobState.HELD})
_OPEN_QUESTION = frozenset({JobState.UNCERTAIN})


class Decision(StrEnum):
    """What can be decided about many jobs at once; each is a method of `Decisions` with the same name."""

    CANCEL = "cancel"
    RETRY = "retry"
    BUY_AGAIN = "buy_again"
    GIVE_UP = "give_up"


@dataclass
class Tally:
    """
    What became of a decision about many jobs.

    Attributes:
        decided: Ids of the jobs that it was carried out for.
        refused: Why it was not for others, by id.
    """

    decided: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Jobs looked at."""
        return len(self.decided) + len(self.refused)


class Decisions:
    """
    The decisions, each one transaction.

    Every method raises `NotFound` for an unknown job and `Conflict` when the job's state does not allow it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, selection: Selection) -> int:
        """How many jobs a selection has now."""
        return await selections.count(self._database, selection)

    async def decide(
        self,
        decision: Decision,
        which: Sequence[str] | Selection,
        *,
        on_each: Callable[[Tally], object] | None = None,
    ) -> Tally:
        """
        Decide about many jobs, one transaction each: what is not possible for one does not undo the others.

        Args:
            decision: What.
            which: Ids, or what the jobs have in common.
            on_each: Told how far it is, after each job.
        """
        carry_out = getattr(self, decision)
        tally = Tally()
        async for job_id in self._each(which):
            try:
                await carry_out(job_id)
            except (Conflict, NotFound) as error:
                tally.refused[job_id] = error.message
            else:
                tally.decided.append(job_id)
            if on_each is not None:
                on_each(tally)
        return tally

    async def _each(self, which: Sequence[str] | Selection) -> AsyncIterator[str]:
        if isinstance(which, selections.Selection):
            async for job_id in selections.ids(self._database, which):
                yield job_id
        else:
            for job_id in which:
                yield job_id

    async def cancel(self, job_id: str) -> None:
        """Take a job back; possible until its request is sent."""
        async with self._database.write() as connection:
            job, attempt = await _read(connection, job_id)
            if attempt is not None and not await attempts.transition(
                connection, attempt.id, AttemptState.UNSOLD, only_from={AttemptState.RESERVED}
            ):
                raise Conflict(
                    f"job {job_id}: its request has left already ({attempt.state}); it can no longer be cancelled"
                )
            # Without a row of an attempt to lock, a dispatch may commit one in between: then the job is running.
            before = _UNSENT if attempt is None else _UNSENT | {JobState.RUNNING}
            if not await jobs.transition(
                connection, job_id, JobState.CANCELLED, only_from=before, continuing=False
            ):
                raise Conflict(
                    f"job {job_id} is {job.state}; only a job that has not been sent can be cancelled"
                )
        log.info("job.cancelled", job=job_id)

    async def retry(self, job_id: str) -> None:
        """
        Let a held or failed job have another turn: with the attempt that is open, else with a new one.

        What was bought and could not be brought home is brought home; it is not bought again.
        """
        async with self._database.write() as connection:
            job, attempt = await _read(connection, job_id)
            if not await jobs.transition(
                connection,
                job_id,
                JobState.QUEUED,
                only_from=frozenset({JobState.HELD, JobState.FAILED}),
                continuing=attempt is not None,
                backoffs=0,
                failures=0 if job.state is JobState.FAILED else job.failures,
                missing=[],
            ):
                raise Conflict(f"job {job_id} is {job.state}; only a held or failed job can be retried")
        log.info("job.retried", job=job_id)

    async def adopt(self, job_id: str, generation_id: str) -> None:
        """Say which generation an uncertain attempt became; it is polled and brought home."""
        async with self._database.write() as connection:
            attempt = await _uncertain(connection, job_id)
            theirs = await attempts.job_of_generation_or_none(connection, attempt.upstream, generation_id)
            if theirs not in {None, job_id}:
                raise Conflict(f"that generation is the one of job {theirs}; a generation belongs to one job")
            adopted = await attempts.transition(
                connection,
                attempt.id,
                AttemptState.ACCEPTED,
                only_from={AttemptState.UNCERTAIN},
                generation_id=generation_id,
            )
            _see(adopted, job_id)
            moved = await jobs.transition(
                connection, job_id, JobState.QUEUED, only_from=_OPEN_QUESTION, continuing=True, backoffs=0
            )
            _see(moved, job_id)
        log.info("job.adopted", job=job_id)

    async def buy_again(self, job_id: str) -> None:
        """Write the uncertain attempt off as spent and buy anew."""
        await self._write_off(job_id, JobState.QUEUED, "written off; bought again")

    async def give_up(self, job_id: str) -> None:
        """Write the uncertain attempt off as spent and end the job."""
        await self._write_off(job_id, JobState.FAILED, "given up while uncertain; it may have been paid for")

    async def _write_off(self, job_id: str, to: JobState, message: str) -> None:
        async with self._database.write() as connection:
            attempt = await _uncertain(connection, job_id)
            _see(await attempts.transition(connection, attempt.id, AttemptState.WRITTEN_OFF), job_id)
            moved = await jobs.transition(
                connection,
                job_id,
                to,
                only_from=_OPEN_QUESTION,
                reason="resolved",
                message=message,
                continuing=False,
                backoffs=0,
            )
            _see(moved, job_id)
        log.info("job.written_off", job=job_id, to=to)


def _see(moved: bool, job_id: str) -> None:
    """Take the whole decision back where a run learned the answer between the look and the change."""
    if not moved:
        raise Conflict(f"job {job_id}: its outcome has become known meanwhile; look at it again")


async def _read(connection: AsyncConnection, job_id: str) -> tuple[Job, Attempt | None]:
    job = await jobs.get_one_or_none(connection, job_id)
    if job is None:
        raise NotFound(f"no job {job_id}; `pressroom jobs list` shows what there is")
    return job, await attempts.get_open_or_none(connection, job_id)


async def _uncertain(connection: AsyncConnection, job_id: str) -> Attempt:
    job, attempt = await _read(connection, job_id)
    if job.state is not JobState.UNCERTAIN or attempt is None or attempt.state is not AttemptState.UNCERTAIN:
        raise Conflict(f"job {job_id} is {job.state}; only an uncertain job is resolved")
    return attempt
