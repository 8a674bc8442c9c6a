"""What the dispatcher promises, on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.rows import add_attempt, add_job, engine_of

import pressroom
from pressroom.database import Database, DatabaseAddress, new_id, now_ms
from pressroom.errors import DatabaseError
from pressroom.fleet.keys import Keys
from pressroom.fleet.slots import free_slots
from pressroom.generation import jobs
from pressroom.generation.dispatch.dispatcher import BATCH, LOCK, Dispatcher
from pressroom.generation.dispatch.giving import run_id
from pressroom.generation.jobs import JobState
from pressroom.generation.tables import jobs as job_rows
from pressroom.ideogram import Ideogram
from pressroom.spend.attempts import AttemptState, transition
from pressroom.spend.prices import Prices
from pressroom.spend.tables import attempts

NOWHERE = "http://127.0.0.1:1"


@contextlib.asynccontextmanager
async def dispatcher_of(settings, *, limit=3, account_limit=10, upstream="emulator", **groups):
    """A dispatcher with connections and an engine of its own; prices come from the table, since no vendor answers."""
    fleet = {"concurrency": limit, "account_limit": account_limit}
    groups = {"fleet": settings.fleet.model_copy(update=fleet | groups.pop("fleet", {})), **groups}
    settings = settings.model_copy(update=groups)
    database = Database(DatabaseAddress.parse(settings), settings.database)
    engine = engine_of(database, queue=f"runs/{upstream}")
    engine.connect()
    keys = Keys(lambda key: Ideogram(key, base_url=NOWHERE), "key-of-tests", rest_s=1.0)
    try:
        yield Dispatcher(
            database=database,
            engine=engine,
            prices=Prices(keys, deadline_s=5, life_s=3600),
            settings=settings,
            upstream=upstream,
            keys=keys,
        )
    finally:
        await keys.aclose()
        await engine._close()
        await database.close()


@pytest.fixture
async def dispatcher(base_settings):
    async with dispatcher_of(base_settings) as made:
        yield made


async def submit(database, count=1, **columns):
    async with database.write() as connection:
        return [await add_job(connection, **columns) for _ in range(count)]


async def submit_copies(database, count):
    """Many jobs at once: rows of one request under ids of their own."""
    [first] = await submit(database)
    async with database.write() as connection:
        row = dict((await connection.execute(sa.select(job_rows))).mappings().one())
        ids = [new_id("job") for _ in range(count - 1)]
        await connection.execute(sa.insert(job_rows), [{**row, "id": job_id} for job_id in ids])
    return [first, *ids]


async def states(database):
    async with database.read() as connection:
        found = await connection.execute(sa.select(job_rows.c.id, job_rows.c.state).order_by(job_rows.c.id))
        return {row.id: row.state for row in found}


async def taken(database):
    """Slot by job, of all attempts in flight."""
    async with database.read() as connection:
        found = await connection.execute(
            sa.select(attempts.c.job_id, attempts.c.slot).where(attempts.c.slot.is_not(None))
        )
        return {row.job_id: row.slot for row in found}


async def owed(dispatcher):
    return {run.workflow_id for run in await dispatcher._giving._engine.all_owed()}


async def test_a_dispatch_is_slot_reservation_attempt_and_debt_together(database, dispatcher):
    """After it the engine owes exactly one run, named by job and number."""
    [job_id] = await submit(database)

    assert await dispatcher.dispatch() == 1
    assert {job_id: "running"} == await states(database)
    assert {run_id(job_id, 1)} == await owed(dispatcher)
    async with database.read() as connection:
        row = (await connection.execute(sa.select(attempts))).mappings().one()
    assert (job_id, "reserved", 0, None, None) == (
        row["job_id"],
        row["state"],
        row["slot"],
        row["owner"],
        row["sending_at"],
    )
    assert (100_000, "table") >= (row["reserved_micros"], row["price_source"]) > (0, "table")


async def test_the_oldest_go_first_and_take_the_lowest_places(database, dispatcher):
    """As many as the limit leaves room for; the next look finds nothing to do."""
    made = await submit(database, 5)

    assert await dispatcher.dispatch() == 3
    assert {made[0]: 0, made[1]: 1, made[2]: 2} == await taken(database)
    assert await dispatcher.dispatch() == 0
    assert list((await states(database)).values()) == ["running"] * 3 + ["queued"] * 2


async def test_a_freed_place_goes_to_the_next_in_turn(database, dispatcher):
    """The lowest one, whichever that is."""
    made = await submit(database, 5)
    await dispatcher.dispatch()
    async with database.write() as connection:
        middle = (await connection.execute(sa.select(attempts.c.id).where(attempts.c.slot == 1))).scalar_one()
        await transition(connection, middle, AttemptState.UNSOLD)

    assert await dispatcher.dispatch() == 1
    assert {made[0]: 0, made[3]: 1, made[2]: 2} == await taken(database)


async def test_a_lowered_limit_waits_for_the_places_above_it(database, base_settings):
    """Nothing is taken back; nothing new is given until fewer than the limit are in flight."""
    made = await submit(database, 8)
    async with dispatcher_of(base_settings, limit=5) as wide:
        assert await wide.dispatch() == 5
    async with dispatcher_of(base_settings, limit=2) as narrow:
        for freed in range(4):
            assert await narrow.dispatch() == 0, freed
            async with database.write() as connection:
                found = await connection.execute(
                    sa.select(attempts.c.id).where(attempts.c.slot.is_not(None)).order_by(attempts.c.slot)
                )
                await transition(connection, found.scalars().first(), AttemptState.UNSOLD)
        assert await narrow.dispatch() == 1
    assert {made[4]: 4, made[5]: 0} == await taken(database)


async def test_the_accounts_limit_is_never_exceeded(database, base_settings):
    """Whatever concurrency says."""
    await submit(database, 5)
    async with dispatcher_of(base_settings, limit=100, account_limit=2) as made:
        assert await made.dispatch() == 2


async def test_a_job_is_not_dispatched_before_its_time(database, dispatcher):
    """By the database's clock; a younger one that is due overtakes it."""
    later, due = await submit(database, 2)
    async with database.write() as connection:
        await jobs.transition(connection, later, JobState.QUEUED, delay_s=60)

    assert await dispatcher.dispatch() == 1
    assert {later: "queued", due: "running"} == await states(database)
    async with database.write() as connection:
        await connection.execute(sa.update(job_rows).values(eligible_at=now_ms() - 1))
    assert await dispatcher.dispatch() == 1


