"""The report of spending, the estimated balance, the unusual rate and the check, on SQLite and on Postgres."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.support.rows import add_attempt, add_job, asset, pair

from pressroom.catalog import assets as catalog
from pressroom.generation.jobs import JobState
from pressroom.generation.tables import jobs as job_rows
from pressroom.notify.tables import notices
from pressroom.report import books
from pressroom.report.spending import By, Sums, sums_by
from pressroom.spend import anomaly, balance
from pressroom.spend.attempts import AttemptState
from pressroom.spend.scopes import DAY_MS

UP = "emulator"
DAY = 1_767_225_600_000  # 2026-01-01
HOUR = 3_600_000


async def line(database, job_state, attempt_state, *, kept=(), unsafe=(), tags=(), at=DAY, **columns):
    """A job with one attempt at a time, and the shares of its pictures in the catalog."""
    jobs_columns = {name: columns.pop(name) for name in ("placeholder_served", "metadata") if name in columns}
    async with database.write() as connection:
        job_id = await add_job(connection, state=job_state, tags=sorted(tags), **jobs_columns)
        attempt_id = await add_attempt(
            connection, job_id, state=attempt_state, slot=None, created_at=at, **columns
        )
        await catalog.add(
            connection,
            [
                asset(
                    id=f"{attempt_id}-{position}",
                    job_id=job_id,
                    attempt_id=attempt_id,
                    position=position,
                    cost_micros=micros,
                    is_safe=safe,
                )
                for position, (micros, safe) in enumerate(
                    [*((one, True) for one in kept), *((one, False) for one in unsafe)]
                )
            ],
        )
    return job_id


async def lines(database, by, since=0, until=2 * DAY):
    async with database.read() as connection:
        return await sums_by(connection, UP, by, since=since, until=until)


async def test_every_millionth_that_was_spent_is_in_one_place(database):
    """Kept, filtered, failed, written off or on its way; what is reserved or uncertain is beside it."""
    bought, done = AttemptState.BOUGHT, JobState.COMPLETED
    await line(database, done, bought, kept=[30, 30, 30], cost_micros=90)
    await line(database, done, bought, kept=[20], unsafe=[20], cost_micros=60)
    await line(database, JobState.FILTERED, bought, cost_micros=7)
    await line(database, JobState.FAILED, bought, cost_micros=11)
    await line(database, JobState.RUNNING, bought, cost_micros=13)
    await line(database, JobState.FAILED, AttemptState.WRITTEN_OFF, cost_micros=17)
    await line(database, JobState.FAILED, AttemptState.UNSOLD, cost_micros=0)
    await line(database, JobState.UNCERTAIN, AttemptState.UNCERTAIN, reserved_micros=19)
    for state in (AttemptState.RESERVED, AttemptState.SENDING, AttemptState.ACCEPTED):
        await line(database, JobState.RUNNING, state, reserved_micros=5)
    rows, total = await lines(database, By.DAY)

    expected = Sums(
        spent=90 + 60 + 7 + 11 + 13 + 17,
        kept=110,
        filtered=40 + 7,
        failed=11,
        written_off=17,
        reserved=15,
        uncertain=19,
        images=4,
    )
    assert rows == {"2026-01-01": expected}
    assert total == expected
    assert expected.per_image == 50


async def test_a_line_without_pictures_has_no_price_of_one(database):
    """Nothing is divided by nothing."""
    await line(database, JobState.FILTERED, AttemptState.BOUGHT, cost_micros=7)
    _, total = await lines(database, By.DAY)

    assert total.per_image is None
    assert total.to_json()["cost_per_image_usd"] is None


async def test_lines_are_days_models_projects_campaigns_or_tags(database):
    """Largest first, days in order; a job counts under each of its tags and once in the total."""
    bought, done = AttemptState.BOUGHT, JobState.COMPLETED
    shop = {"project": "shop", "model": "ideogram-4", "campaign": "spring"}
    await line(database, done, bought, tags=["red", "ümläut"], cost_micros=1, at=DAY + DAY_MS - 1, **shop)
    await line(database, done, bought, tags=["red"], cost_micros=2, at=DAY + DAY_MS)
    await line(database, done, bought, cost_micros=4, at=DAY + 3 * DAY_MS)

    async def spent(by):
        rows, total = await lines(database, by)
        assert total.spent == 7
        return [(name, sums.spent) for name, sums in rows.items()]

    assert await spent(By.DAY) == [("2026-01-01", 1), ("2026-01-02", 2), ("2026-01-04", 4)]
    assert await spent(By.MODEL) == [("ideogram-4-5", 6), ("ideogram-4", 1)]
    assert await spent(By.PROJECT) == [("default", 6), ("shop", 1)]
    assert await spent(By.CAMPAIGN) == [(None, 6), ("spring", 1)]
    assert await spent(By.TAG) == [(None, 4), ("red", 3), ("ümläut", 1)]


async def test_the_window_has_its_first_moment_and_not_its_last(database):
    """So that windows side by side count everything once."""
    for at in (DAY - 1, DAY, DAY + 9, DAY + 10):
        await line(database, JobState.COMPLETED, AttemptState.BOUGHT, cost_micros=1, at=at)
    _, total = await lines(database, By.MODEL, since=DAY, until=DAY + 10)

    assert total.spent == 2


async def test_another_upstreams_money_is_not_in_it(database):
    """The emulator's pictures cost nothing real."""
    async with database.write() as connection:
        job_id = await add_job(connection, upstream="elsewhere")
        await add_attempt(
            connection, job_id, upstream="elsewhere", state=AttemptState.BOUGHT, cost_micros=5, created_at=DAY
        )
    rows, total = await lines(database, By.DAY)

    assert (rows, total) == ({}, Sums())


