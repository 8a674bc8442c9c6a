"""The database: one address, SQLite or Postgres, for our tables and the engine's.

Every transaction goes through `Database.read` or `Database.write`, which translate the driver's errors. Times in rows
are integers, milliseconds since the epoch by the database's own clock (`now_ms`), so that machines whose clocks differ
agree on what is due.
"""

from __future__ import annotations

from pressroom.database.address import DatabaseAddress, prepare_home
from pressroom.database.columns import Json, Micros, Millis, at, metadata, new_id, now_ms, rfc3339
from pressroom.database.connections import Database
from pressroom.database.translation import translated

__all__ = [
    "Database",
    "DatabaseAddress",
    "Json",
    "Micros",
    "Millis",
    "at",
    "metadata",
    "new_id",
    "now_ms",
    "prepare_home",
    "rfc3339",
    "translated",
]
