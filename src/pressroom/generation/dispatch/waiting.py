"""What the dispatcher reads of waiting jobs: flat at any number of them, ready or resting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.fleet.families import family_of
from pressroom.fleet.flows import Flow, ensure
from pressroom.fleet.tables import flows
from pressroom.generation.jobs import Job, job_of
from pressroom.generation.tables import jobs
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database

WOKEN = 1_000
"""Resting jobs woken in one transaction, so that after an outage nobody else has to wait for long."""

# Word for word what the partial indexes say: a parameter, or `resting = 0`, would hide from SQLite that they fit.
_READY = (sa.text("jobs.state = 'queued'"), sa.text("NOT jobs.resting"))
_RESTING = (sa.text("jobs.state = 'queued'"), sa.text("jobs.resting"))
_OF_FLOW = (
    jobs.c.upstream == flows.c.upstream,
    jobs.c.project == flows.c.project,
    jobs.c.priority == flows.c.priority,
    jobs.c.family.between(flows.c.family, flows.c.family),
)
_BY_AGE = (jobs.c.family, jobs.c.id)
"""Of one flow, in a way that only its index serves. Were the family compared by `=` and the order by id alone, Postgres might go
through all jobs that ever were by their primary key, expecting to meet a ready one soon."""

_DUE = (
    sa.select(jobs.c.id)
    .where(
        jobs.c.upstream == sa.bindparam("of_upstream"),
        *_RESTING,
        jobs.c.eligible_at
        <= sa.select(now_ms()).scalar_subquery(),  # asked once, so that Postgres can use the index
    )
    .order_by(jobs.c.eligible_at)
)


def _head(*, continuing: bool) -> sa.ScalarSelect[str]:
    goes_on = jobs.c.continuing if continuing else sa.not_(jobs.c.continuing)
    ready = sa.select(jobs.c.id).where(*_OF_FLOW, *_READY, goes_on)
    return ready.order_by(*_BY_AGE).limit(sa.literal_column("1", sa.Integer)).scalar_subquery()


_LOOK = sa.select(
    flows.c.project,
    flows.c.priority,
    flows.c.family,
    flows.c.start_tag,
    _head(continuing=False).label("head"),
    _head(continuing=True).label("goes_on"),
    sa.exists(_DUE).label("due"),
).where(flows.c.upstream == sa.bindparam("of_upstream"))


@dataclass(frozen=True)
class Look:
    """
    What waits at one moment.

    Attributes:
        flows: Every flow of the upstream, with its oldest job that would buy anew.
        going_on: Flows that have a job with an attempt to continue; `head` is the oldest of those.
        due: True when a resting job's time has come.
    """

    flows: list[Flow]
    going_on: list[Flow]
    due: bool

    @property
    def fresh(self) -> bool:
        """Whether any job would buy anew."""
        return any(flow.head is not None for flow in self.flows)


async def look(connection: AsyncConnection, upstream: str) -> Look:
    """One query: two probes of an index for each flow, and one for what rests."""
    found = (await connection.execute(_LOOK, {"of_upstream": upstream})).all()
    every, going_on = [], []
    for row in found:
        unit = {"project": row.project, "priority": row.priority, "family": row.family}
        every.append(Flow(**unit, start_tag=row.start_tag, head=row.head))
        if row.goes_on is not None:
            going_on.append(Flow(**unit, start_tag=row.start_tag, head=row.goes_on))
    return Look(flows=every, going_on=going_on, due=any(row.due for row in found))


_OF = (
    jobs.c.upstream == sa.bindparam("of_upstream"),
    jobs.c.project == sa.bindparam("of_project"),
    jobs.c.priority == sa.bindparam("of_priority"),
    jobs.c.family.between(sa.bindparam("of_family"), sa.bindparam("of_family")),
)


def _oldest(*conditions: sa.ColumnElement[bool]) -> sa.Select[tuple[object, ...]]:
    most = sa.bindparam("most", type_=sa.Integer)
    return sa.select(jobs).where(*_OF, *_READY, *conditions).order_by(*_BY_AGE).limit(most)


_FRESH = _oldest(sa.not_(jobs.c.continuing))
_FRESH_BUT_BACKFILL = _oldest(sa.not_(jobs.c.continuing), jobs.c.placeholder_served.is_(None))
_GOING_ON = _oldest(jobs.c.continuing)


async def oldest(
    connection: AsyncConnection, upstream: str, flow: Flow, *, limit: int, backfill: bool = True
) -> list[Job]:
    """The oldest ready jobs of a flow that would buy anew; `backfill=False` leaves out those that got a placeholder."""
    return await _jobs(connection, _FRESH if backfill else _FRESH_BUT_BACKFILL, upstream, flow, limit)


async def count(
    connection: AsyncConnection, upstream: str, flow: Flow, *, older_than: str | None, most: int
) -> int:
    """How many ready jobs of a flow would buy anew, of all or of those older than that job; counts to `most`."""
    bound = [] if older_than is None else [jobs.c.id < older_than]
    ready = sa.select(jobs.c.id).where(*_OF, *_READY, sa.not_(jobs.c.continuing), *bound)
    counted = ready.order_by(*_BY_AGE).limit(most)
    facts = {
        "of_upstream": upstream,
        "of_project": flow.project,
        "of_priority": flow.priority,
        "of_family": flow.family,
    }
    found = await connection.execute(sa.select(sa.func.count()).select_from(counted.subquery()), facts)
    return found.scalar_one()


async def going_on(connection: AsyncConnection, upstream: str, heads: list[Flow], *, limit: int) -> list[Job]:
    """Ready jobs with an attempt to continue; each flow has its part of `limit`, so that none waits for another one's end."""
    heads = sorted(heads, key=lambda flow: flow.head or "")[:limit]
    found: list[Job] = []
    for place, flow in enumerate(heads):
        part = -(-(limit - len(found)) // (len(heads) - place))
        found += await _jobs(connection, _GOING_ON, upstream, flow, part)
    return found


async def _jobs(
    connection: AsyncConnection,
    query: sa.Select[tuple[object, ...]],
    upstream: str,
    flow: Flow,
    limit: int,
) -> list[Job]:
    facts = {
        "of_upstream": upstream,
        "of_project": flow.project,
        "of_priority": flow.priority,
        "of_family": flow.family,
        "most": limit,
    }
    return [job_of(row) for row in (await connection.execute(query, facts)).mappings()]


_WAKE = sa.update(jobs).where(jobs.c.id.in_(_DUE.limit(WOKEN)), *_RESTING).values(resting=False)


async def wake(connection: AsyncConnection, upstream: str) -> int:
    """Let those be looked at whose time has come; under the dispatcher's lock. Returns how many."""
    return (await connection.execute(_WAKE, {"of_upstream": upstream})).rowcount


_BACKFILL_IN_FLIGHT = (
    sa.select(sa.func.count())
    .select_from(attempts)
    .join(jobs, jobs.c.id == attempts.c.job_id)
    .where(
        attempts.c.upstream == sa.bindparam("of_upstream"),
        attempts.c.slot.is_not(None),
        jobs.c.placeholder_served.is_not(None),
    )
)


async def backfill_in_flight(connection: AsyncConnection, upstream: str) -> int:
    """Purchases on their way that replace placeholders."""
    return (await connection.execute(_BACKFILL_IN_FLIGHT, {"of_upstream": upstream})).scalar_one()


_NEXT_KIND = (
    sa.select(jobs.c.project, jobs.c.priority, jobs.c.family)
    .where(
        jobs.c.upstream == sa.bindparam("of_upstream"),
        *_READY,
        jobs.c.continuing == sa.bindparam("goes_on", type_=sa.Boolean),
        sa.tuple_(jobs.c.project, jobs.c.priority, jobs.c.family)
        > sa.tuple_(*[sa.bindparam(name, type_=sa.Text) for name in ("project", "priority", "family")]),
    )
    .order_by(jobs.c.project, jobs.c.priority, jobs.c.family)
    .limit(1)
)


async def mend_flows(database: Database, upstream: str) -> int:
    """
    Make the rows of flows that are missing: of jobs that an older version admitted, or that became backfill.

    It steps from one kind of ready job to the next by the index, so that it is flat at any number of jobs.

    Returns:
        How many were missing.
    """
    async with database.read() as connection:
        kinds = [
            *await _kinds(connection, upstream, goes_on=False),
            *await _kinds(connection, upstream, goes_on=True),
        ]
        nameless = [
            job for kind in kinds if not kind[-1] for job in await _of_kind(connection, upstream, kind)
        ]
    async with database.write() as connection:
        if nameless:
            in_order = sorted(nameless, key=lambda job: job.id)
            await connection.execute(_NAME, [{"of_job": job.id, "named": _family(job)} for job in in_order])
        named = {(upstream, job.project, job.priority, _family(job)) for job in nameless}
        return await ensure(connection, named | {(upstream, *kind) for kind in kinds if kind[-1]})


_NAME = sa.update(jobs).where(jobs.c.id == sa.bindparam("of_job")).values(family=sa.bindparam("named"))
"""An older version admits jobs without a family."""


def _family(job: Job) -> str:
    return family_of(job.call["operation"])


async def _kinds(connection: AsyncConnection, upstream: str, *, goes_on: bool) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    last = ("", "", "")
    while True:
        facts = dict(zip(("project", "priority", "family"), last, strict=True))
        rows = await connection.execute(_NEXT_KIND, {"of_upstream": upstream, "goes_on": goes_on, **facts})
        row = rows.first()
        if row is None:
            return found
        last = (row.project, row.priority, row.family)
        found.append(last)


async def _of_kind(connection: AsyncConnection, upstream: str, kind: tuple[str, str, str]) -> list[Job]:
    project, priority, family = kind
    flow = Flow(project=project, priority=priority, family=family, start_tag=0.0, head=None)
    ready = [await _jobs(connection, query, upstream, flow, WOKEN) for query in (_FRESH, _GOING_ON)]
    return [job for some in ready for job in some]
