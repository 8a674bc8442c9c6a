"""What an app offers about projects: their share of the fleet, and what their callers get in an outage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pressroom import audit
from pressroom.access import projects
from pressroom.access.projects import Project
from pressroom.fleet import flows
from pressroom.generation.admission import check_project
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pressroom.database import Database

log = event_logger(__name__)

UNCHANGED: Any = object()
"""Stands for what is left as it is, where None means something."""


class Projects:
    """The part of an `App` that is about projects; they are the same for every upstream."""

    database: Database
    upstream: str

    async def projects(self) -> list[Project]:
        """Every project that somebody has set or that ever had a job, by name; these have the defaults of `Project`."""
        async with self.database.read() as connection:
            known = await projects.all_projects(connection)
            met = await flows.projects_of(connection)
        return [known.get(name, Project(name=name)) for name in sorted({*known, *met})]

    async def set_project(
        self,
        name: str,
        *,
        weight: float = UNCHANGED,
        max_inflight: int | None = UNCHANGED,
        fallback: str | None = UNCHANGED,
        who: str | None = None,
        reason: str = "",
    ) -> Project:
        """
        Change how a project's jobs are treated; it acts within two seconds and leaves running work alone.

        Args:
            name: Any; it need not have jobs yet.
            weight: Turns for each turn of a project of weight 1 while both wait.
            max_inflight: Purchases in flight at most; None for no limit of its own.
            fallback: `wait`, `placeholder` or `fail`; None for the setting's.
            who: For the audit log; default: the person at this terminal.
            reason: For the audit log; no key, no prompt.

        Raises:
            InvalidRequest: A value is out of its range, and what the range is.
        """
        check_project(name)
        given: dict[str, Any] = {"weight": weight, "max_inflight": max_inflight, "fallback": fallback}
        async with self.database.write() as connection:
            before = (await projects.all_projects(connection)).get(name, Project(name=name))
            after = replace(before, **{key: value for key, value in given.items() if value is not UNCHANGED})
            await projects.put(connection, after)
            await audit.record(
                connection,
                upstream=self.upstream,
                who=who or audit.person(),
                action="project.set",
                subject=name,
                before=_words(before),
                after=_words(after),
                reason=reason,
            )
        log.info("project.set", project=name)
        return after


def _words(project: Project) -> str:
    return ", ".join(f"{key} {value}" for key, value in project.to_json().items() if key != "name")