async def test_our_own_clock_has_no_say(database, dispatcher, monkeypatch):
    """A machine whose clock is wrong neither rushes nor delays a job."""
    monkeypatch.setattr("time.time", lambda: 0.0)
    await submit(database)

    assert await dispatcher.dispatch() == 1


async def test_a_job_with_an_attempt_continues_without_a_new_place(database, dispatcher):
    """However full it is: what was bought is brought home with no new slot, reservation or attempt."""
    await submit(database, 3)
    await dispatcher.dispatch()
    [job_id] = await submit(database, continuing=True)
    async with database.write() as connection:
        attempt_id = await add_attempt(connection, job_id, state=AttemptState.BOUGHT, slot=None)
    before = await taken(database)

    assert await dispatcher.dispatch() == 1
    assert before == await taken(database)
    assert run_id(job_id, 1) in await owed(dispatcher)
    async with database.read() as connection:
        found = await connection.execute(sa.select(attempts.c.id).where(attempts.c.job_id == job_id))
        assert [attempt_id] == list(found.scalars())


async def test_each_dispatch_of_a_job_has_a_number_of_its_own(database, dispatcher):
    """So the engine can tell its runs apart."""
    [job_id] = await submit(database, continuing=True)
    for number in (1, 2, 3):
        assert await dispatcher.dispatch() == 1
        assert run_id(job_id, number) in await owed(dispatcher)
        async with database.write() as connection:
            await jobs.transition(connection, job_id, JobState.QUEUED)


