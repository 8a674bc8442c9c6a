"""
The books: one SQLite file that every emulator instance of a fleet shares.

Nothing of an instance's state lives outside this file, so any instance answers any generation id, and a killed one
leaves nothing behind that another would miss. The file survives the death of a process; it is not made to survive
the death of the machine (`synchronous=OFF`).
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA_VERSION: Final = "1"

BUSY_TIMEOUT_MS: Final = 10_000
"""Milliseconds to wait for another instance's transaction, each of which lasts well under a millisecond."""

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS generation (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        operation TEXT NOT NULL,
        model TEXT NOT NULL,
        key_fingerprint TEXT NOT NULL,
        accepted_at REAL NOT NULL,
        ready_at REAL NOT NULL,
        stuck INTEGER NOT NULL,
        failure_reason TEXT,
        billed_micros INTEGER NOT NULL,
        variable_price INTEGER NOT NULL,
        prompt TEXT NOT NULL,
        sent_prompt_sha256 TEXT NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        picture_width INTEGER NOT NULL,
        picture_height INTEGER NOT NULL,
        transparent INTEGER NOT NULL,
        style_type TEXT,
        seeds TEXT NOT NULL,
        safe TEXT NOT NULL,
        pictures TEXT
    )""",
    "CREATE INDEX IF NOT EXISTS generation_ready ON generation (ready_at)",
    """CREATE TABLE IF NOT EXISTS post (
        operation TEXT NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (operation, outcome)
    ) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS fault (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        fault TEXT NOT NULL,
        operation TEXT NOT NULL,
        rate REAL NOT NULL,
        first INTEGER,
        after INTEGER NOT NULL,
        starts_at REAL NOT NULL,
        ends_at REAL,
        params TEXT NOT NULL,
        seen INTEGER NOT NULL DEFAULT 0,
        acted INTEGER NOT NULL DEFAULT 0
    )""",
)

_BOOK_TABLES: Final = ("generation", "post", "mark", "fault", "setting")


class BooksVersionError(Exception):
    """The file was written by another version of the emulator."""


class Books:
    """One instance's connection to the books. Used from one thread only."""

    def __init__(self, path: Path) -> None:
        """
        Open the books, and create them when missing.

        Raises:
            sqlite3.Error: The file cannot be opened or written.
            BooksVersionError: The file has another schema.
        """
        self._connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise
        self.secret: Final = bytes.fromhex(self._meta("secret"))
        """Key of picture signatures and of generation ids, the same for every instance."""

    def _prepare(self) -> None:
        self._switch_to_wal()
        self.execute("PRAGMA synchronous=OFF")
        with self.transaction():
            for statement in _SCHEMA:
                self.execute(statement)
            defaults = {"schema": SCHEMA_VERSION, "secret": secrets.token_hex(32), "revision": "0"}
            self._connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", defaults.items())
        if self._meta("schema") != SCHEMA_VERSION:
            raise BooksVersionError(
                "the emulator's books were written by another version; move the file away"
            )

    def _switch_to_wal(self) -> None:
        # SQLite answers "locked" at once, without its busy timeout, when two processes switch a new file together.
        deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
        while True:
            try:
                self.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _meta(self, name: str) -> str:
        (value,) = self.execute("SELECT value FROM meta WHERE name = ?", name).fetchone()
        return str(value)

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A write transaction, begun at once so that no two instances decide on the same figures."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def revision(self) -> int:
        """Number that grows whenever settings or faults are changed by any instance."""
        (value,) = self.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()
        return int(value)

    def raise_revision(self) -> None:
        """Tell every instance that settings or faults have changed. Call within a transaction."""
        self.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE name = 'revision'")

    def reset(self) -> None:
        """Forget generations, counts, marks, faults and settings. Ids are not used again."""
        with self.transaction():
            for table in _BOOK_TABLES:
                self.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
            self.raise_revision()

    def count_post(self, operation: str, outcome: str) -> None:
        """Count one POST that was received."""
        self.execute(
            "INSERT INTO post VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            operation,
            outcome,
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
