"""The database: addresses, ids, clocks, transactions, and what its errors become."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import threading
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from tests.support.parts import needs

from pressroom.database import Database, DatabaseAddress, at, new_id, now_ms, prepare_home
from pressroom.errors import DatabaseUnavailable, DatabaseUnusable, InvalidInput, InvalidSettings
from pressroom.fleet.tables import leases
from pressroom.settings import DatabaseSettings, Settings

PASSWORD = "pa:ss/wo@rd"


def _address(url, **settings):
    return DatabaseAddress.parse(Settings.load(database_url=url, **settings))


def test_the_default_is_a_file_in_home(tmp_path, monkeypatch):
    """An absolute path, so that a later change of folder does not matter."""
    address = DatabaseAddress.parse(Settings.load(home="here"))

    assert address.is_sqlite
    assert str(tmp_path / "here" / "pressroom.sqlite") == address.url.database


@pytest.mark.parametrize(
    ("url", "sqlite"),
    [
        ("sqlite:////tmp/x.sqlite", True),
        ("sqlite+aiosqlite:////tmp/x.sqlite", True),
        ("postgres://u:p@h/d", False),
        ("postgresql://u:p@h:5433/d", False),
        ("postgresql+psycopg://u@h/d?sslmode=require", False),
    ],
)
def test_addresses_are_taken_as_people_write_them(url, sqlite):
    """With or without a driver; the driver is ours to choose."""
    assert sqlite is _address(url).is_sqlite


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://u:p@h/d",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://u:p@h",
        f"postgres//u:{PASSWORD}@h/d",
        f"mysql://u:{PASSWORD}@h/d",
        f"postgresql://u:{PASSWORD}@h:port/d",
    ],
)
def test_another_address_is_refused_with_the_forms_that_would_do(url):
    """Without showing what was set: it may hold a password."""
    with pytest.raises(InvalidSettings) as caught:
        _address(url)

    assert "PRESSROOM_DATABASE_URL" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_an_address_shows_no_password():
    """In messages and in `repr`."""
    address = _address("postgresql://user:hunter2@h/d")

    assert "hunter2" not in f"{address} {address!r} {[address]}"


def test_ids_made_here_sort_by_age():
    """Also within a millisecond, and when the clock is set back."""
    made = [new_id("job") for _ in range(5_000)]

    assert sorted(set(made)) == made
    assert {len(made[0])} == {len(one) for one in made}


def test_a_clock_that_is_set_back_does_not_disturb_the_order(monkeypatch):
    """Order is a property of the process, not of the clock."""
    before = new_id("job")
    monkeypatch.setattr(time, "time", lambda: 1_000.0)
    after = [new_id("job") for _ in range(3)]

    assert sorted([before, *after]) == [before, *after]


def test_an_id_begins_with_its_time():
    """So rows of different processes sort too, to within their clocks' difference."""
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    number = 0
    for digit in new_id("job").removeprefix("job_"):
        number = number * 32 + digits.index(digit)

    assert abs((number >> 80) / 1000 - time.time()) < 60


async def test_the_databases_clock_is_ours_here(database):
    """Both speak milliseconds since the epoch, and it moves within a transaction."""
    async with database.read() as connection:
        first = (await connection.execute(sa.select(now_ms()))).scalar_one()
        await asyncio.sleep(0.02)
        second = (await connection.execute(sa.select(now_ms()))).scalar_one()

    assert abs(first / 1000 - time.time()) < 60
    assert second > first
    assert abs(at(first).timestamp() - first / 1000) < 0.001
    assert str(at(first).tzinfo) == "UTC"


async def _leases(database):
    async with database.read() as connection:
        return set((await connection.execute(sa.select(leases.c.name))).scalars())


async def test_a_transaction_is_kept_whole_or_not_at_all(database):
    """An error in its middle leaves nothing."""
    async with database.write() as connection:
        await connection.execute(sa.insert(leases).values(name="a", holder="h", until=0))
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction is what is tested
        async with database.write() as connection:
            await connection.execute(sa.insert(leases).values(name="b", holder="h", until=0))
            _ = 1 / 0

    assert {"a"} == await _leases(database)


async def test_a_broken_constraint_stays_what_it_is(database):
    """For the caller who expects it."""
    with pytest.raises(IntegrityError):  # noqa: PT012 - the transaction is what is tested
        async with database.write() as connection:
            for _ in range(2):
                await connection.execute(sa.insert(leases).values(name="a", holder="h", until=0))


