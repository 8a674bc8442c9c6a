"""The database: one address, SQLite or Postgres, for our tables and the engine's.

Every transaction goes through `Database.read` or `Database.write`, which translate the driver's errors. Times in rows
are integers, milliseconds since the epoch by the database's own clock (`now_ms`), so that machines whose clocks differ
agree on what is due.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import sqlite3
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool

from pressroom.errors import (
    DatabaseError,
    DatabaseUnavailable,
    DatabaseUnusable,
    InvalidInput,
    InvalidSettings,
)
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from sqlalchemy.sql.compiler import SQLCompiler

    from pressroom.settings import DatabaseSettings, Settings

log = event_logger(__name__)

T = TypeVar("T")

CONNECT_S = 5
"""Seconds to reach a Postgres server."""

IDLE_S = 1.0
"""Seconds after which an unused connection is asked whether it is still there. A server that restarted meanwhile is noticed
here; one that restarts between two uses within a second fails one transaction, which is repeated or told."""

ROOM_BYTES = 16 * 1024 * 1024
"""Bytes that a SQLite file's disk must have free before something is bought: a job's rows are a few kilobytes."""

metadata = sa.MetaData()
"""Every folder's `tables.py` declares its tables on this one."""

Millis = sa.BigInteger
"""Column type of a time: milliseconds since the epoch."""
Micros = sa.BigInteger
"""Column type of money: millionths of a US dollar (the vendor's unit, reference section 17.1)."""
Json = sa.JSON().with_variant(JSONB(), "postgresql")


