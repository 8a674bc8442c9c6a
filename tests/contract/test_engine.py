"""What we rely on of the durable engine, on SQLite and on Postgres, with executors as processes of their own."""

from __future__ import annotations

import asyncio

import pytest
from dbos import DBOS
from tests.support.executor import executor
from tests.support.rows import engine_of

from pressroom import engine as engine_module
from pressroom.app import upgrade
from pressroom.database import Database, DatabaseAddress
from pressroom.engine import APPLICATION_VERSION
from pressroom.errors import DatabaseError, DatabaseUnavailable, DatabaseUnusable
from pressroom.generation.dispatch.giving import RUN, run_id
from pressroom.settings import Settings


@pytest.fixture
async def engine(database):
    """One that owes and looks, and takes nothing."""
    made = engine_of(database, executor_id="watcher")
    made.connect()
    yield made
    await made._close()


async def owe(database, engine, *jobs, number=1):
    async with database.write() as connection:
        for job_id in jobs:
            await engine.enqueue(connection, RUN, run_id(job_id, number), job_id, number)


async def owed(engine):
    return {run.workflow_id: run.executor_id for run in await engine.all_owed()}


async def until(look, wanted):
    """Look until it is as wanted; what it was at last."""
    for _ in range(600):
        if (found := await look()) == wanted:
            break
        await asyncio.sleep(0.05)
    return found


async def test_a_run_is_owed_exactly_when_its_transaction_commits(database, engine):
    """The engine's record is a row of our transaction."""
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction is what is tested
        async with database.write() as connection:
            await engine.enqueue(connection, RUN, "job_1:1", "job_1", 1)
            _ = 1 / 0
    assert await engine.all_owed() == []

    await owe(database, engine, "job_1", "job_2")
    assert {run.version for run in await engine.all_owed()} == {APPLICATION_VERSION}
    assert await engine.owed(["job_1:1", "job_1:2", "job_2:1"]) == {"job_1:1", "job_2:1"}
    assert await engine.owed([]) == set()
    assert await engine.under_way() == []


async def test_each_queue_sees_its_own_runs_only(database, engine):
    """One for each upstream."""
    await owe(database, engine, "job_1")
    other = engine_of(database, queue="runs/api.example:443")
    other.connect()

    assert await other.all_owed() == []
    await other._close()


async def test_what_is_abandoned_is_owed_no_more(database, engine):
    """And may be said twice."""
    await owe(database, engine, "job_1", "job_2")
    for _ in range(2):
        await engine.abandon(["job_1:1"])

    assert await engine.owed(["job_1:1", "job_2:1"]) == {"job_2:1"}


async def test_owed_runs_begin_once_each_on_whoever_is_there(database, engine, base_settings):
    """Two processes share fifty; an ended run is owed no more."""
    jobs = [f"job_{number:02}" for number in range(50)]
    await owe(database, engine, *jobs)
    async with executor(base_settings, "first") as first, executor(base_settings, "second") as second:
        assert await until(lambda: owed(engine), {}) == {}
        await asyncio.gather(first.stop(), second.stop())

    begun = [line for line in first.heard + second.heard if line.startswith("run ")]
    assert sorted(begun) == [f"run {job_id} 1" for job_id in jobs]


async def test_the_runs_of_a_killed_executor_begin_elsewhere_once_they_are_handed_on(
    database, engine, base_settings
):
    """What it had begun is still its own until somebody says that it is gone."""
    await owe(database, engine, "hang_1")
    async with executor(base_settings, "victim") as victim:
        await victim.says("run hang_1 1")
        assert {run.workflow_id: run.executor_id for run in await engine.under_way()} == {
            "hang_1:1": "victim"
        }
        await victim.kill()

    async with executor(base_settings, "heir") as heir:
        await owe(database, engine, "job_2")
        await heir.says("run job_2 1")  # it works, and leaves the other's run alone
        assert await until(lambda: owed(engine), {"hang_1:1": "victim"}) == {"hang_1:1": "victim"}

        await engine.hand_on(["hang_1:1"])
        await heir.says("run hang_1 1")
        assert await until(lambda: owed(engine), {"hang_1:1": "heir"}) == {"hang_1:1": "heir"}
        await heir.kill()