async def test_writers_take_turns_and_lose_nothing(base_settings):
    """Read, add one, write, from several connections at once: no update is lost."""
    databases = [Database(DatabaseAddress.parse(base_settings), base_settings.database) for _ in range(4)]
    async with databases[0].write() as connection:
        await connection.execute(sa.insert(leases).values(name="n", holder="h", until=0))

    async def add(database):
        for _ in range(10):
            async with database.write() as connection:
                seen = (await connection.execute(sa.select(leases.c.until).with_for_update())).scalar_one()
                await connection.execute(sa.update(leases).values(until=seen + 1))

    await asyncio.gather(*(add(database) for database in databases))
    async with databases[0].read() as connection:
        assert (await connection.execute(sa.select(leases.c.until))).scalar_one() == 40
    for database in databases:
        await database.close()


async def test_sqlite_is_opened_as_the_design_says(sqlite_database):
    """WAL, every commit on the disk, foreign keys, and a wait before `busy`; for us and for the engine's threads."""
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    async with sqlite_database.read() as connection:
        ours = {name: (await connection.execute(sa.text(f"PRAGMA {name}"))).scalar_one() for name in wanted}
    engine = sqlite_database.sync_engine(pool=0)
    with engine.connect() as connection:
        engines = {name: connection.execute(sa.text(f"PRAGMA {name}")).scalar_one() for name in wanted}
    engine.dispose()

    assert wanted == ours == engines


async def test_a_write_holds_the_lock_from_its_first_moment(sqlite_database):
    """So that nothing it read can change before it writes."""
    other = sqlite3.connect(sqlite_database.address.url.database, timeout=0.01)
    async with sqlite_database.write():
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.close()


async def test_a_lock_that_does_not_come_may_come_later(sqlite_template, tmp_path):
    """A busy file is no broken one."""
    path = tmp_path / "busy.sqlite"
    shutil.copy(sqlite_template, path)
    database = Database(_address(f"sqlite:///{path}"), DatabaseSettings(busy_s=0.01))
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable):
        async with database.write():
            pass
    other.close()
    async with database.write():
        pass
    await database.close()


async def _fails(url, **options):
    database = Database(_address(url), DatabaseSettings(**options))
    try:
        async with database.write() as connection:
            await connection.execute(sa.insert(leases).values(name="a", holder="h", until=0))
    finally:
        await database.close()
        await asyncio.to_thread(_join_the_drivers_threads)


