"""Fallback: what a caller gets while the vendor cannot be asked, instead of waiting for nobody knows how long."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.access.projects import all_projects
from pressroom.database import now_ms
from pressroom.errors import InvalidRequest
from pressroom.fleet.gate import Flow, Mode
from pressroom.generation import jobs
from pressroom.generation.jobs import ENDED, HeldFor, Job, JobState
from pressroom.generation.placeholders import drawn_or_none
from pressroom.generation.tables import jobs as job_rows
from pressroom.generation.views import JobView, views_of
from pressroom.spend import attempts
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database
    from pressroom.fleet.gate import Gate, GateCache
    from pressroom.settings import FallbackSettings

log = event_logger(__name__)


class Choice(StrEnum):
    """What a caller gets while the vendor cannot be asked."""

    WAIT = "wait"
    """Nothing: it waits until the vendor can be asked again."""
    PLACEHOLDER = "placeholder"
    """A picture that says what it is, at once; the real one is bought later, under the same job."""
    FAIL = "fail"
    """The job's failure, if nothing was sent for it."""


OPERATIONAL = frozenset(HeldFor) - {HeldFor.RESTORED}
"""Reasons for a held job that are no fault of its caller's; a restored one waits for a person's look."""

SERVED = "its caller got a placeholder; it is bought when the vendor can be asked again"


def choice_named(name: str) -> Choice:
    """
    The choice with this name.

    Raises:
        InvalidRequest: There is none.
    """
    try:
        return Choice(name)
    except ValueError:
        allowed = f"it is one of {', '.join(Choice)}; a close match from the catalog is not offered yet"
        raise InvalidRequest("fallback", name, allowed) from None


def choose(said: str | None, *, default: str, mode: Mode) -> Choice:
    """
    The fallback of one request.

    Args:
        said: By the request, else by its project; None when neither says.
        default: Of the settings.
        mode: The switch: `fallback` gives a placeholder to those that do not say, `disabled` to all but `fail`.
    """
    if mode is Mode.DISABLED:
        return Choice.FAIL if (said or default) == Choice.FAIL else Choice.PLACEHOLDER
    if mode is Mode.FALLBACK:
        return Choice(said or Choice.PLACEHOLDER)
    return Choice(said or default)


def obstacle_or_none(job: Job, gate: Gate) -> str | None:
    """Why the vendor cannot be asked now for a job that waits to be sent, is held or uncertain; None where it can be."""
    if job.state is JobState.UNCERTAIN:
        return "nobody knows whether the vendor accepted it"
    if job.state is JobState.HELD:
        return f"it is held: {job.reason}" if job.reason in OPERATIONAL else None
    if job.upstream != gate.upstream:
        return None
    # A trial may go, but who waits is not to be kept waiting for how it ends.
    return gate.blocked_by(job.family)


class Fallback:
    """
    Answers a caller who waits for a job that does not come forward.

    Args:
        database: Where the job is.
        settings: What is chosen for a request and a project that do not say.
        gates: What may be bought now.
    """

    def __init__(self, database: Database, *, settings: FallbackSettings, gates: GateCache) -> None:
        self._database = database
        self._settings = settings
        self._gates = gates

    async def answer(self, view: JobView) -> JobView | None:
        """
        What to hand back to the caller now; None while it is to wait.

        A placeholder is written down as served and drawn; a queued job is held meanwhile, unless only it can be the
        trial that is due; others stay as they are. A job that is to fail does so if nothing was sent for it.
        """
        job = view.job
        if job.state in ENDED:
            return view
        if job.state is JobState.RUNNING or (job.continuing and job.state is JobState.QUEUED):
            return None  # it has been sent, or is about to be
        async with self._database.read() as connection:
            gate = await self._gates.current(connection)
            obstacle = obstacle_or_none(job, gate)
            if obstacle is None:
                return view if job.waits_for_nobody else None
            said = job.fallback or await _of_project(connection, job.project)
        choice = choose(said, default=self._settings.choice, mode=gate.mode)
        if choice is Choice.PLACEHOLDER:
            # Held, it would come back as a batch job: while those are paused, nothing else would ever try the vendor.
            tries = gate.batch_paused and gate.flow(job.family) is Flow.TRIAL
            return await self._serve(job, hold=not tries)
        if choice is Choice.FAIL:
            return await self._fail(job, obstacle)
        # Who asked to wait does so through what goes on by itself or by a person; who did not say hears of it.
        return view if said is None and job.waits_for_nobody else None

    async def _serve(self, job: Job, *, hold: bool) -> JobView | None:
        async with self._database.write() as connection:
            if not await _note_served(connection, job, hold=hold):
                return None  # it has moved since it was read: look again
            view = await _view(connection, job.id)
        if job.placeholder_served is None:
            log.info("fallback.placeholder", job=job.id, state=view.state, reason=view.job.reason)
        return replace(view, placeholder=await drawn_or_none(view.job))

    async def _fail(self, job: Job, obstacle: str) -> JobView | None:
        async with self._database.write() as connection:
            sent = await attempts.get_open_or_none(connection, job.id) is not None
            if not sent and not await jobs.transition(
                connection,
                job.id,
                JobState.FAILED,
                reason=HeldFor.VENDOR,
                message=f"{obstacle}, and its fallback is to fail; nothing was sent",
                only_from=frozenset({JobState.QUEUED, JobState.HELD}),
                as_dispatched=job.dispatches,
            ):
                return None
            view = await _view(connection, job.id)
        if not sent:
            log.info("fallback.failed", job=job.id)
            return view
        return view if view.job.waits_for_nobody else None


async def _note_served(connection: AsyncConnection, job: Job, *, hold: bool) -> bool:
    """Write down when the caller first got a placeholder; with `hold` a queued job waits for the backfill then."""
    now = job.placeholder_served or (await connection.execute(sa.select(now_ms()))).scalar_one()
    if job.state is JobState.QUEUED and hold:
        return await jobs.transition(
            connection,
            job.id,
            JobState.HELD,
            reason=HeldFor.VENDOR,
            message=SERVED,
            only_from=frozenset({JobState.QUEUED}),
            as_dispatched=job.dispatches,
            placeholder_served=now,
        )
    done = await connection.execute(
        sa.update(job_rows)
        .where(
            job_rows.c.id == job.id, job_rows.c.state == job.state, job_rows.c.dispatches == job.dispatches
        )
        .values(placeholder_served=now)
    )
    return done.rowcount == 1


async def _of_project(connection: AsyncConnection, name: str) -> str | None:
    project = (await all_projects(connection)).get(name)
    return None if project is None else project.fallback


async def _view(connection: AsyncConnection, job_id: str) -> JobView:
    job = await jobs.get_one_or_none(connection, job_id)
    assert job is not None
    return (await views_of(connection, [job]))[0]
