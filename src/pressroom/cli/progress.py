"""What a person sees while a job is on its way: one line that changes on a terminal, one line per change elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console

from pressroom.cli.output import say
from pressroom.generation.jobs import JobState

if TYPE_CHECKING:
    from pressroom.app import App, Outlook
    from pressroom.generation.views import JobView


LOOK_AGAIN_S = 2.0
"""Seconds between two counts of the jobs ahead; a long queue is not counted at every look."""


class Progress:
    """Shows a job's state, its place in the queue and how long it will probably take."""

    def __init__(self, app: App, job_id: str) -> None:
        self._app = app
        self._last = ""
        self._outlook: Outlook | None = None
        self._looked_at = 0.0
        self._status = Console(stderr=True).status(f"{job_id}: submitted") if sys.stderr.isatty() else None
        say(f"job {job_id}")

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the line away."""
        if self._status is not None:
            self._status.stop()

    async def show(self, view: JobView) -> None:
        """Show the job as it is now."""
        line = await self._line(view)
        if line == self._last:
            return
        self._last = line
        if self._status is not None:
            self._status.update(line)
        else:
            say(line)

    async def _line(self, view: JobView) -> str:
        if view.state is not JobState.QUEUED:
            return view.stage or view.state
        if self._outlook is None or time.monotonic() - self._looked_at > LOOK_AGAIN_S:
            self._outlook, self._looked_at = await self._app.outlook(view), time.monotonic()
        return in_the_queue(view, self._outlook)


def in_the_queue(view: JobView, outlook: Outlook) -> str:
    """Where a waiting job stands, in one line."""
    about = "" if outlook.seconds is None else f", about {max(1, round(outlook.seconds))} s"
    if outlook.blocked_by is not None:
        about = f", waiting: {outlook.blocked_by}"
    why = f" ({view.job.reason}: {view.job.message})" if view.job.reason else ""
    more = " or more" if outlook.at_least else ""
    return f"queued, {outlook.ahead}{more} ahead{about}{why}"
