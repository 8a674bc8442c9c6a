"""The loops of a worker: a mistake begins them again, and the end of the worker ends them whatever they raise."""

from __future__ import annotations

import asyncio

from pressroom.errors import DatabaseUnavailable
from pressroom.generation import worker


async def started(loop):
    """A loop as a worker runs it, after its first turn has begun."""
    begun = asyncio.Event()

    async def told():
        begun.set()
        await loop()

    task = asyncio.create_task(worker._keep_going("a loop", told))
    await begun.wait()
    return task


async def test_a_driver_that_raises_its_own_error_for_a_cancellation_does_not_keep_a_loop_alive():
    """Else SIGTERM would never end the worker."""

    async def loop():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise AssertionError("a connection in the middle of something") from None

    async with asyncio.timeout(30):
        await worker._end([await started(loop)])


async def test_a_loop_that_takes_a_cancellation_for_trouble_is_cancelled_again(monkeypatch):
    """It handles the driver's error as that of a database that is away, and goes on."""
    monkeypatch.setattr(worker, "CANCEL_AGAIN_S", 0.01)
    troubles = 0

    async def loop():
        nonlocal troubles
        while True:
            try:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if troubles == 3:
                        raise
                    raise DatabaseUnavailable("the driver's words") from None
            except DatabaseUnavailable:
                troubles += 1

    async with asyncio.timeout(30):
        await worker._end([await started(loop)])
    assert troubles == 3


async def test_a_mistake_begins_a_loop_again(monkeypatch):
    """A worker that only beats is worse than a dead one."""
    monkeypatch.setattr(worker, "TROUBLE_WAIT_S", 0.0)
    again = asyncio.Event()
    turns = 0

    async def loop():
        nonlocal turns
        turns += 1
        if turns < 3:
            raise ZeroDivisionError
        again.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(30):
        task = await started(loop)
        await again.wait()
        await worker._end([task])
