"""The last look at the switches: a job that was dispatched while it might go, and whose run begins when it may not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from tests.support.rows import add_attempt, add_job

from pressroom.errors import StorageFull
from pressroom.fleet.keys import Keys
from pressroom.fleet.switches import set_switch
from pressroom.generation import jobs
from pressroom.generation.jobs import JobState
from pressroom.generation.run.context import Run
from pressroom.generation.run.purchase import purchase
from pressroom.ideogram import Ideogram
from pressroom.spend import attempts
from pressroom.spend.tables import attempts as attempt_rows

GOES = "storage"
"""The reason of a run that got as far as asking whether pictures could be kept, which comes last and is refused here."""


class FullKeeping:
    """Says, after every other look, that nothing can be kept: what got there would have been sent."""

    async def check(self, images):
        raise StorageFull("no room")


@pytest.mark.parametrize(
    ("switch", "value", "priority", "trial", "reason"),
    [
        ("mode", "disabled", "interactive", False, "switch"),
        ("mode", "fallback", "batch", True, "switch"),
        ("batch", "paused", "batch", False, "switch"),
        ("batch", "paused", "interactive", False, GOES),
        ("batch", "paused", "batch", True, GOES),
        ("concurrency", "1", "interactive", False, GOES),
    ],
)
async def test_nothing_is_begun_against_a_switch(
    database, base_settings, switch, value, priority, trial, reason
):
    """As when the worker that should have begun was killed, and another one takes its run over half a minute later."""
    async with database.write() as connection:
        job_id = await add_job(connection, state=JobState.RUNNING, priority=priority)
        attempt_id = await add_attempt(connection, job_id, trial=trial)
        await set_switch(connection, "emulator", switch, value, who="ada", reason="")
        job = await jobs.get_one_or_none(connection, job_id)
        attempt = await attempts.get_open_or_none(connection, job_id)
    keys = Keys(lambda key: Ideogram(key, base_url="http://127.0.0.1:1"), "key-of-tests", rest_s=1.0)
    parts = SimpleNamespace(
        database=database,
        keys=keys,
        keeping=FullKeeping(),
        settings=base_settings.generation,
        all_settings=base_settings,
        lease_is_fresh=lambda: True,
        upstream="emulator",
    )

    assert not await purchase(Run(parts=parts, job=job, attempt=attempt, token="worker/1"))
    async with database.read() as connection:
        row = (await connection.execute(sa.select(attempt_rows).where(attempt_rows.c.id == attempt_id))).one()
        waits = await jobs.get_one_or_none(connection, job_id)
    assert (row.state, row.slot, row.sending_at) == ("unsold", None, None)
    assert (waits.state, waits.reason) == (JobState.QUEUED, reason)
    await keys.aclose()
