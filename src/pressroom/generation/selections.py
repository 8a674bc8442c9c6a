"""Many jobs at once, by what they have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.generation.tables import jobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pressroom.database import Database
    from pressroom.generation.jobs import JobState, Priority

PAGE = 500
"""Ids read at a time, so that a million selected jobs need little memory."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """
    Which jobs: all conditions together.

    Attributes:
        upstream: Whose; a decision about many never reaches another vendor's jobs.
        states: States that they are in.
        reason: Their reason; None for any.
        project: Whose they are; None for anybody's.
        priority: Their priority; None for any.
        older_than_s: Seconds since they were last dispatched, or else written, at least.
    """

    upstream: str
    states: frozenset[JobState]
    reason: str | None = None
    project: str | None = None
    priority: Priority | None = None
    older_than_s: float | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """For a query over jobs."""
        found: list[sa.ColumnElement[bool]] = [
            jobs.c.upstream == self.upstream,
            jobs.c.state.in_(sorted(self.states)),
        ]
        for column, value in (
            (jobs.c.reason, self.reason),
            (jobs.c.project, self.project),
            (jobs.c.priority, self.priority),
        ):
            if value is not None:
                found.append(column == value)
        if self.older_than_s is not None:
            since = sa.func.coalesce(jobs.c.dispatched_at, jobs.c.created_at)
            found.append(since < now_ms() - int(self.older_than_s * 1000))
        return found


async def count(database: Database, selection: Selection) -> int:
    """How many jobs are selected now."""
    async with database.read() as connection:
        found = await connection.execute(
            sa.select(sa.func.count()).select_from(jobs).where(*selection.conditions())
        )
        return found.scalar_one()


async def ids(database: Database, selection: Selection) -> AsyncIterator[str]:
    """The selected jobs, oldest first; each is looked for when its page's turn comes, so that a decision may change it."""
    after = ""
    while True:
        async with database.read() as connection:
            found = await connection.execute(
                sa.select(jobs.c.id)
                .where(jobs.c.id > after, *selection.conditions())
                .order_by(jobs.c.id)
                .limit(PAGE)
            )
            page = list(found.scalars())
        for job_id in page:
            yield job_id
        if len(page) < PAGE:
            return
        after = page[-1]
