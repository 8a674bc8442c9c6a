"""The maintenance loop: in one place at a time, and no task keeps another from its turn."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.errors import DatabaseUnavailable
from pressroom.fleet.leases import take_lease
from pressroom.fleet.maintenance import maintain
from pressroom.fleet.tables import leases


@contextlib.asynccontextmanager
async def _loop(database, tasks, *, holder="a"):
    running = asyncio.create_task(
        maintain(database, lease="maintenance", holder=holder, every_s=0.01, tasks=tasks)
    )
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Task:
    """Counts its turns, and fails in the first of them when told to."""

    def __init__(self, *, fails=0, error=DatabaseUnavailable):
        self.turns, self.fails, self.error, self.enough = 0, fails, error, asyncio.Event()

    async def __call__(self):
        self.turns += 1
        if self.turns <= self.fails:
            raise self.error("away")
        if self.turns >= 3:
            self.enough.set()


@pytest.mark.parametrize("error", [DatabaseUnavailable, KeyError])
async def test_tasks_have_their_turn_again_and_again(sqlite_database, error):
    """One that fails, by a mistake of ours too, is tried the next time, and the one after it has its turn all the same."""
    failing, other = Task(fails=1_000_000, error=error), Task()
    async with _loop(sqlite_database, {"failing": failing, "other": other}):
        await asyncio.wait_for(other.enough.wait(), 20)

    assert failing.turns >= 3


async def test_nothing_is_done_while_somebody_else_holds_the_lease(sqlite_database):
    """It takes over when the other's time has run out."""
    async with sqlite_database.write() as connection:
        await take_lease(connection, "maintenance", "b", life_s=3600)
    task = Task()
    async with _loop(sqlite_database, {"task": task}) as running:
        done, _ = await asyncio.wait([running], timeout=0.2)
        assert (set(), 0) == (done, task.turns)
        async with sqlite_database.write() as connection:
            await connection.execute(sa.update(leases).values(until=now_ms() - 1))
        await asyncio.wait_for(task.enough.wait(), 20)


async def test_the_loop_survives_a_database_that_is_away(sqlite_database):
    """It goes on when the tables are there again."""
    async with sqlite_database.write() as connection:
        await connection.execute(sa.text("ALTER TABLE leases RENAME TO elsewhere"))
    task = Task()
    async with _loop(sqlite_database, {"task": task}) as running:
        done, _ = await asyncio.wait([running], timeout=0.2)
        assert (set(), 0) == (done, task.turns)
        async with sqlite_database.write() as connection:
            await connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO leases"))
        await asyncio.wait_for(task.enough.wait(), 20)
