"""A job as people and programs read it, with its attempts and assets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pressroom.catalog import assets as catalog
from pressroom.database import at
from pressroom.generation.jobs import Job, JobState
from pressroom.generation.placeholders import record_or_none
from pressroom.spend import attempts
from pressroom.spend.attempts import Attempt, AttemptState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.catalog.assets import Asset
    from pressroom.generation.placeholders import Placeholder

STAGES = {
    AttemptState.RESERVED: "dispatched",
    AttemptState.SENDING: "sending",
    AttemptState.ACCEPTED: "generating",
    AttemptState.BOUGHT: "bringing home",
    AttemptState.UNCERTAIN: "uncertain",
}
"""What a running job is at, told by its open attempt."""


@dataclass(frozen=True, kw_only=True)
class JobView:
    """
    One job with all that belongs to it.

    Attributes:
        placeholder: What its caller gets while there is no picture; set only where one was asked for. No asset.
    """

    job: Job
    attempts: Sequence[Attempt]
    assets: Sequence[Asset]
    placeholder: Placeholder | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def state(self) -> JobState:
        """The job's state."""
        return self.job.state

    @property
    def stage(self) -> str | None:
        """What it is at while it is running; None else."""
        if self.job.state is not JobState.RUNNING:
            return None
        return next((STAGES[attempt.state] for attempt in self.attempts if attempt.open), "dispatched")

    @property
    def cost_micros(self) -> int:
        """Spent on it so far, millionths of a US dollar; an uncertain attempt counts with its reservation."""
        return sum(_spent(attempt) for attempt in self.attempts)

    def to_json(self) -> dict[str, Any]:
        """The shape of `--json` and of the native API (design section 6)."""
        job = self.job
        return {
            "id": job.id,
            "state": job.state,
            "reason": job.reason,
            "message": job.message,
            "stage": self.stage,
            "upstream": job.upstream,
            "project": job.project,
            "priority": job.priority,
            "buy_before": _time(job.buy_before),
            "request": job.request,
            "operation": job.call["operation"],
            "tags": job.tags,
            "metadata": job.metadata,
            "attempts": [_attempt_json(attempt) for attempt in self.attempts],
            "assets": [asset.to_json() for asset in self.assets],
            "placeholder": record_or_none(job),
            "filtered_count": job.filtered_count,
            "missing": job.missing,
            "cost_usd": self.cost_micros / 1_000_000,
            "created_at": _time(job.created_at),
            "ended_at": _time(job.ended_at),
        }


def _spent(attempt: Attempt) -> int:
    if attempt.cost_micros is not None:
        return attempt.cost_micros
    return attempt.reserved_micros if attempt.state is AttemptState.UNCERTAIN else 0


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "outcome": attempt.state,
        "operation": attempt.operation,
        "generation_id": attempt.generation_id,
        "reserved_usd": attempt.reserved_micros / 1_000_000,
        "price_source": attempt.price_source,
        "cost_usd": None if attempt.cost_micros is None else attempt.cost_micros / 1_000_000,
        "key_fingerprint": attempt.key_fingerprint,
        "error": attempt.error,
        "created_at": _time(attempt.created_at),
        "sending_at": _time(attempt.sending_at),
        "ended_at": _time(attempt.ended_at),
    }


def _time(millis: int | None) -> str | None:
    return None if millis is None else at(millis).isoformat().replace("+00:00", "Z")


async def views_of(connection: AsyncConnection, jobs: Sequence[Job]) -> list[JobView]:
    """These jobs with their attempts and assets, in the same order; three queries for any number of jobs."""
    ids = [job.id for job in jobs]
    if not ids:
        return []
    tried = await attempts.of_jobs(connection, ids)
    kept = await catalog.of_jobs(connection, ids)
    return [JobView(job=job, attempts=tried[job.id], assets=kept[job.id]) for job in jobs]
