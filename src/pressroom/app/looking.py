"""Jobs as their owners see them: look at them, wait for them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from pressroom.access.projects import all_projects
from pressroom.errors import InvalidRequest, NotFound
from pressroom.generation import jobs
from pressroom.generation.dispatch.turns import Shares
from pressroom.generation.estimate import Outlook, outlook
from pressroom.generation.views import JobView, views_of
from pressroom.generation.waiters import within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pressroom.app.working import Working
    from pressroom.database import Database
    from pressroom.fleet.gate import GateCache
    from pressroom.generation.fallback import Fallback
    from pressroom.generation.jobs import JobState
    from pressroom.generation.waiters import Waiters
    from pressroom.settings import Settings

LOOK_AGAIN_S = 0.25
"""Seconds between two looks at a job that another process may have moved."""

WORKER_LOOK_S = 2.0
"""Seconds between two looks whether any worker is there for a job that somebody waits for."""


class Looking:
    """The part of `App` that looks at jobs and waits for them."""

    settings: Settings
    database: Database
    _fallback: Fallback
    _gates: GateCache
    _waiters: Waiters
    _working: Working

    async def job(self, job_id: str) -> JobView:
        """
        One job with its attempts and assets.

        Raises:
            NotFound: There is none with that id.
        """
        async with self.database.read() as connection:
            found = await jobs.get_one_or_none(connection, job_id)
            if found is None:
                raise NotFound(f"no job {job_id}; `pressroom jobs list` shows what there is")
            return (await views_of(connection, [found]))[0]

    async def jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        project: str | None = None,
        reason: str | None = None,
        limit: int = 20,
        before: str | None = None,
    ) -> list[JobView]:
        """
        Jobs, newest first.

        Args:
            states: Only jobs in one of these; empty for all.
            project: Only jobs of this one.
            reason: Only jobs in their state for this reason, such as `credits`.
            limit: At most so many.
            before: The last id of the page before.

        Raises:
            InvalidRequest: `limit` is below 1.
        """
        if limit < 1:
            raise InvalidRequest("limit", limit, "1 or more")
        async with self.database.read() as connection:
            found = await jobs.newest(
                connection, states=states, project=project, reason=reason, limit=limit, before=before
            )
            return await views_of(connection, found)

    async def outlook(self, view: JobView) -> Outlook:
        """Where a waiting job stands and when it will probably be done."""
        async with self.database.read() as connection:
            gate = await self._gates.current(connection)
            shares = Shares(self.settings.fleet.interactive_weight, await all_projects(connection))
            return await outlook(connection, view.job, gate=gate, shares=shares)

    async def wait(
        self,
        job_id: str,
        *,
        deadline_s: float | None = None,
        work: bool = False,
        fallback: bool = False,
        on_change: Callable[[JobView], Any] | None = None,
    ) -> JobView:
        """
        Wait until nothing more happens to a job without a person.

        Args:
            job_id: Which.
            deadline_s: Seconds to wait at most; None for ever.
            work: Work on it in this process whenever no live worker of the same upstream is there.
            fallback: While the vendor cannot be asked, give the caller what the request, its project, the switch `mode`
                or the setting says: a placeholder at once (`JobView.placeholder`), the job's failure, or nothing.
            on_change: Called with the job at each look; may be asynchronous.

        Raises:
            NotFound: There is no such job.
            TimeoutError: The deadline passed.
        """
        async with asyncio.timeout(deadline_s):
            looked_for_worker = float("-inf")
            with self._waiters.waiting_for(job_id) as moved:
                while True:
                    view = await self.job(job_id)
                    if on_change is not None:
                        told = on_change(view)
                        if asyncio.iscoroutine(told):
                            await told
                    answer = view if view.job.waits_for_nobody else None
                    if fallback:
                        answer = await self._fallback.answer(view)
                    if answer is not None:
                        return answer
                    if work and time.monotonic() - looked_for_worker > WORKER_LOOK_S:
                        await self._working.see_that_someone_works()
                        looked_for_worker = time.monotonic()
                    await within(moved, LOOK_AGAIN_S)
