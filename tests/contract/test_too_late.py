"""The last look at the clock: a job that was dispatched in time and is about to be sent too late."""

from __future__ import annotations

from types import SimpleNamespace

import sqlalchemy as sa
from tests.contract.test_dispatch import dispatcher_of
from tests.support.rows import add_attempt, add_job

from pressroom.database import now_ms
from pressroom.fleet.keys import Keys
from pressroom.generation import jobs
from pressroom.generation.jobs import JobState
from pressroom.generation.run.context import Run
from pressroom.generation.run.purchase import purchase
from pressroom.ideogram import Ideogram
from pressroom.spend import attempts
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts as attempt_rows


async def test_nothing_is_sent_after_its_time_and_the_job_ends_cancelled(database, base_settings):
    """Whatever kept the run from beginning; place and money are given back."""
    async with database.write() as connection:
        job_id = await add_job(connection, state=JobState.RUNNING, buy_before=now_ms() - 1)
        attempt_id = await add_attempt(connection, job_id)
        job = await jobs.get_one_or_none(connection, job_id)
        attempt = await attempts.get_open_or_none(connection, job_id)
    keys = Keys(lambda key: Ideogram(key, base_url="http://127.0.0.1:1"), "key-of-tests", rest_s=1.0)
    parts = SimpleNamespace(
        database=database,
        keys=keys,
        settings=base_settings.generation,
        all_settings=base_settings,
        lease_is_fresh=lambda: True,
        upstream="emulator",
    )

    assert not await purchase(Run(parts=parts, job=job, attempt=attempt, token="worker/1"))
    async with database.read() as connection:
        row = (await connection.execute(sa.select(attempt_rows).where(attempt_rows.c.id == attempt_id))).one()
    assert (row.state, row.slot, row.sending_at, row.cost_micros) == (AttemptState.UNSOLD, None, None, 0)
    async with dispatcher_of(base_settings) as dispatcher:
        assert await dispatcher.dispatch() == 0
    async with database.read() as connection:
        ended = await jobs.get_one_or_none(connection, job_id)
    assert (ended.state, ended.reason) == (JobState.CANCELLED, "too late")
    await keys.aclose()
