"""The schema of our tables and of the engine's: brought to this version, or asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom import migrations
from pressroom.database import Database, DatabaseAddress
from pressroom.errors import DatabaseUnusable

if TYPE_CHECKING:
    from pressroom.settings import Settings

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
        async with database.write() as connection:
            if not database.is_sqlite:
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            await connection.run_sync(migrations.upgrade)
        await asyncio.to_thread(engine.migrate, address)
    finally:
        await database.close()
    return migrations.HEAD


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