async def test_a_job_that_has_an_open_attempt_is_not_bought_again(database, dispatcher):
    """The constraint holds where everything else went wrong; the jobs beside it have their turn."""
    [job_id] = await submit(database)  # wrongly marked as a fresh one
    [sound] = await submit(database)
    async with database.write() as connection:
        await add_attempt(connection, job_id, state=AttemptState.UNCERTAIN, slot=None)

    assert await dispatcher.dispatch() == 2  # the attempt that it has is continued
    assert {job_id: "running", sound: "running"} == await states(database)
    assert {f"{sound}:1", f"{job_id}:1"} == await owed(dispatcher)
    assert {sound: 0} == await taken(database)


async def test_a_rollback_leaves_nothing(database, dispatcher):
    """Neither slot nor attempt nor the engine's row, when something fails after all of them were written."""
    made = await submit(database, 3)
    owe, owed_ids = dispatcher._giving._owe, []

    async def owe_two(connection, job_id, number):
        if len(owed_ids) == 2:
            raise DatabaseError("the connection is cut here")
        owed_ids.append(job_id)
        await owe(connection, job_id, number)

    dispatcher._giving._owe = owe_two
    with pytest.raises(DatabaseError):
        await dispatcher.dispatch()

    assert len(owed_ids) == 2
    assert dict.fromkeys(made, "queued") == await states(database)
    assert ({}, set()) == (await taken(database), await owed(dispatcher))
    async with database.read() as connection:
        assert (await connection.execute(sa.select(sa.func.count()).select_from(attempts))).scalar_one() == 0
    dispatcher._giving._owe = owe
    assert await dispatcher.dispatch() == 3


async def test_another_upstreams_jobs_are_not_touched(database, dispatcher, base_settings):
    """A job of the emulator never reaches another host, and each upstream has a limit of its own."""
    await submit(database, 5)
    await submit(database, 5, upstream="api.example:443")

    assert await dispatcher.dispatch() == 3
    async with dispatcher_of(base_settings, upstream="api.example:443") as other:
        assert await other.dispatch() == 3
        assert await dispatcher.dispatch() == 0
    async with database.read() as connection:
        found = await connection.execute(
            sa.select(job_rows.c.upstream, attempts.c.upstream, attempts.c.slot)
            .join(attempts, attempts.c.job_id == job_rows.c.id)
            .order_by(job_rows.c.id)
        )
        rows = [tuple(row) for row in found]
    assert [("emulator", "emulator", slot) for slot in range(3)] == rows[:3]
    assert [("api.example:443", "api.example:443", slot) for slot in range(3)] == rows[3:]


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.QUEUED}))
async def test_only_waiting_jobs_are_dispatched(database, dispatcher, state):
    """Held, uncertain and ended ones wait for a person or for nothing."""
    await submit(database, state=state)

    assert await dispatcher.dispatch() == 0


async def test_a_job_that_was_cancelled_meanwhile_is_left_alone(database, dispatcher):
    """Between the look and the lock; its place goes to nobody, and the count is right."""
    first, second = await submit(database, 2)
    commit = dispatcher._commit

    async def cancel_first(*arguments):
        async with database.write() as connection:
            await jobs.transition(connection, first, JobState.CANCELLED)
        return await commit(*arguments)

    dispatcher._commit = cancel_first
    assert await dispatcher.dispatch() == 1
    assert {first: "cancelled", second: "running"} == await states(database)
    assert {run_id(second, 1)} == await owed(dispatcher)


async def test_a_job_that_this_version_cannot_send_fails_and_blocks_nobody(database, dispatcher):
    """Its stored call no longer fits the table of operations."""
    bad, good = await submit(database, 2)
    async with database.write() as connection:
        await connection.execute(
            sa.update(job_rows)
            .where(job_rows.c.id == bad)
            .values(call={"operation": "v0/forgotten", "fields": {}, "asynchronous": True})
        )

    assert await dispatcher.dispatch() == 1
    assert {bad: "failed", good: "running"} == await states(database)


async def test_who_finds_the_lock_taken_does_nothing(upgraded_postgres, base_settings_postgres):
    """One dispatcher at a time; the others have no need to wait for it."""
    database = Database(DatabaseAddress.parse(base_settings_postgres), base_settings_postgres.database)
    async with dispatcher_of(base_settings_postgres) as dispatcher:
        await submit(database)
        async with database.write() as connection:
            await connection.execute(
                sa.select(sa.func.pg_advisory_xact_lock(LOCK, sa.func.hashtext("emulator")))
            )
            assert await dispatcher.dispatch() == 0
        assert await dispatcher.dispatch() == 1
    await database.close()