@pytest.mark.parametrize(
    ("by", "name"),
    [
        (By.DAY, "2026-01-02"),
        (By.MODEL, "ideogram-4-5"),
        (By.PROJECT, "default"),
        (By.CAMPAIGN, "spring"),
        (By.TAG, "red"),
    ],
)
async def test_jobs_with_placeholders_are_counted_where_they_belong(database, by, name):
    """On the day on which they got one, whether anything was bought or not."""
    async with database.write() as connection:
        await add_job(
            connection,
            state=JobState.HELD,
            request={"prompt": "x", "model": "ideogram-4-5"},
            metadata={"campaign": "spring"},
            tags=["red"],
            placeholder_served=DAY + DAY_MS + 5,
        )
    rows, total = await lines(database, by)

    assert rows == {name: Sums(placeholders=1)}
    assert total == Sums(placeholders=1)


async def test_money_of_jobs_that_were_forgotten_is_still_there(database):
    """Attempts are kept for longer than jobs."""
    await line(database, JobState.COMPLETED, AttemptState.BOUGHT, kept=[3], cost_micros=5)
    async with database.write() as connection:
        await connection.execute(sa.delete(job_rows))
    rows, _ = await lines(database, By.DAY)

    assert rows == {"2026-01-01": Sums(spent=5, kept=3, filtered=2, images=1)}


async def now_of(database):
    async with database.read() as connection:
        return (await connection.execute(sa.select(balance.now_ms()))).scalar_one()


