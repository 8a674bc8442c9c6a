"""What a person sees while a job is on its way: one line that changes on a terminal, one line per change elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from rich.console import Console

from pressroom.cli.output import say
from pressroom.generation.jobs import JobState

if TYPE_CHECKING:
    from pressroom.app import App
    from pressroom.generation.views import JobView


class Progress:
    """Shows a job's state, its place in the queue and how long it will probably take."""

    def __init__(self, app: App, job_id: str) -> None:
        self._app = app
        self._last = ""
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
        outlook = await self._app.outlook(view)
        about = "" if outlook.seconds is None else f", about {max(1, round(outlook.seconds))} s"
        why = f" ({view.job.reason}: {view.job.message})" if view.job.reason else ""
        return f"queued, {outlook.ahead} ahead{about}{why}"
