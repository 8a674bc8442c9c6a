"""The schema of our tables and of the engine's: brought to this version, or asked for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom import migrations
from pressroom.database import Database, DatabaseAddress
from pressroom.errors import DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pressroom.settings import Settings

LOOK_AGAIN_S = 0.1
"""Seconds between two looks whether another process has done upgrading."""

UPGRADE_LOCK = 7365731
"""Advisory lock on Postgres under which one process upgrades; any number would do, as long as it stays."""


async def upgrade(settings: Settings) -> str:
    """
    Bring the schema of our tables and of the engine's to this version; safe to repeat.

    Returns:
        The schema step that the database is at now.

    Raises:
        DatabaseError: The database cannot be used.
    """
    from pressroom import engine

    address = DatabaseAddress.parse(settings)
    database = Database(address, settings.database)
    try:
        async with _one_at_a_time(database):
            # The engine's tables first: our step is the mark that everything is there.
            await asyncio.to_thread(engine.migrate, address)
            async with database.write() as connection:
                await connection.run_sync(migrations.upgrade)
    finally:
        await database.close()
    return migrations.HEAD


@asynccontextmanager
async def _one_at_a_time(database: Database) -> AsyncIterator[None]:
    """
    Keep other processes from upgrading meanwhile.

    The lock belongs to a session and is asked for again and again instead of waited for: the engine builds indexes
    concurrently, which waits for every open transaction, a waiting statement's among them. A SQLite file needs no lock,
    since each step takes its write lock.
    """
    if database.is_sqlite:
        yield
        return
    async with database.read() as guard:
        while not (  # noqa: ASYNC110 - the event is in another process
            await guard.execute(sa.select(sa.func.pg_try_advisory_lock(UPGRADE_LOCK)))
        ).scalar_one():
            await asyncio.sleep(LOOK_AGAIN_S)
        try:
            yield
        finally:
            await guard.execute(sa.select(sa.func.pg_advisory_unlock(UPGRADE_LOCK)))


async def check(settings: Settings, database: Database) -> None:
    """
    See that the schema fits: a SQLite file is upgraded by itself, on a shared server `db upgrade` is asked for.

    Raises:
        DatabaseError: It does not fit, or the database cannot be used.
    """
    await database.check_file()
    async with database.read() as connection:
        step = await connection.run_sync(migrations.current)
    if step == migrations.HEAD:
        return
    if step is not None and step > migrations.HEAD:
        raise DatabaseUnusable(
            f"database {database.address}: its schema ({step}) is newer than this version; upgrade pressroom"
        )
    if not database.is_sqlite:
        raise DatabaseUnusable(
            f"database {database.address}: its schema is {step or 'missing'}; run `pressroom db upgrade`"
        )
    await upgrade(settings)
