"""Projects: what share of the fleet each one gets, and what its callers get while the vendor cannot be asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom.access.tables import projects
from pressroom.database import now_ms
from pressroom.errors import InvalidRequest

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MOST_WEIGHT = 1_000.0
"""Largest weight; its inverse is the smallest, so that virtual time keeps its precision."""

MOST_INFLIGHT = 1_000_000
"""Largest cap; more means nothing, and would not fit where caps are kept."""

FALLBACKS = ("wait", "placeholder", "fail")
"""What the caller of a project may get while the vendor cannot be asked; the same words as the setting's."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """
    How one project's jobs are treated; a name without a row is treated by these defaults.

    Attributes:
        weight: Turns for each turn of a project of weight 1 while both wait.
        max_inflight: Purchases in flight at most; None for no limit of its own.
        fallback: One of `FALLBACKS`; None for the setting's.
    """

    name: str
    weight: float = 1.0
    max_inflight: int | None = None
    fallback: str | None = None

    def check(self) -> None:
        """
        See that it can be used.

        Raises:
            InvalidRequest: A value is out of its range, and what the range is.
        """
        if not math.isfinite(self.weight) or not 1 / MOST_WEIGHT <= self.weight <= MOST_WEIGHT:
            raise InvalidRequest(
                "weight", self.weight, f"a number from {1 / MOST_WEIGHT:g} to {MOST_WEIGHT:g}"
            )
        if self.max_inflight is not None and not 1 <= self.max_inflight <= MOST_INFLIGHT:
            raise InvalidRequest(
                "max_inflight", self.max_inflight, f"1 to {MOST_INFLIGHT}, or none for no limit"
            )
        if self.fallback is not None and self.fallback not in FALLBACKS:
            raise InvalidRequest("fallback", self.fallback, f"one of {', '.join(FALLBACKS)}, or default")

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "weight": self.weight,
            "max_inflight": self.max_inflight,
            "fallback": self.fallback,
        }


_ALL = sa.select(projects.c.name, projects.c.weight, projects.c.max_inflight, projects.c.fallback).order_by(
    projects.c.name
)


async def all_projects(connection: AsyncConnection) -> dict[str, Project]:
    """Every project that somebody has set, by name; all others have the defaults."""
    found = await connection.execute(_ALL)
    return {row["name"]: Project(**row) for row in found.mappings()}


async def put(connection: AsyncConnection, project: Project) -> None:
    """
    Write a project whole; the caller adds the line in the audit log.

    Raises:
        InvalidRequest: A value is out of its range; nothing was written.
    """
    project.check()
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {"weight": project.weight, "max_inflight": project.max_inflight, "fallback": project.fallback}
    await connection.execute(
        insert(projects)
        .values(name=project.name, created_at=now_ms(), **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
    )
