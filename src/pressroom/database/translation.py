"""The drivers' errors, told as ours."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pressroom.errors import DatabaseError, DatabaseUnavailable, DatabaseUnusable, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pressroom.database.address import DatabaseAddress

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
