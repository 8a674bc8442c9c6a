"""The maintenance loop: what must happen regularly somewhere in the fleet, in one place at a time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pressroom.errors import PressroomError
from pressroom.fleet.leases import take_lease
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pressroom.database import Database

log = event_logger(__name__)


def every(seconds: float, task: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """A task that the loop may call at each round and that acts at most once in `seconds`."""
    due = float("-inf")

    async def act() -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + seconds
            await task()

    return act


async def maintain(
    database: Database,
    *,
    lease: str,
    holder: str,
    every_s: float,
    tasks: Mapping[str, Callable[[], Awaitable[None]]],
) -> None:
    """
    Do `tasks` every `every_s` seconds while the lease is ours; until cancelled.

    A task that fails is logged and tried again the next time; it does not keep the others from their turn.
    """
    while True:
        try:
            async with database.write() as connection:
                ours = await take_lease(connection, lease, holder, life_s=every_s * 3)
            if ours:
                for name, task in tasks.items():
                    await _do(name, task)
        except PressroomError as error:
            log.warning("maintenance.failed", error=type(error).__name__)
        await asyncio.sleep(every_s)


async def _do(name: str, task: Callable[[], Awaitable[None]]) -> None:
    try:
        await task()
    except Exception as error:  # noqa: BLE001 - a mistake in one task must not keep the ones after it from their turn for ever
        log.warning("maintenance.task_failed", task=name, error=type(error).__name__)