@pytest.fixture
def base_settings_postgres(upgraded_postgres, tmp_path):
    from pressroom.settings import Settings

    return Settings.load(home=tmp_path, database_url=upgraded_postgres)


async def test_two_dispatchers_at_once_never_pass_the_limit(database, base_settings):
    """Both find the same jobs and the same free places, again and again, and the sum stays below the limit."""
    await submit(database, 40)
    given = 0
    async with dispatcher_of(base_settings) as first, dispatcher_of(base_settings) as second:
        for _ in range(10):
            given += sum(await asyncio.gather(first.dispatch(), second.dispatch(), first.dispatch()))
            now = await taken(database)
            assert sorted(now.values()) == list(range(len(now)))
            assert len(now) <= 3
            async with database.write() as connection:
                await connection.execute(sa.update(attempts).values(slot=None, state=AttemptState.BOUGHT))
        assert len(await owed(first)) == given
    async with database.read() as connection:
        found = await connection.execute(sa.select(attempts.c.job_id))
        bought = list(found.scalars())
    assert given == len(bought) == len(set(bought))
    assert list((await states(database)).values()).count("running") == given


async def test_dispatchers_in_two_processes_never_pass_the_limit(database, base_settings):
    """While both work, the places in flight are counted from here."""
    await submit(database, 30)
    program = Path(__file__).parent.parent / "support" / "dispatching.py"
    url = base_settings.database_url
    spec = {
        "home": str(base_settings.home),
        "database_url": None if url is None else url.get_secret_value(),
        "rounds": 40,
    }
    root = Path(pressroom.__file__).parents[2]
    processes = [
        subprocess.Popen(  # noqa: ASYNC220 - it only starts one
            [sys.executable, str(program), json.dumps(spec)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        )
        for _ in range(2)
    ]
    most = 0
    while any(process.poll() is None for process in processes):
        async with (
            database.write() as connection
        ):  # look and clear in one moment, so that nothing slips between
            found = await connection.execute(sa.select(attempts.c.slot).where(attempts.c.slot.is_not(None)))
            now = list(found.scalars())
            await connection.execute(sa.update(attempts).values(slot=None, state=AttemptState.BOUGHT))
        assert len(set(now)) == len(now)
        most = max(most, len(now))
        await asyncio.sleep(0.005)
    counts = [int(process.communicate()[0]) for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert most <= 3
    async with database.read() as connection:
        total = (await connection.execute(sa.select(sa.func.count()).select_from(attempts))).scalar_one()
    assert 0 < sum(counts) == total == list((await states(database)).values()).count("running")


async def test_a_thousand_waiting_jobs_go_in_order(database, base_settings):
    """Batch by batch, the oldest first, none twice and none left out."""
    made = await submit_copies(database, 1_000)
    order = []
    async with dispatcher_of(base_settings, limit=200, account_limit=200) as dispatcher:
        while given := await dispatcher.dispatch():
            assert given <= BATCH
            async with database.write() as connection:
                found = await connection.execute(
                    sa.select(attempts.c.job_id, attempts.c.slot)
                    .where(attempts.c.slot.is_not(None))
                    .order_by(attempts.c.slot)
                )
                order += [row.job_id for row in found]
                await connection.execute(
                    sa.update(attempts)
                    .where(attempts.c.slot.is_not(None))
                    .values(slot=None, state=AttemptState.BOUGHT)
                )
                assert await free_slots(connection, "emulator", 200) == list(range(200))

    assert made == order


async def test_a_look_at_an_empty_queue_writes_nothing(database, dispatcher):
    """It happens twenty times a second in every worker: no lock, no transaction that writes."""
    dispatcher._commit = None  # calling it would fail

    assert await dispatcher.dispatch() == 0
    await submit(database, 3, state=JobState.RUNNING)
    assert await dispatcher.dispatch() == 0
