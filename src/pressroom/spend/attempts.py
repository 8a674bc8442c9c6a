"""Attempts: one row for each paid request, from its reservation (`spend.reservations`) to its settlement, changed by one function.

`sending` is committed before the first byte of a paid request leaves. Facts (an id, an answer, an end) are written by
attempt id by whoever learns them, even late; only `sending` belongs to the run that owns the attempt. Whatever settles an
attempt settles the budgets that its reservation stands on, in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.spend.counters import settle
from pressroom.spend.states import CLOSED, ENTERED_FROM, SETTLED, AttemptState
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = [
    "CLOSED",
    "SETTLED",
    "Attempt",
    "AttemptState",
    "claim",
    "get_open_or_none",
    "job_of_generation_or_none",
    "note",
    "of_jobs",
    "still_owned",
    "transition",
]

_PROBABLE = sa.func.coalesce(sa.func.nullif(attempts.c.expected_micros, 0), attempts.c.reserved_micros)
"""Where the vendor does not say what it billed. Attempts of the version before this one do not say what they expect."""

_OPEN = sa.select(attempts).where(
    attempts.c.job_id == sa.bindparam("of_job"), attempts.c.state.not_in(sorted(CLOSED))
)
_STILL_OWNED = (
    sa.update(attempts)
    .where(attempts.c.id == sa.bindparam("of_attempt"), attempts.c.owner == sa.bindparam("by"))
    .values(owner=sa.bindparam("by"))
)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """
    One attempt as its row was read.

    Attributes:
        slot: Its place under the limit, None once freed.
        owner: Token of the run that works on it.
        model: Name of the model, for reports.
        reserved_micros: Money set aside, millionths of a US dollar.
        expected_micros: What it will probably cost; settled so where the vendor does not say.
        counters: Ids of the budget counters that the reservation stands on; it is settled there.
        trial: Sent to see whether the vendor sells again.
        cost_micros: Real cost once settled; None while open.
        answer: The vendor's images as JSON, once known.
        spool: Id of the spool that holds its pictures, while they are on the way home.
    """

    id: str
    job_id: str
    upstream: str
    operation: str
    project: str
    campaign: str | None
    model: str
    state: AttemptState
    slot: int | None
    owner: str | None
    key_fingerprint: str | None
    generation_id: str | None
    reserved_micros: int
    expected_micros: int
    price_source: str
    counters: list[str]
    trial: bool
    cost_micros: int | None
    answer: list[dict[str, Any]] | None = field(repr=False)
    error: dict[str, Any] | None = field(repr=False)
    spool: str | None
    created_at: int
    sending_at: int | None
    ended_at: int | None

    @property
    def open(self) -> bool:
        """True while the job must continue this one instead of beginning another."""
        return self.state not in CLOSED


async def transition(
    connection: AsyncConnection,
    attempt_id: str,
    to: AttemptState,
    *,
    only_from: Collection[AttemptState] | None = None,
    token: str | None = None,
    **facts: Any,
) -> bool:
    """
    Change an attempt's state; nothing else in pressroom does. Settled ones settle their budgets too.

    Args:
        connection: An open write transaction.
        attempt_id: Which.
        to: The new state.
        only_from: A narrower set of states to come from than the machine allows.
        token: When given, nothing is changed while another run's token stands on the attempt.
        facts: Columns learned with it: `owner`, `generation_id`, `answer`, `cost_micros`, `error`, `slot`, …

    Returns:
        False when the attempt was in no state that allows it; nothing is changed then.
    """
    allowed = ENTERED_FROM[to] if only_from is None else ENTERED_FROM[to] & frozenset(only_from)
    statement = _step(to, allowed, priced="cost_micros" in facts)
    if token is not None:
        statement = statement.where(sa.or_(attempts.c.owner.is_(None), attempts.c.owner == token))
    done = await connection.execute(statement, {"of_attempt": attempt_id, **facts})
    if to not in SETTLED:
        return done.rowcount == 1
    row = done.one_or_none()
    if row is None:
        return False
    await settle(connection, row.counters, reserved_micros=row.reserved_micros, cost_micros=row.cost_micros)
    return True


@cache
def _step(to: AttemptState, allowed: frozenset[AttemptState], *, priced: bool) -> sa.Update:
    """Built once for each kind of step: to build a statement takes longer than to run it. Facts join as parameters."""
    values: dict[str, Any] = {"state": to}
    if to is AttemptState.SENDING:
        values["sending_at"] = now_ms()
    if to in SETTLED:
        values |= {"slot": None, "ended_at": now_ms()}
        if not priced:
            values["cost_micros"] = 0 if to is AttemptState.UNSOLD else _PROBABLE
    step = (
        sa.update(attempts)
        .where(attempts.c.id == sa.bindparam("of_attempt"), attempts.c.state.in_(sorted(allowed)))
        .values(**values)
    )
    if to in SETTLED:  # what was set aside where, by the very row that was changed
        step = step.returning(attempts.c.counters, attempts.c.reserved_micros, attempts.c.cost_micros)
    return step


async def claim(connection: AsyncConnection, attempt: Attempt, owner: str) -> bool:
    """Make `owner` the run that works on it, if it is still as it was read; shuts out the run it replaces."""
    done = await connection.execute(
        sa.update(attempts)
        .where(
            attempts.c.id == attempt.id,
            attempts.c.state == attempt.state,
            attempts.c.owner.is_not_distinct_from(attempt.owner),
        )
        .values(owner=owner)
    )
    return done.rowcount == 1


async def note(connection: AsyncConnection, attempt_id: str, **facts: Any) -> None:
    """Write facts that change no state, such as an answer's fresh addresses or the spool that holds its pictures."""
    await connection.execute(sa.update(attempts).where(attempts.c.id == attempt_id).values(**facts))


async def still_owned(connection: AsyncConnection, attempt_id: str, owner: str) -> bool:
    """True while `owner` may write for this attempt; takes the row's lock, so that it stays true in this transaction."""
    done = await connection.execute(_STILL_OWNED, {"of_attempt": attempt_id, "by": owner})
    return done.rowcount == 1


async def get_open_or_none(connection: AsyncConnection, job_id: str) -> Attempt | None:
    """The job's one attempt that is neither unsold nor written off."""
    found = await connection.execute(_OPEN, {"of_job": job_id})
    row = found.mappings().one_or_none()
    return None if row is None else _attempt(row)


async def job_of_generation_or_none(
    connection: AsyncConnection, upstream: str, generation_id: str
) -> str | None:
    """Id of the job whose attempt became this generation; None while no attempt is known to be it."""
    found = await connection.execute(
        sa.select(attempts.c.job_id)
        .where(attempts.c.upstream == upstream, attempts.c.generation_id == generation_id)
        .order_by(attempts.c.id)
        .limit(1)
    )
    return found.scalar_one_or_none()


async def of_jobs(connection: AsyncConnection, job_ids: Collection[str]) -> dict[str, list[Attempt]]:
    """All attempts of these jobs, oldest first."""
    found = await connection.execute(
        sa.select(attempts).where(attempts.c.job_id.in_(job_ids)).order_by(attempts.c.id)
    )
    grouped: dict[str, list[Attempt]] = {job_id: [] for job_id in job_ids}
    for row in found.mappings():
        grouped[row["job_id"]].append(_attempt(row))
    return grouped


def _attempt(row: Any) -> Attempt:
    return Attempt(**{**row, "state": AttemptState(row["state"])})
