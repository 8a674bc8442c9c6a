"""SQLAlchemy's engines for both databases: pools, pragmas, how transactions begin."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from pressroom.settings import DatabaseSettings

CONNECT_S = 5
"""Seconds to reach a Postgres server."""

SILENT_S = 15
"""Seconds after which a server that does not even acknowledge counts as gone: a partition must not hold a fact, or a lease,
until the kernel gives up by itself after a quarter of an hour."""

TO_POSTGRES = {
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": SILENT_S * 1000,
}
"""libpq's options (Postgres manual, 34.1.2); times in seconds, `tcp_user_timeout` in milliseconds."""

IDLE_S = 1.0
"""Seconds after which an unused connection is asked whether it is still there. A server that restarted meanwhile is noticed
here; one that restarts between two uses within a second fails one transaction, which is repeated or told."""


def postgres_async(url: sa.URL, settings: DatabaseSettings) -> AsyncEngine:
    """For our tables on a server."""
    engine = create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,  # they hold prompts, and errors end up in logs
        pool_size=settings.pool,
        max_overflow=0,
        connect_args=TO_POSTGRES,
    )
    _let_go_of_the_silent(engine.sync_engine, settings)
    _ping_the_idle(engine.sync_engine)
    return engine


def postgres_sync(url: sa.URL, settings: DatabaseSettings, pool: int) -> sa.Engine:
    """For threads; `pool=0` makes a connection each time."""
    pooled: dict[str, Any] = {"poolclass": NullPool} if pool == 0 else {"pool_size": pool, "max_overflow": 0}
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args=TO_POSTGRES,
        **pooled,
    )
    _let_go_of_the_silent(engine, settings)
    return engine


def _let_go_of_the_silent(engine: sa.Engine, settings: DatabaseSettings) -> None:
    """
    Have the server end a transaction of ours that says nothing for long.

    A process that was paused, or cut off, between two statements keeps its locks, the dispatcher's among them, until the
    server notices; by itself that takes hours.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {int(settings.silent_s * 1000)}")
        cursor.close()
        connection.commit()


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


def sqlite_async(url: sa.URL, settings: DatabaseSettings) -> AsyncEngine:
    """For our tables in a file."""
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


def sqlite_sync(url: sa.URL, settings: DatabaseSettings, pool: int) -> sa.Engine:
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


def look_into(path: str) -> None:
    """Open a file and read its header, to find out whether it is a database at all."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA schema_version")
    finally:
        connection.close()


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
