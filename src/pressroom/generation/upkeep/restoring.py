"""After a restore from a backup: what the rows say of open jobs may be out of date, so nothing goes on by itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom import audit
from pressroom.database import now_ms
from pressroom.fleet.tables import workers
from pressroom.fleet.workers import WorkerState
from pressroom.generation.jobs import ENDED, HeldFor, JobState, transition
from pressroom.generation.tables import jobs
from pressroom.spend.attempts import AttemptState, get_open_or_none
from pressroom.spend.attempts import transition as transition_attempt
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database

AT_ONCE = 200
"""Jobs held in one transaction."""

MESSAGE = (
    "the database was restored from a backup, which knows nothing of what happened after it was made: look in the "
    "vendor's account and in the store for this job's pictures, then `pressroom jobs retry` or `pressroom jobs cancel` it"
)

_OPEN = frozenset(JobState) - ENDED


async def beating(database: Database, *, within_s: float) -> list[str]:
    """Ids of the workers of any upstream that have beaten within `within_s` seconds of the database's clock."""
    async with database.read() as connection:
        found = await connection.execute(
            sa.select(workers.c.id)
            .where(
                workers.c.state == WorkerState.LIVE,
                workers.c.beat_at > now_ms() - int(within_s * 1000),
            )
            .order_by(workers.c.id)
        )
        return list(found.scalars())


async def hold_open_jobs(database: Database, *, who: str) -> Mapping[str, int]:
    """
    Hold every open job for a person's look, and free every slot; safe to repeat and to interrupt.

    A reserved attempt is given back: by these rows it was not sent. Others stay as they are, and a retry continues
    them: one with an id is polled, one that was being sent turns out uncertain.

    Args:
        database: The restored one.
        who: For the audit log.

    Returns:
        How many were held, by upstream.
    """
    held: Counter[str] = Counter()
    after = ""
    while page := await _hold_page(database, after):
        held.update(upstream for _, upstream in page)
        after = page[-1][0]
    async with database.write() as connection:
        await connection.execute(sa.update(attempts).where(attempts.c.slot.is_not(None)).values(slot=None))
        for upstream, number in sorted(held.items()):
            await audit.record(
                connection,
                upstream=upstream,
                who=who,
                action="db.restored",
                subject="jobs",
                after=str(number),
            )
    return held


async def _hold_page(database: Database, after: str) -> list[tuple[str, str]]:
    async with database.write() as connection:
        found = await connection.execute(
            sa.select(jobs.c.id, jobs.c.upstream)
            .where(
                jobs.c.id > after,
                jobs.c.state.in_(sorted(_OPEN)),
                sa.or_(jobs.c.state != JobState.HELD, jobs.c.reason.is_distinct_from(HeldFor.RESTORED)),
            )
            .order_by(jobs.c.id)
            .limit(AT_ONCE)
        )
        page = [(row.id, row.upstream) for row in found]
        for job_id, _ in page:
            await _hold(connection, job_id)
    return page


async def _hold(connection: AsyncConnection, job_id: str) -> None:
    attempt = await get_open_or_none(connection, job_id)
    given_back = attempt is not None and await transition_attempt(
        connection, attempt.id, AttemptState.UNSOLD, only_from={AttemptState.RESERVED}
    )
    await transition(
        connection,
        job_id,
        JobState.HELD,
        reason=HeldFor.RESTORED,
        message=MESSAGE,
        continuing=attempt is not None and not given_back,
    )
