"""Waiters: a hint that a job has moved, for everybody in this process who waits for it."""

from __future__ import annotations

import asyncio

from pressroom.generation.waiters import Waiters, within


async def test_everybody_who_waits_for_the_job_is_woken_and_nobody_else():
    """Two for one job, one for another."""
    waiters = Waiters()
    with (
        waiters.waiting_for("a") as first,
        waiters.waiting_for("a") as second,
        waiters.waiting_for("b") as other,
    ):
        waiters.moved("a")

        assert [first.is_set(), second.is_set(), other.is_set()] == [True, True, False]


async def test_a_wake_up_that_comes_before_the_wait_is_not_lost():
    """The job may end between the look at its row and the wait."""
    waiters = Waiters()
    with waiters.waiting_for("a") as event:
        waiters.moved("a")

        assert await within(event, 60)
        assert not await within(event, 0.001)


async def test_a_wake_up_ends_a_wait_that_is_under_way():
    """Well before its limit."""
    waiters = Waiters()
    with waiters.waiting_for("a") as event:
        waiting = asyncio.create_task(within(event, 3600))
        await asyncio.sleep(0)
        waiters.moved("a")

        assert await asyncio.wait_for(waiting, 20)


async def test_nothing_is_kept_of_those_who_left():
    """Neither in order nor by cancellation; a million jobs leave no events behind."""
    waiters = Waiters()
    with waiters.waiting_for("a"), waiters.waiting_for("a"):
        pass

    async def wait():
        with waiters.waiting_for("b") as event:
            await within(event, 3600)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert waiters._events == {}
    waiters.moved("a")
