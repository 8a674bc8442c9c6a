"""What an app offers to those who ask for pictures: jobs are written, and nothing is bought yet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.errors import Busy, InvalidRequest
from pressroom.fleet.gate import RateLimitMode
from pressroom.generation.admission import Submission, admit
from pressroom.generation.estimate import has_turn_at_once
from pressroom.generation.fallback import choice_named
from pressroom.generation.jobs import Priority
from pressroom.ideogram import Wire
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pressroom.app.working import Working
    from pressroom.database import Database
    from pressroom.fleet.gate import GateCache
    from pressroom.ideogram import ImageRequest
    from pressroom.settings import Settings

log = event_logger(__name__)

T = TypeVar("T")

AT_ONCE = 500
"""Jobs written in one transaction; a few hundred keep both the memory and other writers' waits small."""


class Submitting:
    """The part of an `App` that takes requests."""

    settings: Settings
    database: Database
    upstream: str
    _gates: GateCache
    _working: Working

    async def submit(
        self,
        request: ImageRequest,
        *,
        wire: Wire | str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        project: str | None = None,
        priority: Priority | str = Priority.INTERACTIVE,
        fallback: str | None = None,
        buy_before: datetime | timedelta | None = None,
    ) -> str:
        """
        Write a job for `request` and return its id at once; the arguments are those of `submit_many`.

        Raises:
            InvalidRequest: The request cannot be sent as it is; nothing was written.
            Busy: It would have to wait, and the switch `rate_limit_mode` says reject; nothing was written.
            DatabaseError: It could not be written.
        """
        [job_id] = await self.submit_many(
            [request],
            wire=wire,
            tags=tags,
            metadata=metadata,
            project=project,
            priority=priority,
            fallback=fallback,
            buy_before=buy_before,
        )
        return job_id

    async def submit_many(
        self,
        requests: Iterable[ImageRequest],
        *,
        wire: Wire | str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        project: str | None = None,
        priority: Priority | str = Priority.BATCH,
        fallback: str | None = None,
        buy_before: datetime | timedelta | None = None,
    ) -> list[str]:
        """
        Write a job for each request; thousands a second.

        Args:
            requests: What is asked for; all are looked at before the first is written.
            wire: Generation of the vendor's API, for all of them; so are the others. Default: the setting.
            tags: Words to find the assets by.
            metadata: Names and values that travel with each job.
            project: Whose they are; default: the setting.
            priority: `interactive` when somebody waits for them, else `batch`.
            fallback: What their callers get while the vendor cannot be asked: `wait`, `placeholder` or `fail`; default: the
                project's.
            buy_before: An aware moment, or a time from now; a job that was not sent by then is cancelled.

        Returns:
            The jobs' ids in the same order.

        Raises:
            InvalidRequest: One cannot be sent as it is; nothing was written.
            Busy: Interactive ones would have to wait, and the switch `rate_limit_mode` says reject; nothing was written.
            DatabaseError: They could not be written; those of earlier transactions (`AT_ONCE` jobs each) are there.
        """
        rank = _priority(priority)
        until = None if buy_before is None else await self._until(buy_before)
        asked = [
            Submission(
                request=request,
                wire=_wire(wire or self.settings.generation.wire),
                tags=tags,
                metadata=metadata or {},
                project=self.settings.project if project is None else project,
                priority=rank,
                fallback=None if fallback is None else choice_named(fallback),
                buy_before=until,
            )
            for request in requests
        ]
        wanted = [(submission, submission.call()) for submission in asked]
        if rank is Priority.INTERACTIVE:
            await self._see_that_they_need_not_wait(len(wanted))
        job_ids: list[str] = []
        for some in _batched(wanted, AT_ONCE):
            async with self.database.write() as connection:
                job_ids += await admit(connection, some, upstream=self.upstream)
            self._working.wake()
        log.info("jobs.submitted", count=len(job_ids), first=job_ids[0] if job_ids else None)
        return job_ids

    async def _until(self, buy_before: datetime | timedelta) -> int:
        """Milliseconds since the epoch by the database's clock, which is the one that is asked whether it has passed."""
        async with self.database.read() as connection:
            now = (await connection.execute(sa.select(now_ms()))).scalar_one()
        if isinstance(buy_before, timedelta):
            until = now + int(buy_before.total_seconds() * 1000)
        elif buy_before.tzinfo is None:
            raise InvalidRequest("buy_before", buy_before.isoformat(), "a moment with its time zone")
        else:
            until = int(buy_before.timestamp() * 1000)
        if until <= now:
            raise InvalidRequest("buy_before", str(buy_before), "a moment to come, or a time from now")
        return until

    async def _see_that_they_need_not_wait(self, count: int) -> None:
        async with self.database.read() as connection:
            gate = await self._gates.current(connection)
            if gate.rate_limit_mode is not RateLimitMode.REJECT:
                return
            if await has_turn_at_once(connection, self.upstream, gate=gate, count=count):
                return
        places = "the one place is" if gate.limit == 1 else f"all {gate.limit} places are"
        raise Busy(
            f"{places} taken or spoken for, and the switch rate_limit_mode says reject; "
            "try again in some seconds, or `pressroom switch set rate_limit_mode queue`"
        )


def _batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _wire(name: Wire | str) -> Wire:
    try:
        return Wire(name)
    except ValueError:
        raise InvalidRequest("wire", name, f"it is one of {', '.join(Wire)}") from None


def _priority(name: Priority | str) -> Priority:
    try:
        return Priority(name)
    except ValueError:
        raise InvalidRequest("priority", name, f"it is one of {', '.join(Priority)}") from None
