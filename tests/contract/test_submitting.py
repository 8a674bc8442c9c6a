"""What an app takes, refuses and says of a job that waits, on SQLite and on Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from tests.support.rows import add_attempt, add_job

from pressroom.app import open_app
from pressroom.errors import Busy, InvalidRequest
from pressroom.generation.jobs import Priority
from pressroom.generation.tables import jobs
from pressroom.ideogram import ImageRequest
from pressroom.spend.attempts import AttemptState

HERON = ImageRequest(prompt="a heron at dawn")


@pytest.fixture
async def app(base_settings):
    async with open_app(base_settings) as opened:
        yield opened


async def count(app):
    async with app.database.read() as connection:
        return (await connection.execute(sa.select(sa.func.count()).select_from(jobs))).scalar_one()


async def take_places(app, number):
    """So many purchases in flight."""
    job_ids = await app.submit_many([HERON] * number)
    async with app.database.write() as connection:
        await connection.execute(sa.update(jobs).where(jobs.c.id.in_(job_ids)).values(state="running"))
        for slot, job_id in enumerate(job_ids):
            await add_attempt(connection, job_id, state=AttemptState.SENDING, slot=slot)


async def test_one_request_has_somebody_waiting_and_many_have_nobody(app):
    """Unless told otherwise."""
    one = await app.submit(HERON)
    [many] = await app.submit_many([HERON])
    slow = await app.submit(HERON, priority="batch")

    found = [(await app.job(job_id)).job.priority for job_id in (one, many, slow)]
    assert found == [Priority.INTERACTIVE, Priority.BATCH, Priority.BATCH]


async def test_a_time_to_buy_by_is_a_moment_or_a_while_from_now(app):
    """Kept in milliseconds of the database's clock; a zone is respected."""
    moment = datetime(2099, 12, 1, 9, tzinfo=timezone(timedelta(hours=1)))
    by_moment = (await app.job(await app.submit(HERON, buy_before=moment))).job
    by_while = (await app.job(await app.submit(HERON, buy_before=timedelta(minutes=30)))).job

    assert by_moment.buy_before == int(datetime(2099, 12, 1, 8, tzinfo=UTC).timestamp() * 1000)
    assert 1_799_000 <= by_while.buy_before - by_while.created_at <= 1_800_000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("buy_before", timedelta(seconds=-1)),
        ("buy_before", timedelta(0)),
        ("buy_before", datetime(2020, 1, 1, tzinfo=UTC)),
        ("buy_before", datetime(2099, 1, 1)),  # noqa: DTZ001 - that is the point
        ("priority", "urgent"),
        ("fallback", "hope"),
        ("wire", "v9"),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_is_written(app, field, value):
    """And it says what would."""
    with pytest.raises(InvalidRequest) as refused:
        await app.submit_many([HERON, HERON], **{field: value})

    assert field == refused.value.field
    assert await count(app) == 0


async def test_told_to_reject_it_takes_what_need_not_wait(app):
    """Up to as many as there are places; then it says so at once, and nothing is written."""
    await app.set_switch("rate_limit_mode", "reject")
    await take_places(app, 7)
    await app.submit_many([], priority="interactive")
    with pytest.raises(Busy, match="rate_limit_mode"):
        await app.submit_many([HERON, HERON], priority="interactive")
    await app.submit(HERON)
    with pytest.raises(Busy, match="8 places"):  # one of its class waits already
        await app.submit(HERON)

    assert await count(app) == 8
    await app.submit_many([HERON])  # nobody waits for it
    await app.set_switch("rate_limit_mode", "queue")
    await app.submit(HERON)
    assert await count(app) == 10


async def test_told_to_reject_it_leaves_outages_to_the_fallback(app):
    """Who asks while nothing may be bought waits for no place."""
    await app.set_switch("rate_limit_mode", "reject")
    await take_places(app, 8)
    await app.set_switch("mode", "fallback")

    assert await app.submit(HERON)


async def test_a_waiting_job_says_what_it_waits_for(app):
    """A place, a person, or the vendor; a time is told only where one can be known."""
    job_id = await app.submit(HERON)
    [batch_id] = await app.submit_many([HERON])
    async with app.database.write() as connection:
        done = await add_job(connection, state="completed")
        took = {"sending_at": 1_000, "ended_at": 11_000}
        await add_attempt(connection, done, state=AttemptState.BOUGHT, slot=None, **took)
    free = await app.outlook(await app.job(job_id))
    assert (free.ahead, free.seconds, free.blocked_by) == (0, 10.0, None)

    await app.set_switch("batch", "paused")
    assert (await app.outlook(await app.job(job_id))).blocked_by is None
    paused = await app.outlook(await app.job(batch_id))
    assert paused.seconds is None
    assert "batch" in paused.blocked_by

    await app.set_switch("mode", "disabled")
    stopped = await app.outlook(await app.job(job_id))
    assert stopped.seconds is None
    assert "disabled" in stopped.blocked_by


async def test_a_project_keeps_what_is_not_changed_and_the_log_says_who_did(app):
    """Weight, cap and fallback, each by itself."""
    await app.set_project("shop", weight=3, max_inflight=4, who="somebody")
    await app.set_project("shop", fallback="placeholder", who="another", reason="a launch")
    await app.set_project("shop", max_inflight=None, who="somebody")

    [shop] = await app.projects()
    assert (shop.weight, shop.max_inflight, shop.fallback) == (3, None, "placeholder")
    lines = await app.audit()
    assert [(line.who, line.action) for line in lines] == [
        ("somebody", "project.set"),
        ("another", "project.set"),
        ("somebody", "project.set"),
    ]
    assert lines[1].reason == "a launch"
    assert "fallback placeholder" in lines[1].after
    with pytest.raises(InvalidRequest, match="project"):
        await app.set_project(" ", weight=2)
