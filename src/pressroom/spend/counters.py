"""The guarded counters that budgets stand on.

Every row of `counters` holds what is set aside and what is spent under one budget in one period. Whoever locks several
of them does so in the order of their ids, by bytes: dispatchers, settlements and changes of budgets alike, so that on
Postgres none waits for another in a circle. The order of all rows is: attempt, counters, job.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom.database import Micros
from pressroom.spend.tables import attempts, counters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

LOCK = 0x73706E64
"""Advisory lock number on Postgres ("spnd"): reservations share it, a change of budgets has it alone."""


def in_order(column: sa.ColumnElement[str], dialect: str) -> sa.ColumnElement[str]:
    """To order by: bytes, as Python orders strings too, whatever the collation of the database."""
    return column if dialect == "sqlite" else column.collate("C")


async def exclude(connection: AsyncConnection, upstream: str, *, alone: bool) -> None:
    """
    Hold the lock of an upstream's budgets until the transaction ends.

    While it is shared, neither a budget nor its cap changes; while it is held alone, nothing is reserved. On SQLite a
    write transaction is alone anyway.
    """
    if connection.dialect.name != "sqlite":
        take = sa.func.pg_advisory_xact_lock if alone else sa.func.pg_advisory_xact_lock_shared
        await connection.execute(sa.select(take(LOCK, sa.func.hashtext(upstream))))


async def settle(
    connection: AsyncConnection, counter_ids: Sequence[str], *, reserved_micros: int, cost_micros: int
) -> None:
    """Turn a reservation into what it cost, on every counter it stands on."""
    if counter_ids:
        await connection.execute(
            _settlement(connection.dialect.name),
            {"of_counters": list(counter_ids), "reserved": reserved_micros, "cost": cost_micros},
        )


@cache
def new_counter(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """Make a counter with nothing on it, unless it is there."""
    nothing = {"base_micros": 0, "reserved_micros": 0, "settled_micros": 0}
    if dialect == "sqlite":
        return sqlite.insert(counters).values(nothing).on_conflict_do_nothing()
    return postgresql.insert(counters).values(nothing).on_conflict_do_nothing()


@cache
def _settlement(dialect: str) -> sa.Update:
    ids: sa.BindParameter[Any] = sa.bindparam("of_counters", expanding=True)
    change = sa.update(counters).values(
        reserved_micros=counters.c.reserved_micros - sa.bindparam("reserved", type_=Micros),
        settled_micros=counters.c.settled_micros + sa.bindparam("cost", type_=Micros),
    )
    if dialect == "sqlite":
        return change.where(counters.c.id.in_(ids))
    locked = (
        sa.select(counters.c.id)
        .where(counters.c.id.in_(ids))
        .order_by(in_order(counters.c.id, dialect))
        .with_for_update()
        .subquery("locked")
    )
    return change.where(counters.c.id == locked.c.id)


def named_counters(dialect: str) -> sa.FromClause:
    """The ids in an attempt's `counters`, as rows with a `value` to join with it."""
    return elements(attempts.c.counters, dialect, name="named")


def elements(column: sa.ColumnElement[Any], dialect: str, *, name: str) -> sa.FromClause:
    """The texts of a JSON array, as rows with a `value` to join with the row that holds it."""
    each = sa.func.json_each if dialect == "sqlite" else sa.func.jsonb_array_elements_text
    texts = each(column).table_valued(sa.column("value", sa.Text), name=name)
    return texts if dialect == "sqlite" else texts.render_derived().lateral()


def names(dialect: str, counter_id: str) -> sa.ColumnElement[bool]:
    """Whether an attempt's reservation stands on this counter."""
    if dialect != "sqlite":
        return sa.func.jsonb_exists(attempts.c.counters, counter_id)
    named = named_counters(dialect)
    return (
        sa.select(sa.literal(1))
        .select_from(named)
        .where(named.c.value == counter_id)
        .correlate(attempts)
        .exists()
    )
