"""Jobs and their one state machine.

queued ──> running ──> completed | filtered | failed
  ^  ^        │ │ └──> uncertain ──> queued | held | filtered | failed
  │  └────────┘ └────> held ──> queued
  └── failed (asked for again)         queued, held, running before sending ──> cancelled
                                       queued, held before sending ──> failed (its fallback)
                                       held ──> held (for another reason)

What a run learns after it was given up moves its job from `queued` as it would have from `running`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.generation.tables import jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection


class JobState(StrEnum):
    """Where a job is on its way."""

    QUEUED = "queued"
    """It waits for its turn."""
    RUNNING = "running"
    """The engine owes it a run, or a worker is at it."""
    HELD = "held"
    """Something operational stands in its way; `reason` says what."""
    UNCERTAIN = "uncertain"
    """A purchase may have happened; a person decides."""
    COMPLETED = "completed"
    """At least one image is in the catalog."""
    FILTERED = "filtered"
    """The vendor's safety check let nothing through."""
    FAILED = "failed"
    """It ended without an image, for the reason given."""
    CANCELLED = "cancelled"
    """It was taken back before anything was sent."""


class Priority(StrEnum):
    """Whose turn comes more often; neither starves the other."""

    INTERACTIVE = "interactive"
    """Somebody waits for it."""
    BATCH = "batch"
    """One of many that nobody waits for; the switch `batch` pauses these."""


class HeldFor(StrEnum):
    """What stands in a held job's way."""

    KEY = "key"
    CREDITS = "credits"
    QUOTA = "quota"
    STORAGE = "storage"
    BUDGET = "budget"
    VENDOR = "vendor"
    RESTORED = "restored"


ENDED = frozenset({JobState.COMPLETED, JobState.FILTERED, JobState.FAILED, JobState.CANCELLED})
"""Nothing more happens by itself; `failed` can be asked for again."""

NEEDS_A_PERSON = frozenset({JobState.HELD, JobState.UNCERTAIN})
"""Nothing more happens until somebody decides."""

_OPEN = frozenset({JobState.RUNNING, JobState.QUEUED, JobState.UNCERTAIN})
"""Where a job may be when something is learned about its attempt: the run that learns it may have been given up meanwhile."""

