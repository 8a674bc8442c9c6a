"""A run of a job whose rows are in a database, without the worker around it: for what runs write."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.support.rows import pair

from pressroom.database import now_ms
from pressroom.generation import jobs
from pressroom.generation.jobs import JobState
from pressroom.generation.run.context import Run
from pressroom.settings import Settings
from pressroom.spend import attempts
from pressroom.spend.attempts import AttemptState

if TYPE_CHECKING:
    from pressroom.database import Database


def parts_of(database: Database, settings: Settings | None = None) -> SimpleNamespace:
    """The parts of a worker that its records use."""
    known = settings or Settings.load()
    return SimpleNamespace(
        database=database,
        settings=known.generation,
        all_settings=known,
        spool_id="spool_1",
        upstream="emulator",
    )


async def run_of(database: Database, job_id: str, settings: Settings | None = None) -> Run:
    """A run of that job's open attempt, as its rows are now."""
    async with database.read() as connection:
        job = await jobs.get_one_or_none(connection, job_id)
        attempt = await attempts.get_open_or_none(connection, job_id)
    assert job is not None
    assert attempt is not None
    return Run(parts=parts_of(database, settings), job=job, attempt=attempt, token=attempt.owner or "w/1")


async def sending(database: Database, settings: Settings | None = None, **columns: Any) -> Run:
    """A run whose request is on its way."""
    values = {"owner": "w/1", "sending_at": now_ms(), "key_fingerprint": "ab12", "slot": None, **columns}
    job_id, _ = await pair(database, JobState.RUNNING, AttemptState.SENDING, **values)
    return await run_of(database, job_id, settings)
