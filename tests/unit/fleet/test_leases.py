"""The beat of a worker and the lease on maintenance, on a real database."""

from __future__ import annotations

import logging
import sqlite3
import threading

import pytest
import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.fleet import workers
from pressroom.fleet.leases import Lease, take_lease
from pressroom.fleet.tables import leases
from pressroom.fleet.tables import workers as table

HOUR_S = 3600.0


async def _register(database, worker_id="w1"):
    async with database.write() as connection:
        await workers.register(connection, worker_id, upstream="emulator", version="1")


async def _worker(database, worker_id="w1"):
    async with database.read() as connection:
        return await workers.get_one_or_none(connection, worker_id)


@pytest.fixture
def lease(sqlite_database):
    made = Lease(sqlite_database.sync_engine(pool=0), "w1", beat_s=HOUR_S)
    yield made
    if made._thread.is_alive():
        made.stop()


def _events(caplog):
    return [record.msg["event"] for record in caplog.records if isinstance(record.msg, dict)]


async def test_a_lease_beats_when_it_starts(sqlite_database, lease):
    """A worker is fresh from its first moment, and was not before."""
    await _register(sqlite_database)
    assert not lease.fresh(HOUR_S)
    lease.start()

    assert lease.fresh(HOUR_S)
    assert (await _worker(sqlite_database)).beat == 1


async def test_freshness_ends_by_itself(sqlite_database, lease):
    """No purchase starts on an old beat, whatever the database says meanwhile."""
    await _register(sqlite_database)
    lease.start()
    lease._good_at -= 10

    assert lease.fresh(11)
    assert not lease.fresh(10)


async def test_it_goes_on_beating_on_its_own_thread(sqlite_database):
    """The counter rises without the event loop's help."""
    await _register(sqlite_database)
    lease = Lease(sqlite_database.sync_engine(pool=0), "w1", beat_s=0.01)
    lease.start()
    try:
        with sqlite3.connect(sqlite_database.address.url.database) as reader:
            waited = threading.Event()
            for _ in range(1000):
                beat = reader.execute("SELECT beat FROM workers").fetchone()[0]
                if beat >= 5 or waited.wait(0.01):
                    break
        reader.close()
    finally:
        lease.stop()

    assert beat >= 5


async def test_a_beat_fails_while_the_database_is_away_and_comes_back(sqlite_database, lease, caplog):
    """A failure is logged and leaves the last good beat as it was."""
    await _register(sqlite_database)
    lease.start()
    lease._good_at = float("-inf")
    with caplog.at_level(logging.DEBUG, logger="pressroom"):
        async with sqlite_database.write() as connection:  # holds the only write lock
            lease._engine.dispose()
            lease._engine = sa.create_engine(sqlite_database.address.url, connect_args={"timeout": 0.01})
            await connection.run_sync(lambda _sync: lease._beat())
        assert not lease.fresh(HOUR_S)
        assert _events(caplog) == ["worker.beat_failed"]
        lease._beat()

    assert lease.fresh(HOUR_S)


async def test_a_worker_without_a_row_is_not_fresh(lease):
    """A row that somebody removed cannot be raised, and a beat that raises nothing is no beat."""
    lease.start()

    assert not lease.fresh(HOUR_S)


async def test_a_worker_taken_for_dead_comes_back_and_says_so(sqlite_database, lease, caplog):
    """After a pause it lives again; its old runs are fenced off by their tokens, not by its state."""
    await _register(sqlite_database)
    lease.start()
    async with sqlite_database.write() as connection:
        assert await workers.mark_dead(connection, await workers.get_one_or_none(connection, "w1"))
    with caplog.at_level(logging.DEBUG, logger="pressroom"):
        lease._beat()

    assert (await _worker(sqlite_database)).state is workers.WorkerState.LIVE
    assert _events(caplog) == ["worker.revived"]


async def test_nobody_is_buried_who_has_beaten_since(sqlite_database, lease):
    """The counter that was read is the one that must still stand there."""
    await _register(sqlite_database)
    seen = await _worker(sqlite_database)
    lease.start()

    async with sqlite_database.write() as connection:
        assert not await workers.mark_dead(connection, seen)
    assert (await _worker(sqlite_database)).state is workers.WorkerState.LIVE


async def test_one_holder_has_a_lease_until_it_runs_out(database):
    """A second holder waits for the end of the first one's time; the holder may take it again at any moment."""
    async with database.write() as connection:
        assert await take_lease(connection, "maintenance", "a", life_s=60)
        assert await take_lease(connection, "maintenance", "a", life_s=60)
        assert not await take_lease(connection, "maintenance", "b", life_s=60)
        assert await take_lease(connection, "another", "b", life_s=60)

        await connection.execute(sa.update(leases).values(until=now_ms() - 1))
        assert await take_lease(connection, "maintenance", "b", life_s=60)
        assert not await take_lease(connection, "maintenance", "a", life_s=60)


async def test_a_holder_that_extends_its_lease_keeps_it(database):
    """Each time counts from the database's now."""
    async with database.write() as connection:
        await take_lease(connection, "maintenance", "a", life_s=1)
        await take_lease(connection, "maintenance", "a", life_s=1000)
        left = (await connection.execute(sa.select(leases.c.until - now_ms()))).scalar_one()

    assert 900_000 < left <= 1_000_000


async def test_workers_are_remembered_for_a_while(sqlite_database):
    """Live ones always, ended ones until their last beat is old."""
    for name in ("live", "old", "new"):
        await _register(sqlite_database, name)
    async with sqlite_database.write() as connection:
        await workers.mark_stopped(connection, "new")
        await workers.mark_stopped(connection, "old")
        await connection.execute(
            sa.update(table).where(table.c.id.in_(["old", "live"])).values(beat_at=now_ms() - 61_000)
        )
        await workers.forget(connection, after_s=60)
        left = {worker.id for worker in await workers.all_workers(connection)}

    assert {"live", "new"} == left


async def test_someone_works_only_while_a_live_worker_of_the_same_upstream_beats(sqlite_database):
    """Asked by whoever waits for a job: another upstream, an old beat and a stopped worker do not count."""
    await _register(sqlite_database)
    async with sqlite_database.write() as connection:
        assert await workers.beating(connection, "emulator", within_s=60)
        assert not await workers.beating(connection, "api.example:443", within_s=60)
        await connection.execute(sa.update(table).values(beat_at=now_ms() - 61_000))
        assert not await workers.beating(connection, "emulator", within_s=60)
        await connection.execute(sa.update(table).values(beat_at=now_ms()))
        await workers.mark_stopped(connection, "w1")
        assert not await workers.beating(connection, "emulator", within_s=60)