_FROM: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: _OPEN | {JobState.HELD, JobState.FAILED},
    JobState.RUNNING: frozenset({JobState.QUEUED}),
    JobState.HELD: _OPEN | {JobState.HELD},
    JobState.UNCERTAIN: _OPEN,
    JobState.COMPLETED: frozenset({JobState.RUNNING, JobState.QUEUED}),
    JobState.FILTERED: _OPEN,
    JobState.FAILED: _OPEN | {JobState.HELD},
    JobState.CANCELLED: frozenset({JobState.QUEUED, JobState.HELD, JobState.RUNNING}),
}
"""For each state, those it may be entered from."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """
    One job as its row was read.

    Attributes:
        request: The canonical request as JSON.
        call: The vendor's request that carries it, as JSON.
        continuing: True when it has an attempt to continue, so that it needs no new slot or reservation.
        dispatches: How often it was given to the engine; with the id it names the run.
        failures: Generations that the vendor accepted and failed.
        backoffs: Waits since the last progress; the next wait doubles with each.
        family: Of operations that fail together.
        eligible_at: Milliseconds since the epoch; not dispatched earlier.
        resting: Queued, and not to be looked at before `eligible_at`.
        buy_before: Milliseconds since the epoch; not bought later, but cancelled.
        budget: The budget that held it, and `needs_micros` what it must have room for.
        fallback: What its caller gets while the vendor cannot be asked; None: as the project says.
        placeholder_served: Milliseconds since the epoch when its caller got a placeholder.
        missing: For each image that was bought and could not be brought home, its position and the reason.
    """

    id: str
    upstream: str
    project: str
    priority: Priority
    family: str
    state: JobState
    reason: str | None
    message: str | None
    request: dict[str, Any] = field(repr=False)
    call: dict[str, Any] = field(repr=False)
    request_hash: str
    tags: list[str]
    metadata: dict[str, str]
    continuing: bool
    dispatches: int
    failures: int
    backoffs: int
    eligible_at: int
    resting: bool
    buy_before: int | None
    budget: str | None
    needs_micros: int | None
    fallback: str | None
    placeholder_served: int | None
    filtered_count: int
    missing: list[dict[str, Any]]
    created_at: int
    dispatched_at: int | None
    ended_at: int | None

    @property
    def waits_for_nobody(self) -> bool:
        """True when nothing more will happen without a person."""
        return self.state in ENDED or self.state in NEEDS_A_PERSON


async def transition(
    connection: AsyncConnection,
    job_id: str,
    to: JobState,
    *,
    reason: str | None = None,
    message: str | None = None,
    delay_s: float = 0.0,
    only_from: frozenset[JobState] | None = None,
    as_dispatched: int | None = None,
    **values: Any,
) -> bool:
    """
    Change a job's state; nothing else in pressroom does.

    Args:
        connection: An open write transaction.
        job_id: Which.
        to: The new state.
        reason: Why, in one word.
        message: Why, and what to do, for a person; never a prompt.
        delay_s: Seconds before a queued job is eligible.
        only_from: A narrower set of states to come from than the machine allows.
        as_dispatched: When given, nothing is changed if the job has been dispatched since it was read with this count.
        values: Other columns that change with it.

    Returns:
        False when the job was in no state that allows it; nothing is changed then.
    """
    allowed = _FROM[to] if only_from is None else _FROM[to] & only_from
    changes = {"reason": reason, "message": message, **values}
    if to is JobState.QUEUED:
        changes |= {"delay_ms": int(delay_s * 1000), "resting": delay_s > 0}
    statement = _step(to, allowed)
    if as_dispatched is not None:
        statement = statement.where(jobs.c.dispatches == as_dispatched)
    done = await connection.execute(statement, {"of_job": job_id, **changes})
    return done.rowcount == 1


_BEGUN = {"dispatches": jobs.c.dispatches + 1, "dispatched_at": now_ms()}
_PRIORITY = sa.case((jobs.c.placeholder_served.is_not(None), str(Priority.BATCH)), else_=jobs.c.priority)
"""Who got a placeholder waits no longer."""


@cache
def _step(to: JobState, allowed: frozenset[JobState]) -> sa.Update:
    """Built once for each kind of step: to build a statement takes longer than to run it. Changes join as parameters."""
    values: dict[str, Any] = {"state": to}
    if to is JobState.QUEUED:
        values |= {
            "eligible_at": now_ms() + sa.bindparam("delay_ms", type_=sa.BigInteger),
            "ended_at": None,
            "priority": _PRIORITY,
        }
    if to is JobState.RUNNING:
        values |= _BEGUN
    if to in ENDED:
        values["ended_at"] = now_ms()
    return (
        sa.update(jobs)
        .where(jobs.c.id == sa.bindparam("of_job"), jobs.c.state.in_(sorted(allowed)))
        .values(**values)
    )


_BEGIN = (
    sa.update(jobs)
    .where(
        jobs.c.id.in_(sa.bindparam("of_jobs", expanding=True)),
        jobs.c.state.in_(sorted(_FROM[JobState.RUNNING])),
        sa.not_(jobs.c.resting),
        jobs.c.continuing == sa.bindparam("goes_on", type_=sa.Boolean),
    )
    .values(state=JobState.RUNNING, reason=None, message=None, **_BEGUN)
    .returning(jobs.c.id, jobs.c.dispatches)
)


async def begin(connection: AsyncConnection, job_ids: Sequence[str], *, continuing: bool) -> dict[str, int]:
    """
    Set many waiting jobs running in one statement.

    Args:
        connection: An open write transaction.
        job_ids: Jobs that were read as ready; one that no longer is, or has an attempt by now, is left as it is.
        continuing: Whether they were read as having an attempt to continue.

    Returns:
        For each job that runs now, how often it has been dispatched, this time included.
    """
    if not job_ids:
        return {}
    begun = await connection.execute(_BEGIN, {"of_jobs": list(job_ids), "goes_on": continuing})
    return {row.id: row.dispatches for row in begun}


_BY_ID = sa.select(jobs).where(jobs.c.id == sa.bindparam("of_job"))


async def get_one_or_none(connection: AsyncConnection, job_id: str) -> Job | None:
    """The job with this id."""
    found = await connection.execute(_BY_ID, {"of_job": job_id})
    row = found.mappings().one_or_none()
    return None if row is None else job_of(row)


async def newest(
    connection: AsyncConnection,
    *,
    states: Sequence[JobState] = (),
    project: str | None = None,
    reason: str | None = None,
    limit: int,
    before: str | None = None,
) -> list[Job]:
    """Jobs, newest first; `before` continues after the last id of the page before."""
    query = sa.select(jobs).order_by(jobs.c.id.desc()).limit(limit)
    if states:
        query = query.where(jobs.c.state.in_(states))
    if project is not None:
        query = query.where(jobs.c.project == project)
    if reason is not None:
        query = query.where(jobs.c.reason == reason)
    if before is not None:
        query = query.where(jobs.c.id < before)
    return [job_of(row) for row in (await connection.execute(query)).mappings()]


def job_of(row: Any) -> Job:
    """A job from a row of the table."""
    return Job(**{**row, "state": JobState(row["state"]), "priority": Priority(row["priority"])})