class now_ms(sa.sql.functions.GenericFunction[int]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock, in milliseconds since the epoch."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_ms_sqlite(_element: now_ms, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(now_ms, "postgresql")
def _now_ms_postgresql(_element: now_ms, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


def at(millis: int) -> datetime:
    """A row's time as an aware UTC datetime."""
    return datetime.fromtimestamp(millis / 1000, UTC)


@dataclass(frozen=True, kw_only=True)
class DatabaseAddress:
    """Where the database is: `sqlite` with a path, or `postgresql` with a server."""

    url: sa.URL

    @classmethod
    def parse(cls, settings: Settings) -> DatabaseAddress:
        """
        Read `PRESSROOM_DATABASE_URL`, or take the file in `PRESSROOM_HOME`.

        Raises:
            InvalidSettings: Not an address we can use.
        """
        if settings.database_url is None:
            return cls(
                url=sa.URL.create("sqlite", database=str((settings.home / "pressroom.sqlite").absolute()))
            )
        hint = "PRESSROOM_DATABASE_URL: use sqlite:////absolute/path or postgresql://user:password@host:5432/name"
        try:
            url = sa.make_url(settings.database_url.get_secret_value())
        except (SQLAlchemyError, ValueError):  # the latter: a port that is no number
            raise InvalidSettings(f"{hint}; what is set is not an address") from None
        kind = url.drivername.partition("+")[0]
        if kind == "sqlite" and url.database and url.database != ":memory:":
            return cls(url=url.set(drivername="sqlite"))
        if kind in {"postgres", "postgresql"} and url.database:
            return cls(url=url.set(drivername="postgresql"))
        raise InvalidSettings(f"{hint}; {kind!r} without a file or a database name is not possible")

    @property
    def is_sqlite(self) -> bool:
        """True for one file on this machine."""
        return self.url.drivername == "sqlite"

    def __str__(self) -> str:
        """The address without its password."""
        return self.url.render_as_string(hide_password=True)


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
        if address.is_sqlite:
            self._engine = _sqlite_async(address.url, settings)
        else:
            self._engine = create_async_engine(
                address.url.set(drivername="postgresql+psycopg"),
                hide_parameters=True,  # they hold prompts, and errors end up in logs
                pool_size=settings.pool,
                max_overflow=0,
                connect_args={"connect_timeout": CONNECT_S},
            )
            _ping_the_idle(self._engine.sync_engine)
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
            engine = _sqlite_sync(self.address.url, self.settings, pool)
        else:
            pooled: dict[str, Any] = (
                {"poolclass": NullPool} if pool == 0 else {"pool_size": pool, "max_overflow": 0}
            )
            engine = sa.create_engine(
                self.address.url.set(drivername="postgresql+psycopg"),
                hide_parameters=True,  # they hold prompts, and errors end up in logs
                pool_pre_ping=True,
                connect_args={"connect_timeout": CONNECT_S},
                **pooled,
            )
        return engine

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
                await asyncio.to_thread(_look_into, str(self.address.url.database))

    async def close(self) -> None:
        """Close every connection of ours."""
        await self._engine.dispose()


def prepare_home(home: Path) -> None:
    """
    Make the folder that the local database and everything else of this machine is kept in.

    Raises:
        DatabaseUnusable: It cannot be made.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnusable(
            f"PRESSROOM_HOME {home} cannot be made ({error.strerror}); name a folder that can be written"
        ) from error


def _ping_the_idle(engine: sa.Engine) -> None:
    """See that a connection that lay idle is still there before it is used; a busy one is not asked each time."""

    @event.listens_for(engine, "checkin")
    def _checkin(_connection: object, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _checkout(connection: Any, record: Any, _proxy: object) -> None:
        if time.monotonic() - record.info.get("idle_since", 0.0) < IDLE_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise sa.exc.DisconnectionError from error  # the pool takes another one


def _sqlite_async(url: sa.URL, settings: DatabaseSettings) -> AsyncEngine:
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        hide_parameters=True,  # they hold prompts, and errors end up in logs
        pool_size=1,
        max_overflow=0,
        pool_timeout=60,
        connect_args={"timeout": settings.busy_s},
        json_serializer=_dumps,
    )
    _begin_explicitly(engine.sync_engine, settings)
    return engine


def _sqlite_sync(url: sa.URL, settings: DatabaseSettings, pool: int) -> sa.Engine:
    """Transactions begin with the first write, as IMMEDIATE: the way the engine itself opens SQLite files."""
    pooled: dict[str, Any] = (
        {"poolclass": NullPool} if pool == 0 else {"pool_size": pool, "max_overflow": 0, "pool_timeout": 60}
    )
    engine = sa.create_engine(
        url.set(drivername="sqlite"),
        hide_parameters=True,  # they hold prompts, and errors end up in logs
        connect_args={"timeout": settings.busy_s, "check_same_thread": False},
        **pooled,
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        _set_pragmas(connection, settings)
        connection.isolation_level = "IMMEDIATE"

    return engine


def _begin_explicitly(engine: sa.Engine, settings: DatabaseSettings) -> None:
    """Transactions say at their first moment whether they will write."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        _set_pragmas(connection, settings)

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("pressroom_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _set_pragmas(connection: Any, settings: DatabaseSettings) -> None:
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={int(settings.busy_s * 1000)}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _look_into(path: str) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA schema_version")
    finally:
        connection.close()


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


PERMANENT_SQLITE = {
    "SQLITE_READONLY": "the file is read-only; give this user write access to it and to its folder",
    "SQLITE_CANTOPEN": "the file cannot be opened: check the path, and that neither its folder nor its disk is read-only",
    "SQLITE_NOTADB": "the file is not a SQLite database; name another one",
    "SQLITE_CORRUPT": "the file is damaged; restore it from a backup",
    "SQLITE_PERM": "access is denied; give this user write access",
    "SQLITE_FULL": "the disk is full; free some space",
}
"""SQLite result codes (sqlite.org/rescode.html) that waiting does not cure, and what to do. A full disk may pass, yet
nothing can be written meanwhile, so it is told at once."""

PERMANENT_POSTGRES = {
    "28P01": "the password is wrong",
    "28000": "this user may not connect",
    "3D000": "that database does not exist; create it",
    "42501": "this user lacks a permission",
    "42P01": "the tables are missing; run `pressroom db upgrade`",
    "3F000": "the schema is missing; run `pressroom db upgrade`",
    "25006": "the server is read-only; name the primary",
}
"""SQLSTATE codes (Postgres appendix A) that waiting does not cure."""


@contextmanager
def translated(address: DatabaseAddress) -> Iterator[None]:
    """Turn the driver's errors into ours; a broken constraint stays what it is, for the caller who expects it."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except (UnicodeError, OverflowError, sa.exc.DataError) as error:
        raise InvalidInput(
            f"a value cannot be stored ({type(error).__name__}): a NUL, half of a surrogate pair, or a number too large"
        ) from error
    except (DBAPIError, PoolTimeout, sqlite3.Error, OSError) as error:
        raise _translate(address, error) from error


def _translate(address: DatabaseAddress, error: BaseException) -> DatabaseError:
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorname", None)
    if code is not None:
        for name, advice in PERMANENT_SQLITE.items():
            if code.startswith(name):
                return DatabaseUnusable(f"database {address}: {advice}")
    state = getattr(cause, "sqlstate", None)
    text = str(cause)
    if state in PERMANENT_POSTGRES:
        return DatabaseUnusable(f"database {address}: {PERMANENT_POSTGRES[state]}")
    for needle, advice in (
        ("password authentication failed", PERMANENT_POSTGRES["28P01"]),
        ("does not exist", PERMANENT_POSTGRES["3D000"]),
        ("no such table", "the tables are missing; run `pressroom db upgrade`"),
        ("failed to resolve host", "that host is unknown; check the address"),
        ("Name or service not known", "that host is unknown; check the address"),
    ):
        if needle in text:
            return DatabaseUnusable(f"database {address}: {advice}")
    if isinstance(error, sa.exc.ProgrammingError):  # waiting does not cure it either
        return DatabaseUnusable(
            f"database {address}: it refuses a statement ({type(cause).__name__}); the versions do not fit"
        )
    return DatabaseUnavailable(
        f"database {address} does not answer ({type(cause).__name__}); check that it runs and is reachable"
    )


_ID_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_last_id = 0


def new_id(prefix: str) -> str:
    """
    A new row id that sorts by age: prefix, 48 bits of milliseconds, 80 random bits, in base 32 (Crockford's digits).

    Ids made in one process within one millisecond keep their order too.
    """
    global _last_id  # noqa: PLW0603 - the order of ids is a property of the process
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    if number >> 80 <= _last_id >> 80:
        number = _last_id + 1 + secrets.randbits(32)
    _last_id = number
    return f"{prefix}_" + "".join(_ID_DIGITS[(number >> shift) & 31] for shift in range(125, -1, -5))
