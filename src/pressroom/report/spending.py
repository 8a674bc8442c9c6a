"""Where the money went: by day, model, project, tag or campaign, and what it brought."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.catalog.tables import assets
from pressroom.database import at
from pressroom.generation.jobs import JobState
from pressroom.generation.tables import jobs
from pressroom.spend.attempts import AttemptState
from pressroom.spend.counters import elements
from pressroom.spend.money import usd
from pressroom.spend.scopes import DAY_MS, day_of
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.spend.anomaly import Rate
    from pressroom.spend.balance import Balance

WINDOW_MS = 30 * DAY_MS
"""Milliseconds that a report looks back when it is not told."""


class By(StrEnum):
    """What the lines of a report are."""

    DAY = "day"
    MODEL = "model"
    PROJECT = "project"
    TAG = "tag"
    CAMPAIGN = "campaign"


@dataclass(frozen=True, kw_only=True)
class Sums:
    """
    Money and pictures of one line; amounts in millionths of a US dollar.

    Attributes:
        spent: Bought and written off. It is the sum of kept, filtered, failed, written off and on its way.
        kept: For pictures that are in the catalog.
        filtered: For pictures that were bought, and unsafe or missing.
        failed: For jobs that ended without any of their pictures.
        written_off: Given up while uncertain.
        reserved: Set aside for what is under way; not spent.
        uncertain: Set aside for what nobody knows the outcome of; not spent yet, and it may be.
        images: Pictures in the catalog.
        placeholders: Jobs whose caller got a placeholder.
    """

    spent: int = 0
    kept: int = 0
    filtered: int = 0
    failed: int = 0
    written_off: int = 0
    reserved: int = 0
    uncertain: int = 0
    images: int = 0
    placeholders: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    @property
    def per_image(self) -> int | None:
        """All that was spent, for each picture that was kept, rounded; None without one."""
        return (2 * self.spent + self.images) // (2 * self.images) if self.images else None

    def to_json(self) -> dict[str, Any]:
        """The shape of `--json`."""
        shown = {
            f"{one.name}_usd": usd(getattr(self, one.name))
            for one in fields(self)
            if one.name not in {"images", "placeholders"}
        }
        return {
            **shown,
            "images": self.images,
            "cost_per_image_usd": usd(self.per_image),
            "placeholders": self.placeholders,
        }


@dataclass(frozen=True, kw_only=True)
class SpendReport:
    """
    A report.

    Attributes:
        since: Attempts begun from this moment on, milliseconds since the epoch.
        until: And before this one.
        rows: For each line its day, model, …; None: it has none. A job counts in each of its tags.
        total: Everything once.
        rate: The last hour beside the usual one.
        balance: Estimated; None while nobody has stated one.
    """

    by: By
    since: int
    until: int
    rows: dict[str | None, Sums]
    total: Sums
    rate: Rate
    unusual: bool
    balance: Balance | None

    def to_json(self) -> dict[str, Any]:
        """The shape of `--json`."""
        return {
            "by": self.by,
            "since": _time(self.since),
            "until": _time(self.until),
            "rows": [{self.by: key, **sums.to_json()} for key, sums in self.rows.items()],
            "total": self.total.to_json(),
            "rate": {**self.rate.to_json(), "unusual": self.unusual},
            "balance": None if self.balance is None else self.balance.to_json(),
        }


def _time(millis: int) -> str:
    return at(millis).isoformat().replace("+00:00", "Z")


async def sums_by(
    connection: AsyncConnection, upstream: str, by: By, *, since: int, until: int
) -> tuple[dict[str | None, Sums], Sums]:
    """
    The lines of a report and its total.

    Args:
        connection: For reading.
        upstream: Whose spending.
        by: What the lines are.
        since: Milliseconds since the epoch; what was begun then or later.
        until: Milliseconds since the epoch; and before then.
    """
    rows = await _lines(connection, upstream, by, since=since, until=until)
    if by is By.TAG:
        once = await _lines(connection, upstream, None, since=since, until=until)
        return rows, sum(once.values(), Sums())
    return rows, sum(rows.values(), Sums())


async def _lines(
    connection: AsyncConnection, upstream: str, by: By | None, *, since: int, until: int
) -> dict[str | None, Sums]:
    lines: dict[Any, Sums] = {}
    for row in await connection.execute(
        _money(connection.dialect.name, by).where(
            attempts.c.upstream == upstream, attempts.c.created_at >= since, attempts.c.created_at < until
        )
    ):
        values = {name: int(value or 0) for name, value in row._mapping.items() if name != "line"}  # noqa: SLF001 - a row's public way to be a mapping
        lines[row.line] = Sums(**values)
    for row in await connection.execute(
        _placeholders(connection.dialect.name, by).where(
            jobs.c.upstream == upstream,
            jobs.c.placeholder_served >= since,
            jobs.c.placeholder_served < until,
        )
    ):
        lines[row.line] = lines.get(row.line, Sums()) + Sums(placeholders=row.placeholders)
    if by is By.DAY:
        return {day_of(day * DAY_MS): lines[day] for day in sorted(lines)}
    return dict(sorted(lines.items(), key=lambda line: (-line[1].spent, line[0] is None, line[0])))


def _money(dialect: str, by: By | None) -> sa.Select[Any]:
    bought = attempts.c.state == AttemptState.BOUGHT
    cost = sa.func.coalesce(attempts.c.cost_micros, 0)
    kept = _of_assets(sa.func.coalesce(sa.func.sum(assets.c.cost_micros), 0))
    ended = sa.func.coalesce(jobs.c.state, JobState.COMPLETED)  # jobs are forgotten before their attempts
    lost = sa.and_(bought, ended.in_([JobState.FAILED, JobState.CANCELLED]))
    withheld = sa.and_(bought, ended.in_([JobState.COMPLETED, JobState.FILTERED]))
    under_way = attempts.c.state.in_([AttemptState.RESERVED, AttemptState.SENDING, AttemptState.ACCEPTED])
    parts = {
        "spent": cost,
        "kept": sa.case((bought, kept), else_=0),
        "filtered": sa.case((withheld, cost - kept), else_=0),
        "failed": sa.case((lost, cost - kept), else_=0),
        "written_off": sa.case((attempts.c.state == AttemptState.WRITTEN_OFF, cost), else_=0),
        "reserved": sa.case((under_way, attempts.c.reserved_micros), else_=0),
        "uncertain": sa.case(
            (attempts.c.state == AttemptState.UNCERTAIN, attempts.c.reserved_micros), else_=0
        ),
        "images": sa.case((bought, _of_assets(sa.func.count())), else_=0),
    }
    line, source = _line(dialect, by, attempts.outerjoin(jobs, jobs.c.id == attempts.c.job_id), attempts)
    sums = [sa.func.sum(part).label(name) for name, part in parts.items()]
    return sa.select(line.label("line"), *sums).select_from(source).group_by(sa.literal_column("line"))


def _of_assets(figure: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    """A figure over the safe pictures of an attempt; those that are not safe are not kept."""
    return (
        sa.select(figure)
        .where(assets.c.attempt_id == attempts.c.id, assets.c.is_safe)
        .correlate(attempts)
        .scalar_subquery()
    )


def _placeholders(dialect: str, by: By | None) -> sa.Select[Any]:
    line, source = _line(dialect, by, jobs, jobs)
    return (
        sa.select(line.label("line"), sa.func.count().label("placeholders"))
        .select_from(source)
        .group_by(sa.literal_column("line"))
    )


def _line(
    dialect: str, by: By | None, source: sa.FromClause, of: sa.Table
) -> tuple[sa.ColumnElement[Any], sa.FromClause]:
    """What a row belongs to, and where to read it from; attempts keep in columns what jobs keep in JSON."""
    own = of is attempts
    match by:
        case None:
            return sa.literal_column("'all'"), source
        case By.TAG:
            tags = elements(jobs.c.tags, dialect, name="tags")
            return tags.c.value, source.outerjoin(tags, sa.true())
        case By.DAY:
            return (attempts.c.created_at if own else jobs.c.placeholder_served) // DAY_MS, source
        case By.MODEL:
            return (attempts.c.model if own else jobs.c.request["model"].as_string()), source
        case By.PROJECT:
            return of.c.project, source
        case By.CAMPAIGN:
            return (attempts.c.campaign if own else jobs.c.metadata["campaign"].as_string()), source
