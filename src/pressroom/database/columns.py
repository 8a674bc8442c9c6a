"""What rows are made of: column types, the database's clock, ids that sort by age."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

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


def rfc3339(moment: int | datetime | None) -> str | None:
    """A row's time, or an aware one, to the second and in UTC, such as `2026-11-20T08:00:00Z`; None stays None."""
    if moment is None:
        return None
    shown = moment if isinstance(moment, datetime) else at(moment)
    return shown.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


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