def _join_the_drivers_threads():
    """A connection of aiosqlite that failed ends its thread a moment later, and reports that to the loop."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join(20)


async def test_a_folder_in_place_of_the_file_is_unusable(tmp_path):
    """Waiting would not cure it."""
    with pytest.raises(DatabaseUnusable, match="cannot be opened"):
        await _fails(f"sqlite:///{tmp_path}")


async def test_a_missing_folder_is_unusable(tmp_path):
    """The message says what to check."""
    with pytest.raises(DatabaseUnusable, match="check the path"):
        await _fails(f"sqlite:///{tmp_path}/none/x.sqlite")


async def test_a_file_that_is_no_database_is_unusable(tmp_path):
    """It is left as it is."""
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"my holiday photographs" * 1000)
    with pytest.raises(DatabaseUnusable, match="not a SQLite database"):
        await _fails(f"sqlite:///{path}")

    assert path.read_bytes() == b"my holiday photographs" * 1000


async def test_a_damaged_file_is_unusable(sqlite_template, tmp_path):
    """With the advice to take a backup."""
    path = tmp_path / "x.sqlite"
    content = bytearray(sqlite_template.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(DatabaseUnusable, match=r"damaged|not a SQLite database|tables are missing"):
        await _fails(f"sqlite:///{path}")


async def test_a_database_without_tables_says_how_to_make_them(tmp_path):
    """The same on both."""
    with pytest.raises(DatabaseUnusable, match="pressroom db upgrade"):
        await _fails(f"sqlite:///{tmp_path}/x.sqlite")


async def test_postgres_without_tables_says_how_to_make_them(empty_postgres):
    """The same on both."""
    with pytest.raises(DatabaseUnusable, match="pressroom db upgrade"):
        await _fails(empty_postgres)


async def test_a_wrong_password_is_unusable_and_not_shown(postgres):
    """Nor the right one."""
    with pytest.raises(DatabaseUnusable, match="password is wrong") as caught:
        await _fails(postgres.url(password="hunter2"))

    assert "hunter2" not in str(caught.value)


async def test_a_database_that_does_not_exist_is_unusable(postgres):
    """It is ours to say that it must be created."""
    with pytest.raises(DatabaseUnusable, match="create it"):
        await _fails(postgres.url("none"))


async def test_a_server_that_does_not_answer_may_come_back(postgres):
    """A port where nobody listens."""
    url = postgres.url().replace(f":{postgres.port}/", ":1/")
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        await _fails(url)


async def test_an_unknown_host_is_unusable():
    """A name reserved never to exist (RFC 6761)."""
    with pytest.raises(DatabaseUnusable, match="host is unknown"):
        await _fails("postgresql://u:p@no-such-host.invalid/d")


CUT = "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE datname LIKE 'test_%'"


async def test_a_connection_that_was_cut_while_it_lay_idle_is_replaced(
    upgraded_postgres, postgres, monkeypatch
):
    """After the server ended it, the next use has a new one and notices nothing."""
    monkeypatch.setattr("pressroom.database.engines.IDLE_S", 0.0)
    database = Database(_address(upgraded_postgres), DatabaseSettings())
    assert await _leases(database) == set()
    postgres.execute(CUT)

    assert await _leases(database) == set()
    await database.close()


async def test_a_connection_that_was_cut_a_moment_after_its_use_is_told_once(
    upgraded_postgres, postgres, monkeypatch
):
    """As something that may pass, and it has passed: the use after that has a new one."""
    monkeypatch.setattr("pressroom.database.engines.IDLE_S", 3600.0)
    database = Database(_address(upgraded_postgres), DatabaseSettings())
    assert await _leases(database) == set()
    postgres.execute(CUT)

    with pytest.raises(DatabaseUnavailable):
        await _leases(database)
    assert await _leases(database) == set()
    await database.close()


async def test_a_connection_that_is_cut_in_use_may_come_back(upgraded_postgres, postgres):
    """A restart of the server in the middle of a transaction."""
    database = Database(_address(upgraded_postgres), DatabaseSettings())

    async def cut():
        async with database.write() as connection:
            await connection.execute(sa.select(1))
            postgres.execute(CUT)
            await connection.execute(sa.select(1))

    with pytest.raises(DatabaseUnavailable):
        await cut()
    assert await _leases(database) == set()
    await database.close()


async def test_a_statement_that_the_database_refuses_is_not_waited_for(database):
    """Waiting cures neither a wrong statement nor a value that no row can hold."""
    for statement in ("SELECT nothing FROM leases WHERE", "INSERT INTO leases VALUES (1, 2, 3, 4, 5)"):
        with pytest.raises((DatabaseUnusable, DatabaseUnavailable)) as caught:
            async with database.write() as connection:
                await connection.execute(sa.text(statement))
        if not database.is_sqlite:  # SQLite has one error for all
            assert caught.type is DatabaseUnusable


async def test_a_value_that_cannot_be_stored_is_the_callers_mistake(sqlite_database):
    """Half a surrogate pair has no UTF-8; a row's number has 64 bits."""
    for row in ({"name": "\ud800", "until": 0}, {"name": "a", "until": 2**70}):
        with pytest.raises(InvalidInput):
            async with sqlite_database.write() as connection:
                await connection.execute(sa.insert(leases).values(holder="h", **row))


async def test_patience_outlasts_an_outage_and_nothing_else(sqlite_template, tmp_path):
    """It repeats while the database is away, and says at once what waiting does not cure."""
    path = tmp_path / "x.sqlite"
    shutil.copy(sqlite_template, path)
    database = Database(_address(f"sqlite:///{path}"), DatabaseSettings(busy_s=0.01, patience_s=0.02))
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    tries = 0

    async def work():
        nonlocal tries
        tries += 1
        if tries == 4:
            other.rollback()
        async with database.write() as connection:
            await connection.execute(sa.insert(leases).values(name="a", holder="h", until=0))
        return "done"

    assert await database.patiently(work) == "done"
    assert tries >= 4
    with pytest.raises(IntegrityError):
        await database.patiently(work)
    other.close()
    await database.close()


def test_a_home_that_cannot_be_made_is_named(tmp_path):
    """A file in its way."""
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnusable, match="PRESSROOM_HOME"):
        prepare_home(tmp_path / "file" / "home")


def test_a_read_only_disk_is_named(tmp_path, sqlite_template):
    """Where root mounts a disk of its own: root writes every file that is merely marked read-only."""
    needs("tmpfs")

    from tests.unit.storage.conftest import tmpfs

    with tmpfs(tmp_path / "disk", "4m") as disk:
        shutil.copy(sqlite_template, disk / "x.sqlite")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(DatabaseUnusable, match=r"read-only|cannot be opened"):
            asyncio.run(_fails(f"sqlite:///{disk}/x.sqlite"))
