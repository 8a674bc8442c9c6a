"""Attempts and their one state machine.

    reserved ──> sending ──> accepted ──> bought
       │            │  │         │  └──> unsold      the vendor failed or refused it
       └──> unsold <┘  └──> uncertain <──┘           pending too long, or its id is unknown to the vendor
                       └──> bought                   a synchronous answer
    uncertain ──> accepted | bought | unsold | written_off

`sending` is committed before the first byte of a paid request leaves. Facts (an id, an answer, an end) are written by
attempt id by whoever learns them, even late; only `sending` belongs to the run that owns the attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import new_id, now_ms
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection


class AttemptState(StrEnum):
    """What is known about one paid request."""

    RESERVED = "reserved"
    """Money and a slot are set aside; nothing was sent."""
    SENDING = "sending"
    """The request may have left this machine."""
    ACCEPTED = "accepted"
    """The vendor gave a generation id; the rest is waiting."""
    BOUGHT = "bought"
    """The vendor delivered; the money is spent."""
    UNSOLD = "unsold"
    """The vendor did not take it, or failed; no money is spent."""
    UNCERTAIN = "uncertain"
    """Nobody knows; it counts as spent and is never sent again blindly."""
    WRITTEN_OFF = "written_off"
    """It was uncertain and a person gave it up; it counts as spent."""


_FROM: dict[AttemptState, frozenset[AttemptState]] = {
    AttemptState.SENDING: frozenset({AttemptState.RESERVED}),
    AttemptState.ACCEPTED: frozenset({AttemptState.SENDING, AttemptState.UNCERTAIN}),
    AttemptState.BOUGHT: frozenset({AttemptState.SENDING, AttemptState.ACCEPTED, AttemptState.UNCERTAIN}),
    AttemptState.UNSOLD: frozenset(
        {AttemptState.RESERVED, AttemptState.SENDING, AttemptState.ACCEPTED, AttemptState.UNCERTAIN}
    ),
    AttemptState.UNCERTAIN: frozenset({AttemptState.SENDING, AttemptState.ACCEPTED}),
    AttemptState.WRITTEN_OFF: frozenset({AttemptState.UNCERTAIN}),
}
"""For each state, those it may be entered from."""

CLOSED = frozenset({AttemptState.UNSOLD, AttemptState.WRITTEN_OFF})
"""A job may begin another attempt only when all it has are in one of these."""

SETTLED = CLOSED | {AttemptState.BOUGHT}
"""Nothing about the money changes any more."""

_RESERVE = sa.insert(attempts).values(created_at=now_ms())
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


@dataclass(frozen=True, kw_only=True)
class Price:
    """
    What a request is expected to cost.

    Attributes:
        micros: To reserve: millionths of a US dollar, the upper bound where the price is an estimate.
        expected_micros: What it will probably cost.
        source: `quote` or `table`.
    """

    micros: int
    expected_micros: int
    source: str


async def reserve(
    connection: AsyncConnection,
    *,
    job_id: str,
    upstream: str,
    operation: str,
    project: str,
    campaign: str | None,
    model: str,
    slot: int,
    price: Price,
    counters: Sequence[str] = (),
    trial: bool = False,
) -> str:
    """
    Set a slot and money aside for a new attempt.

    Returns:
        The attempt's id.

    Raises:
        sqlalchemy.exc.IntegrityError: The job has an open attempt already, or the slot is taken.
    """
    attempt_id = new_id("at")
    await connection.execute(
        _RESERVE,
        {
            "id": attempt_id,
            "job_id": job_id,
            "upstream": upstream,
            "operation": operation,
            "project": project,
            "campaign": campaign,
            "model": model,
            "state": AttemptState.RESERVED,
            "slot": slot,
            "reserved_micros": price.micros,
            "expected_micros": price.expected_micros,
            "counters": list(counters),
            "trial": trial,
            "price_source": price.source,
        },
    )
    return attempt_id


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
    Change an attempt's state; nothing else in pressroom does.

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
    allowed = _FROM[to] if only_from is None else _FROM[to] & frozenset(only_from)
    statement = _step(to, allowed, priced="cost_micros" in facts)
    if token is not None:
        statement = statement.where(sa.or_(attempts.c.owner.is_(None), attempts.c.owner == token))
    done = await connection.execute(statement, {"of_attempt": attempt_id, **facts})
    return done.rowcount == 1


@cache
def _step(to: AttemptState, allowed: frozenset[AttemptState], *, priced: bool) -> sa.Update:
    """Built once for each kind of step: to build a statement takes longer than to run it. Facts join as parameters."""
    values: dict[str, Any] = {"state": to}
    if to is AttemptState.SENDING:
        values["sending_at"] = now_ms()
    if to in SETTLED:
        values |= {"slot": None, "ended_at": now_ms()}
        if not priced:
            values["cost_micros"] = 0 if to is AttemptState.UNSOLD else attempts.c.reserved_micros
    return (
        sa.update(attempts)
        .where(attempts.c.id == sa.bindparam("of_attempt"), attempts.c.state.in_(sorted(allowed)))
        .values(**values)
    )


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