async def test_the_balance_is_what_was_stated_minus_what_was_spent_since(database):
    """Bought, written off and uncertain; what was sent before is in the statement already."""
    async with database.read() as connection:
        assert await balance.estimated_or_none(connection, UP) is None
    now = await now_of(database)
    earlier = {"at": now - 60_000, "sending_at": now - 60_000}
    await line(database, JobState.COMPLETED, AttemptState.BOUGHT, cost_micros=500, **earlier)
    async with database.write() as connection:
        await balance.state_balance(connection, UP, 1_000, who="a test")
    later = {"at": now - 1_000, "sending_at": now + 60_000}
    await line(database, JobState.COMPLETED, AttemptState.BOUGHT, cost_micros=100, **later)
    await line(database, JobState.FAILED, AttemptState.WRITTEN_OFF, cost_micros=20, **later)
    await line(database, JobState.UNCERTAIN, AttemptState.UNCERTAIN, reserved_micros=3, **later)
    await line(database, JobState.RUNNING, AttemptState.ACCEPTED, reserved_micros=400, **later)
    async with database.write() as connection:
        await balance.add_topup(connection, UP, 50, who="a test")
        found = await balance.estimated_or_none(connection, UP)

    assert (found.stated_micros, found.spent_micros, found.estimated_micros) == (1_050, 123, 927)


async def test_a_topup_of_an_unknown_balance_leaves_it_unknown(database):
    """Money was added to nobody knows what."""
    async with database.write() as connection:
        await balance.add_topup(connection, UP, 50, who="a test")
        assert await balance.estimated_or_none(connection, UP) is None


async def spend(database, *amounts, state=AttemptState.BOUGHT):
    """(hours ago, micros)"""
    now = await now_of(database)
    for hours, micros in amounts:
        job = JobState.UNCERTAIN if state is AttemptState.UNCERTAIN else JobState.COMPLETED
        await line(
            database,
            job,
            state,
            at=now - int(hours * HOUR),
            cost_micros=micros if state is AttemptState.BOUGHT else None,
            reserved_micros=micros,
        )


async def rate(database):
    async with database.read() as connection:
        return await anomaly.rate(connection, UP)


async def test_the_usual_hour_is_the_mean_of_those_with_spending(database):
    """Of the seven days before the last hour; older ones do not count."""
    await spend(database, (0.5, 90), (26.5, 10), (26.6, 10), (50.5, 40), (169.5, 10**6))
    found = await rate(database)

    assert (found.last_hour_micros, found.usual_micros) == (90, 30)
    assert found.is_unusual(factor=3.0, minimum_micros=90)
    assert not found.is_unusual(factor=3.1, minimum_micros=1)
    assert not found.is_unusual(factor=3.0, minimum_micros=91)


async def test_with_less_than_a_day_of_history_nothing_is_usual(database):
    """A first busy afternoon is no alarm."""
    await spend(database, (0.5, 10**9), (23.5, 1))
    found = await rate(database)

    assert found.usual_micros is None
    assert not found.is_unusual(factor=3.0, minimum_micros=1)


async def test_unusual_spending_is_told_once_an_hour(database):
    """What is uncertain counts as well."""
    await spend(database, (30.5, 10))
    await spend(database, (0.2, 30), state=AttemptState.UNCERTAIN)
    for expected in (True, False):
        async with database.write() as connection:
            assert expected is await anomaly.tell_unusual(connection, UP, factor=3.0, minimum_micros=30)
    async with database.read() as connection:
        row = (await connection.execute(sa.select(notices))).one()

    assert (row.kind, row.severity) == ("spend.anomaly", "P3")
    assert "$0.00003 in the last hour, usually $0.00001" in row.text


async def test_usual_spending_is_not_told(database):
    """Nor is none."""
    async with database.write() as connection:
        assert not await anomaly.tell_unusual(connection, UP, factor=3.0, minimum_micros=1)


async def test_an_open_attempt_of_a_job_that_has_ended_is_found(database):
    """Its money would stay set aside for ever."""
    job_id, attempt_id = await pair(database, JobState.FAILED, AttemptState.ACCEPTED)
    await pair(database, JobState.COMPLETED, AttemptState.BOUGHT, slot=None)
    await pair(database, JobState.UNCERTAIN, AttemptState.UNCERTAIN, slot=None)
    async with database.read() as connection:
        [found] = await books.check(connection, UP)

    assert found.subject == attempt_id
    assert f"attempt {attempt_id} is accepted and its job {job_id} has ended failed" in found.text
