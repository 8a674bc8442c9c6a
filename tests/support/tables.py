"""
The tables of one database read directly, without pressroom's code, on SQLite and on Postgres.

    tables = tables_of("postgresql://…")
    [row] = tables.rows("SELECT id, state FROM jobs WHERE id = ?", job)
    row["state"], row[0]
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg.types.string import TextLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SQLITE = "sqlite:///"

FREE_S = 0.2
"""Seconds within which a transaction that is not stuck has ended."""


class Row(dict[str, Any]):
    """One row; by the column's name, or by its place."""

    def __getitem__(self, key: str | int) -> Any:
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


class Tables(Protocol):
    """What both databases can be asked. JSON comes as text, as it is written on SQLite."""

    def rows(self, query: str, *values: object) -> Sequence[Row]:
        """The rows of one query, whose parameters are `?`; the engine's tables need no schema before their names."""

    def is_free(self) -> bool:
        """Whether nobody stands in the middle of a writing transaction."""


class SqliteTables:
    """A file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def rows(self, query: str, *values: object) -> Sequence[Row]:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection:
            connection.row_factory = lambda cursor, row: Row(
                zip([column[0] for column in cursor.description], row, strict=True)
            )
            found: list[Row] = connection.execute(query, values).fetchall()
            return found

    def is_free(self) -> bool:
        with closing(sqlite3.connect(self._path, timeout=FREE_S, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            connection.execute("ROLLBACK")
            return True


_BUSY = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND (backend_xid IS NOT NULL
        OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted))
"""
"""Sessions that have written, or that hold the dispatcher's lock, the only advisory one with a key of two numbers."""


class PostgresTables:
    """A database on a server; one connection, made anew when it has broken."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Row] | None = None

    def rows(self, query: str, *values: object) -> Sequence[Row]:
        try:
            return self._ask(query, values)
        except psycopg.OperationalError:  # the server was restarted since
            self.close()
            return self._ask(query, values)

    def is_free(self) -> bool:
        deadline = time.monotonic() + FREE_S
        while self.rows(_BUSY)[0][0]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _ask(self, query: str, values: Sequence[object]) -> Sequence[Row]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._url,
                autocommit=True,
                prepare_threshold=None,
                options="-c search_path=public,dbos",
                row_factory=_by_name,
            )
            for kind in ("json", "jsonb"):
                self._connection.adapters.register_loader(kind, TextLoader)
        asked = query.replace("%", "%%").replace("?", "%s") if values else query
        return self._connection.execute(asked.encode(), values or None).fetchall()


def _by_name(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
    names = [column.name for column in cursor.description or ()]
    return lambda values: Row(zip(names, values, strict=True))


_known: dict[str, Tables] = {}


def tables_of(url: str) -> Tables:
    """The tables at an address as `PRESSROOM_DATABASE_URL` takes it."""
    if url not in _known:
        made = SqliteTables(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else PostgresTables(url)
        _known[url] = made
    return _known[url]


def forget_tables() -> None:
    """Close every connection that `tables_of` keeps."""
    for tables in _known.values():
        if isinstance(tables, PostgresTables):
            tables.close()
    _known.clear()
