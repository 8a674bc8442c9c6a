"""Wakes whoever in this process waits for a job, sooner than looking at its row would."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Waiters:
    """Events by job id. A wake-up is a hint: the row is the truth, and other processes end jobs too."""

    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def waiting_for(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set each time the job moves in this process."""
        event = asyncio.Event()
        self._events.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            self._events[job_id].discard(event)
            if not self._events[job_id]:
                del self._events[job_id]

    def moved(self, job_id: str) -> None:
        """Tell them that the job's row has changed."""
        for event in self._events.get(job_id, ()):
            event.set()


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for `event` for at most `seconds`; clears it. True when it came."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    event.clear()
    return True