async def test_what_is_handed_on_stays_in_its_queue(database, engine, base_settings):
    """Else it would run outside every limit, on whoever."""
    await owe(database, engine, "hang_1")
    async with executor(base_settings, "victim") as victim:
        await victim.says("run hang_1 1")
        await victim.kill()
    for _ in range(2):
        await engine.hand_on(["hang_1:1"])

    [run] = await engine.all_owed()
    assert (run.workflow_id, run.version) == ("hang_1:1", APPLICATION_VERSION)
    assert await engine.under_way() == []


async def test_an_executor_that_stops_leaves_nothing_behind_under_its_name(database, engine, base_settings):
    """A run that has no time to end is owed to whoever comes next."""
    await owe(database, engine, "hang_1")
    async with executor(base_settings, "leaver") as leaver:
        await leaver.says("run hang_1 1")
        await leaver.stop()

    assert await engine.owed(["hang_1:1"]) == {"hang_1:1"}
    assert await engine.under_way() == []
    async with executor(base_settings, "next") as successor:
        await successor.says("run hang_1 1")


async def test_a_run_of_another_version_waits_for_its_version(database, engine, base_settings, monkeypatch):
    """An older worker does not start it; `all_owed` tells whose it is, so that it can be abandoned and owed anew."""
    monkeypatch.setattr(engine_module, "APPLICATION_VERSION", "0")
    await owe(database, engine, "job_old")
    monkeypatch.undo()
    await owe(database, engine, "job_new")
    async with executor(base_settings, "current") as current:
        await current.says("run job_new 1")
        assert {"job_old:1"} == set(await until(lambda: owed(engine), {"job_old:1": None}))
        stale = [run.workflow_id for run in await engine.all_owed() if run.version != APPLICATION_VERSION]
        await engine.abandon(stale)
        await owe(database, engine, "job_old", number=2)
        await current.says("run job_old 2")


async def test_a_start_without_tables_says_what_to_do(empty_postgres, tmp_path):
    """On a shared server nothing is made by a start."""
    settings = Settings.load(home=tmp_path, database_url=empty_postgres)
    database = Database(DatabaseAddress.parse(settings), settings.database)
    engine = engine_of(database)
    with pytest.raises(DatabaseUnusable, match="pressroom db upgrade"):
        await engine.start()

    # what failed leaves nothing in the process that a later start would stumble over
    await upgrade(settings)
    later = engine_of(database, executor_id="later")
    await later.start()
    assert DBOS.executor_id == "later"
    await later.stop()
    await database.close()


async def test_a_database_that_is_away_is_told_by_every_call(postgres, tmp_path):
    """As one of our errors, which may pass."""
    settings = Settings.load(home=tmp_path, database_url=postgres.url().replace(f":{postgres.port}/", ":1/"))
    database = Database(DatabaseAddress.parse(settings), settings.database)
    engine = engine_of(database)
    engine.connect()
    for call in (
        engine.under_way,
        engine.all_owed,
        lambda: engine.owed(["job_1:1"]),
        lambda: engine.hand_on(["job_1:1"]),
        lambda: engine.abandon(["job_1:1"]),
    ):
        with pytest.raises(DatabaseUnavailable):
            await call()
    with pytest.raises(DatabaseError):
        engine_module.migrate(database.address)
    await engine._close()
    await database.close()


async def test_it_starts_again_in_the_same_process(database, base_settings):
    """A program may open and close pressroom as often as it likes."""
    for turn in range(2):
        engine = engine_of(database, executor_id=f"turn-{turn}")
        await engine.start()
        assert await engine.all_owed() == []
        await engine.stop()
