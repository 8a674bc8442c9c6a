"""The step of the fleet on a database that was worked with: rows of the version before become rows of this one."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from pressroom import migrations
from pressroom.database import Database, DatabaseAddress
from pressroom.fleet.flows import Flow
from pressroom.generation import jobs
from pressroom.generation.dispatch import waiting
from pressroom.settings import Settings
from pressroom.spend import attempts

OLD_JOB = """
INSERT INTO jobs (id, upstream, project, state, request, call, request_hash, tags, metadata, continuing, dispatches, failures,
    backoffs, eligible_at, filtered_count, missing, created_at, ended_at)
VALUES (:id, 'emulator', 'shop', :state, '{"model": "V_2"}', :call, 'ab', '[]', '{"campaign": "spring"}', false, 0, 0,
    0, 1, 0, '[]', 1, :ended_at)
"""
OLD_ATTEMPT = """
INSERT INTO attempts (id, job_id, upstream, operation, state, reserved_micros, price_source, created_at)
VALUES (:id, :job, 'emulator', 'legacy/generate', 'accepted', 80000, 'table', 1)
"""


@pytest.fixture(params=["sqlite", "postgres"])
async def worked_with(request, tmp_path):
    """A database at the step before, with rows."""
    url = request.getfixturevalue("empty_postgres") if request.param == "postgres" else None
    settings = Settings.load(home=tmp_path, database_url=url)
    opened = Database(DatabaseAddress.parse(settings), settings.database)
    async with opened.write() as connection:
        await connection.run_sync(_to_0001)
        for number, (state, operation) in enumerate(
            [
                ("queued", "v2/generate/ideogram-4-5"),
                ("running", "v4/async/generate"),
                ("completed", "legacy/generate"),
            ]
        ):
            row = {"id": f"job_{number}", "state": state, "call": f'{{"operation": "{operation}"}}'}
            ended_at = 2 if state == "completed" else None
            await connection.execute(sa.text(OLD_JOB), {**row, "ended_at": ended_at})
        for job_id in ("job_1", "job_gone"):
            await connection.execute(sa.text(OLD_ATTEMPT), {"id": f"at_of_{job_id}", "job": job_id})
    yield opened
    await opened.close()


def _to_0001(connection):
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


async def test_rows_of_the_version_before_become_rows_of_this_one(worked_with):
    """Families, shares of money and flows follow from what was there; a resting job is one whose time is looked at."""
    async with worked_with.write() as connection:
        await connection.run_sync(migrations.upgrade)
    async with worked_with.read() as connection:
        known = {job.id: job for job in await jobs.newest(connection, limit=10)}
        tried = await attempts.of_jobs(connection, ["job_1", "job_gone"])
        look = await waiting.look(connection, "emulator")

    assert [(job.family, job.resting) for job in sorted(known.values(), key=lambda job: job.id)] == [
        ("v2/generate", True),
        ("v4/generate", False),
        ("legacy/generate", False),
    ]
    assert {"interactive"} == {job.priority for job in known.values()}
    [of_job], [of_none] = tried.values()
    assert (
        of_job.project,
        of_job.campaign,
        of_job.model,
        of_job.expected_micros,
        of_job.counters,
        of_job.trial,
    ) == ("shop", "spring", "V_2", 80_000, [], False)
    assert (of_none.project, of_none.campaign, of_none.model) == ("default", None, "")
    unit = {"project": "shop", "priority": "interactive", "start_tag": 0.0, "head": None}
    assert [Flow(**unit, family="v2/generate"), Flow(**unit, family="v4/generate")] == sorted(
        look.flows, key=lambda flow: flow.family
    )
    assert look.due
