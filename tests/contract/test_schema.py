"""The schema: what the steps make is what the code expects, and upgrades neither collide nor go back."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import pressroom
import pressroom.catalog.tables
import pressroom.fleet.tables
import pressroom.generation.tables
import pressroom.spend.tables
from pressroom import migrations
from pressroom.app import open_app, upgrade
from pressroom.database import Database, DatabaseAddress, metadata
from pressroom.errors import DatabaseUnusable
from pressroom.settings import Settings

FOLDER = Path(migrations.__file__).parent
SOURCE = Path(pressroom.__file__).parents[1]


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request, tmp_path):
    """Settings with an empty database, on SQLite and on Postgres."""
    url = request.getfixturevalue("empty_postgres") if request.param == "postgres" else None
    return Settings.load(home=tmp_path, database_url=url)


async def _with(settings, work):
    database = Database(DatabaseAddress.parse(settings), settings.database)
    try:
        async with database.write() as connection:
            return await connection.run_sync(work)
    finally:
        await database.close()


def _differences(connection):
    """What alembic would change; indexes with conditions it compares by name, so their text is compared here."""
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_schemas": False, "include_name": _ours}
    )
    return compare_metadata(context, metadata)


def _ours(name, kind, parents):
    return kind != "table" or name in metadata.tables


async def test_the_steps_make_exactly_what_the_tables_declare(database):
    """Tables, columns, types, nullability, indexes, constraints; nothing more and nothing less."""
    async with database.read() as connection:
        assert await connection.run_sync(_differences) == []


async def test_every_declared_table_is_ours_and_there(database):
    """None was forgotten by the comparison above."""
    async with database.read() as connection:
        present = set(await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names()))

    assert {"jobs", "attempts", "assets", "workers", "leases"} <= set(metadata.tables) <= present


async def test_conditions_of_indexes_are_those_declared(database):
    """Which rows a unique index holds decides what can be bought twice."""
    dialect = "sqlite" if database.is_sqlite else "postgresql"
    async with database.read() as connection:
        for table in metadata.sorted_tables:
            for index in table.indexes:
                declared = index.dialect_options[dialect]["where"]
                query = (
                    "SELECT sql FROM sqlite_master WHERE name = :name"
                    if database.is_sqlite
                    else "SELECT indexdef FROM pg_indexes WHERE indexname = :name"
                )
                made = (await connection.execute(sa.text(query), {"name": index.name})).scalar_one()
                _, _, condition = made.partition(" WHERE ")
                words = set("" if declared is None else str(declared).replace("(", "").split()[:1])
                assert bool(declared is not None) is bool(condition), index.name
                assert all(word in condition for word in words), index.name


def test_head_is_the_newest_step():
    """The code compares a database with this constant, without loading Alembic."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    script = ScriptDirectory.from_config(config)

    assert script.get_heads() == [migrations.HEAD]
    assert max(path.name[:4] for path in (FOLDER / "versions").glob("[0-9]*.py")) == migrations.HEAD


def test_steps_stand_alone():
    """A step stays what it was when the code moves on, so it imports nothing of it."""
    for path in (FOLDER / "versions").glob("*.py"):
        assert "pressroom" not in path.read_text(), path


async def test_an_upgrade_can_be_repeated(empty):
    """The second one changes nothing."""
    assert await upgrade(empty) == migrations.HEAD
    before = await _with(empty, _shape)
    assert await upgrade(empty) == migrations.HEAD

    assert before == await _with(empty, _shape)
    assert await _with(empty, migrations.current) == migrations.HEAD


def _shape(connection):
    inspector = sa.inspect(connection)
    return {
        table: sorted(column["name"] for column in inspector.get_columns(table))
        for table in inspector.get_table_names()
    }


async def test_four_processes_upgrade_at_once(empty):
    """As when a deployment starts them together: each succeeds, and the schema is made once."""
    url = empty.database_url
    spec = {"home": str(empty.home), "database_url": None if url is None else url.get_secret_value()}
    program = (
        "import asyncio, json, sys\n"
        "from pressroom.app import upgrade\n"
        "from pressroom.settings import Settings\n"
        "settings = Settings.load(**json.loads(sys.argv[1]))\n"
        "sys.stdin.readline()\n"
        "print(asyncio.run(upgrade(settings)))\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            json.dumps(spec),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        for _ in range(4)
    ]
    told = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    assert [process.returncode for process in processes] == [0] * 4, told
    assert [migrations.HEAD.encode()] * 4 == [out.strip() for out, _ in told]
    database = Database(DatabaseAddress.parse(empty), empty.database)
    async with database.read() as connection:
        assert await connection.run_sync(_differences) == []
    await database.close()


async def test_a_newer_schema_is_refused(base_settings):
    """An older version would not know what it reads; nothing is changed."""

    def newer(connection):
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    await _with(base_settings, newer)
    with pytest.raises(DatabaseUnusable, match=r"9999.*newer than this version; upgrade pressroom"):
        async with open_app(base_settings):
            pass
    assert await _with(base_settings, migrations.current) == "9999"


async def test_a_sqlite_file_is_made_and_upgraded_by_itself(tmp_path):
    """A first try needs no command."""
    settings = Settings.load(home=tmp_path / "new")
    async with open_app(settings) as app:
        assert await app.jobs() == []

    with sqlite3.connect(tmp_path / "new" / "pressroom.sqlite") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            (migrations.HEAD,)
        ]
    connection.close()


async def test_a_shared_server_is_upgraded_by_command_only(empty_postgres, tmp_path):
    """Older workers may still be at it; a start changes nothing and says what to do."""
    settings = Settings.load(home=tmp_path, database_url=empty_postgres)
    with pytest.raises(DatabaseUnusable, match="schema is missing; run `pressroom db upgrade`"):
        async with open_app(settings):
            pass
    assert await _with(settings, _shape) == {}

    await upgrade(settings)
    async with open_app(settings) as app:
        assert await app.jobs() == []
