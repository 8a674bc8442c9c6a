"""Setting budgets, also while work is in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom import audit
from pressroom.database import now_ms
from pressroom.spend.attempts import SETTLED
from pressroom.spend.counters import exclude, in_order, names
from pressroom.spend.money import dollars
from pressroom.spend.scopes import DAY_MS, BudgetName, Scope
from pressroom.spend.tables import attempts, budgets, counters

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def set_budget(
    connection: AsyncConnection,
    name: BudgetName,
    cap_micros: int | None,
    *,
    who: str,
    reason: str = "",
    only_new: bool = False,
) -> bool:
    """
    Set a budget's cap; what is spent and under way counts from the first moment.

    A budget that gets a cap begins with the exact sums of its scope and period. Reservations wait for this transaction,
    and settlements of what is under way as well. A changed cap holds for every reservation after this transaction.
    The scope `backfill` begins at zero.

    Args:
        connection: An open write transaction.
        name: Which.
        cap_micros: Millionths of a US dollar; None: unlimited, on purpose.
        who: For the audit log.
        reason: For the audit log.
        only_new: Leave one that was ever set as it is.

    Returns:
        Whether it was set.
    """
    await exclude(connection, name.upstream, alone=True)
    before = (await connection.execute(sa.select(budgets).where(budgets.c.id == name.id))).one_or_none()
    if only_new and before is not None:
        return False
    await _write(connection, name, cap_micros, who)
    if cap_micros is not None and (before is None or before.cap_micros is None):
        await _count(connection, name)
    else:
        await _tell_anew(connection, name)
    await audit.record(
        connection,
        upstream=name.upstream,
        who=who,
        action="budget.set",
        subject=name.words,
        before=None if before is None else _cap_words(before.cap_micros),
        after=_cap_words(cap_micros),
        reason=reason,
    )
    return True


async def _tell_anew(connection: AsyncConnection, name: BudgetName) -> None:
    """Under another cap the current counter is nearly used up, or full, once more."""
    now = (await connection.execute(sa.select(now_ms()))).scalar_one()
    await connection.execute(
        sa.update(counters).where(counters.c.id == name.counter_id(now)).values(near_at=None, full_at=None)
    )


def _cap_words(cap_micros: int | None) -> str:
    return "none" if cap_micros is None else dollars(cap_micros)


async def _write(connection: AsyncConnection, name: BudgetName, cap_micros: int | None, who: str) -> None:
    values = {"cap_micros": cap_micros, "set_by": who, "set_at": now_ms()}
    await _upsert(
        connection,
        budgets,
        {"id": name.id, "upstream": name.upstream, "scope": name.scope, "subject": name.subject},
        values,
    )


async def _upsert(
    connection: AsyncConnection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]
) -> None:
    if connection.dialect.name == "sqlite":
        insert = sqlite.insert(table).values(**key, **values)
        await connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))
    else:
        statement = postgresql.insert(table).values(**key, **values)
        await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


async def _count(connection: AsyncConnection, name: BudgetName) -> None:
    """
    Begin the current period's counter with what there is.

    Reservations are excluded by the lock. What is under way is locked first, so that nobody settles it before it names
    the counter; whoever settled it just before is waited for, and the sum that follows sees it settled.
    """
    dialect = connection.dialect.name
    now = (await connection.execute(sa.select(now_ms()))).scalar_one()
    counter_id = name.counter_id(now)
    mine = sa.and_(
        attempts.c.upstream == name.upstream, sa.or_(_in_scope(name, now), names(dialect, counter_id))
    )
    found = await connection.execute(
        sa.select(attempts.c.id, attempts.c.reserved_micros, attempts.c.counters)
        .where(mine, attempts.c.state.not_in(sorted(SETTLED)))
        .order_by(in_order(attempts.c.id, dialect))
        .with_for_update()
    )
    under_way = found.all()
    for row in under_way:
        if counter_id not in row.counters:
            await connection.execute(
                sa.update(attempts)
                .where(attempts.c.id == row.id)
                .values(counters=sorted([*row.counters, counter_id]))
            )
    spent = sa.func.coalesce(sa.func.sum(attempts.c.cost_micros), 0)
    settled = sa.select(spent).where(mine, attempts.c.state.in_(sorted(SETTLED)))
    base = settled.where(sa.not_(names(dialect, counter_id)))
    values = {
        "settled_micros": int((await connection.execute(settled)).scalar_one()),
        "base_micros": int((await connection.execute(base)).scalar_one()),
        "reserved_micros": sum(row.reserved_micros for row in under_way),
        "near_at": None,
        "full_at": None,
    }
    key = {"id": counter_id, "budget_id": name.id, "period": name.period(now)}
    await _upsert(connection, counters, key, values)


def _in_scope(name: BudgetName, now: int) -> sa.ColumnElement[bool]:
    """Which attempts the budget would have counted; the columns of an attempt do not tell what replaced placeholders."""
    match name.scope:
        case Scope.DAY:
            begin = now - now % DAY_MS
            return sa.and_(attempts.c.created_at >= begin, attempts.c.created_at < begin + DAY_MS)
        case Scope.PROJECT:
            return attempts.c.project == name.subject
        case Scope.CAMPAIGN:
            return attempts.c.campaign == name.subject
        case Scope.KEY:
            return attempts.c.key_fingerprint == name.subject
        case Scope.TOTAL:
            return sa.true()
        case Scope.BACKFILL:
            return sa.false()
