"""The version of what the whole fleet agrees on: switches, stops, breakers and limits of one upstream."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom.fleet.tables import controls

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_VERSION = sa.select(controls.c.version).where(controls.c.upstream == sa.bindparam("of_upstream"))


async def changed(connection: AsyncConnection, upstream: str) -> None:
    """
    Raise the version, so that every dispatcher reads anew at its next look.

    Called before the change itself: the row's lock makes all such changes of one upstream happen one after the other, so
    that no two of them can wait for each other in a circle.
    """
    await connection.execute(_raise(connection.dialect.name, by=1), {"of_upstream": upstream})


async def alone(connection: AsyncConnection, upstream: str) -> None:
    """Take the same lock for a look that may change nothing; a change then still calls `changed`."""
    await connection.execute(_raise(connection.dialect.name, by=0), {"of_upstream": upstream})


async def version_of(connection: AsyncConnection, upstream: str) -> int:
    """How often anything was changed; 0 when nothing ever was."""
    found = await connection.execute(_VERSION, {"of_upstream": upstream})
    return found.scalar_one_or_none() or 0


@cache
def _raise(dialect: str, *, by: int) -> sa.Insert:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return (
        insert(controls)
        .values(upstream=sa.bindparam("of_upstream"), version=by)
        .on_conflict_do_update(index_elements=["upstream"], set_={"version": controls.c.version + by})
    )
