"""The connections of one process: reading, writing, and waiting for a database that is away."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pressroom.database.engines import look_into, postgres_async, postgres_sync, sqlite_async, sqlite_sync
from pressroom.database.translation import translated
from pressroom.errors import DatabaseError, DatabaseUnusable
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database.address import DatabaseAddress
    from pressroom.settings import DatabaseSettings

log = event_logger(__name__)

T = TypeVar("T")

ROOM_BYTES = 16 * 1024 * 1024
"""Bytes that a SQLite file's disk must have free before something is bought: a job's rows are a few kilobytes."""


class Database:
    """
    Both engines of one process: asynchronous for our tables, synchronous for the durable engine and the lease.

    Args:
        address: Where it is.
        settings: Pools and waits.
    """

    def __init__(self, address: DatabaseAddress, settings: DatabaseSettings) -> None:
        self.address = address
        self.settings = settings
        self._engine = (
            sqlite_async(address.url, settings)
            if address.is_sqlite
            else postgres_async(address.url, settings)
        )
        # Under READ COMMITTED each statement sees its own moment anyway, so reads spare the server BEGIN and ROLLBACK.
        self._reader = (
            self._engine
            if address.is_sqlite
            else self._engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._writer = self._engine.execution_options(pressroom_write=True)

    @property
    def is_sqlite(self) -> bool:
        """True for one file on this machine."""
        return self.address.is_sqlite

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading only. Never open another one of ours inside: on SQLite the pool holds one."""
        with translated(self.address):
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end; on SQLite it holds the write lock from its first moment."""
        with translated(self.address):
            async with self._writer.begin() as connection:
                yield connection

    async def patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """
        Do `work` until the database is there for it; for facts that must not be lost.

        Args:
            work: One transaction that is safe to repeat. It is repeated for as long as the database cannot do it, also
                for a full disk: somebody will free it.
        """
        wait = 0.05
        while True:
            try:
                return await work()
            except DatabaseError as error:
                log.warning("database.waiting", error=type(error).__name__, wait_s=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, self.settings.patience_s)

    def sync_engine(self, *, pool: int) -> sa.Engine:
        """A synchronous engine of its own for threads; the caller disposes of it. `pool=0`: a connection each time."""
        if self.is_sqlite:
            return sqlite_sync(self.address.url, self.settings, pool)
        return postgres_sync(self.address.url, self.settings, pool)

    def check_room(self) -> None:
        """
        See that a SQLite file can grow; a server looks after itself.

        Raises:
            DatabaseUnusable: Its disk has less than `ROOM_BYTES` left.
        """
        if self.is_sqlite:
            folder = Path(str(self.address.url.database)).parent
            free = shutil.disk_usage(folder).free
            if free < ROOM_BYTES:
                raise DatabaseUnusable(
                    f"database {self.address}: its disk has {free} bytes left; free some space"
                )

    async def check_file(self) -> None:
        """
        Open a SQLite file once, apart from the pool, whose threads would outlive a failure.

        Raises:
            DatabaseError: It cannot be opened, or is no database.
        """
        if self.is_sqlite:
            with translated(self.address):
                await asyncio.to_thread(look_into, str(self.address.url.database))

    async def close(self) -> None:
        """Close every connection of ours."""
        await self._engine.dispose()
