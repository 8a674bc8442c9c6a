"""The policy `buy_again`: time decides about a purchase of which nobody knows whether it happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.errors import Conflict
from pressroom.generation.decisions import Decisions
from pressroom.generation.jobs import JobState
from pressroom.generation.tables import jobs
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pressroom.database import Database
    from pressroom.settings import GenerationSettings

log = event_logger(__name__)

AT_ONCE = 100
"""Jobs decided about in one round."""


async def buy_again(database: Database, upstream: str, *, settings: GenerationSettings) -> int:
    """
    Write uncertain attempts without a generation id off as spent, and let their jobs buy anew.

    Only where the setting says so, after `buy_again_after_s` seconds, in which a late answer would have come. One with
    an id is polled on instead. A job is bought anew until it has written off all but one of the attempts that a job
    has (`attempts`); then a person decides, since something is wrong with more than one answer.

    Args:
        database: Where the rows are.
        upstream: Whose.
        settings: The policy and its times.

    Returns:
        How many were decided about.
    """
    if settings.uncertain != "buy_again":
        return 0
    written_off = attempts.alias()
    so_far = (
        sa.select(sa.func.count())
        .select_from(written_off)
        .where(written_off.c.job_id == jobs.c.id, written_off.c.state == AttemptState.WRITTEN_OFF)
        .scalar_subquery()
    )
    async with database.read() as connection:
        found = await connection.execute(
            sa.select(jobs.c.id)
            .join(attempts, attempts.c.job_id == jobs.c.id)
            .where(
                jobs.c.upstream == upstream,
                jobs.c.state == JobState.UNCERTAIN,
                attempts.c.state == AttemptState.UNCERTAIN,
                attempts.c.generation_id.is_(None),
                attempts.c.sending_at < now_ms() - int(settings.buy_again_after_s * 1000),
                so_far < settings.attempts - 1,
            )
            .order_by(jobs.c.id)
            .limit(AT_ONCE)
        )
        waiting = list(found.scalars())
    decisions = Decisions(database)
    count = 0
    for job_id in waiting:
        try:
            await decisions.buy_again(job_id)
        except Conflict:  # its answer came, or a person was faster
            continue
        log.warning("job.bought_again", job=job_id)
        count += 1
    return count
