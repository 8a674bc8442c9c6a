"""How many jobs have their turn before a waiting one, and how long it will probably take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.fleet import gate as gates
from pressroom.fleet.flows import Unit, standings
from pressroom.fleet.slots import places
from pressroom.generation.dispatch import waiting
from pressroom.generation.dispatch.turns import may_go
from pressroom.generation.jobs import JobState, Priority
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.fleet.flows import Flow
    from pressroom.fleet.gate import Gate
    from pressroom.generation.dispatch.turns import Shares
    from pressroom.generation.jobs import Job

LATELY = 50
"""Generations that the estimate is drawn from."""


async def usual_seconds_or_none(connection: AsyncConnection, upstream: str, operation: str) -> float | None:
    """Mean seconds from sending to the vendor's end over the last `LATELY` generations; None while there is none."""
    lately = (
        sa.select((attempts.c.ended_at - attempts.c.sending_at).label("took"))
        .where(
            attempts.c.upstream == upstream,
            attempts.c.operation == operation,
            attempts.c.state == AttemptState.BOUGHT,
            attempts.c.sending_at.is_not(None),
        )
        .order_by(attempts.c.id.desc())
        .limit(LATELY)
        .subquery()
    )
    took = (await connection.execute(sa.select(sa.func.avg(lately.c.took)))).scalar_one()
    return None if took is None else float(took) / 1000


def seconds_until_done(*, ahead: int, limit: int, usual_s: float) -> float:
    """Seconds for everything ahead to pass through `limit` places, and then for the job itself."""
    return (ahead // limit + 1) * usual_s


MOST_COUNTED = 10_000
"""Jobs counted at most: a place far down a long queue is told as at least this one, so that to ask stays cheap."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """
    A waiting job's prospects.

    Attributes:
        ahead: Jobs that have their turn before it, as things stand: what is submitted later to a heavier unit may pass it.
        at_least: True when there are more than were counted.
        seconds: Until it is done, estimated from what was seen lately; None while nothing was seen, or nothing may go.
        blocked_by: What it waits for beside its turn, for people; None for nothing.
    """

    ahead: int
    at_least: bool = False
    seconds: float | None
    blocked_by: str | None = None


async def outlook(connection: AsyncConnection, job: Job, *, gate: Gate, shares: Shares) -> Outlook:
    """
    Where a waiting job stands and when it will probably be done.

    Args:
        connection: For reading.
        job: Any; one that does not wait, or that has only to be brought home, has nobody ahead of it.
        gate: What may go.
        shares: Weights and caps.
    """
    if job.state is not JobState.QUEUED or job.continuing:
        return Outlook(ahead=0, seconds=None)
    blocked_by = gate.blocked_by(job.family, batch=job.priority is Priority.BATCH)
    ahead = await ahead_of(connection, job, gate=gate, shares=shares)
    usual_s = await usual_seconds_or_none(connection, job.upstream, job.call["operation"])
    seconds = None
    if usual_s is not None and blocked_by is None:
        seconds = seconds_until_done(ahead=ahead, limit=gate.limit, usual_s=usual_s)
    return Outlook(
        ahead=min(ahead, MOST_COUNTED),
        at_least=ahead >= MOST_COUNTED,
        seconds=seconds,
        blocked_by=blocked_by,
    )


async def ahead_of(connection: AsyncConnection, job: Job, *, gate: Gate, shares: Shares) -> int:
    """
    How many ready jobs have their turn before this one, `MOST_COUNTED` or so at most.

    Its place among the jobs of its own unit gives the virtual time of its turn; of every other unit those go first whose
    turns begin earlier.
    """
    flows = (await waiting.look(connection, job.upstream)).flows
    own = Unit(job.project, job.priority)
    standing = standings(flows, weight=shares.weight)
    before = 0
    for flow in flows:
        if flow.unit == own and flow.head is not None and before < MOST_COUNTED:
            most = MOST_COUNTED - before
            before += await waiting.count(connection, job.upstream, flow, older_than=job.id, most=most)
    if own not in standing:
        return before
    start, share = standing[own]
    turn = start + before * share
    return before + await _of_others(
        connection, job, gate, shares, turn=turn, flows=flows, most=MOST_COUNTED - before
    )


async def has_turn_at_once(connection: AsyncConnection, upstream: str, *, gate: Gate, count: int) -> bool:
    """
    Whether `count` new interactive jobs would find places free and nobody of their class before them.

    While the vendor cannot be asked it is not for a place that they would wait; the fallback decides about that.
    """
    if gate.mode is not gates.Mode.LIVE or gate.account is not gates.Flow.OPEN:
        return True
    flows = (await waiting.look(connection, upstream)).flows
    for flow in flows:
        in_line = flow.head is not None and flow.priority == Priority.INTERACTIVE
        if in_line and may_go(flow, gate) is not gates.Flow.SHUT:
            return False
    return len((await places(connection, upstream)).free(gate.limit)) >= count


async def _of_others(
    connection: AsyncConnection,
    job: Job,
    gate: Gate,
    shares: Shares,
    *,
    turn: float,
    flows: list[Flow],
    most: int,
) -> int:
    standing = standings(flows, weight=shares.weight)
    left = {unit: math.ceil(max(0.0, turn - start) / share) for unit, (start, share) in standing.items()}
    found = 0
    for flow in flows:
        if flow.unit == Unit(job.project, job.priority) or flow.head is None:
            continue
        wanted = min(left[flow.unit], most - found)
        if wanted > 0 and may_go(flow, gate) is not gates.Flow.SHUT:
            count = await waiting.count(connection, job.upstream, flow, older_than=None, most=wanted)
            left[flow.unit] -= count
            found += count
    return found
