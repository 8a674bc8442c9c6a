"""What an app offers about money, on SQLite and on Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import typer
from tests.support.rows import add_job, pair

from pressroom import audit
from pressroom.app import open_app
from pressroom.app.money_chores import MoneyChores
from pressroom.cli.spend import moment_of
from pressroom.errors import InvalidRequest
from pressroom.fleet import stops
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.spend.attempts import AttemptState
from pressroom.spend.scopes import BudgetName
from pressroom.spend.setting import set_budget

NOW = datetime.now(UTC)


@pytest.fixture
async def app(base_settings):
    async with open_app(base_settings) as opened:
        yield opened


async def test_a_budget_is_set_listed_and_audited(app):
    """With who, why, and what it was before."""
    assert await app.budgets() == []
    await app.set_budget("total", 100)
    made = await app.set_budget("day", Decimal("0.5"), who="anybody", reason="a quiet day")
    await app.set_budget("day", None)

    assert (made.cap_micros, made.left_micros, made.set_by) == (500_000, 500_000, "anybody")
    assert [one.name.words for one in await app.budgets()] == ["day", "total"]
    async with app.database.read() as connection:
        entries = await audit.newest(connection, app.upstream, limit=9)
    assert [(one.action, one.subject, one.before, one.after) for one in entries] == [
        ("budget.set", "day", "$0.50", "none"),
        ("budget.set", "day", None, "$0.50"),
        ("budget.set", "total", None, "$100"),
    ]
    assert (entries[1].who, entries[1].reason) == ("anybody", "a quiet day")
    assert entries[0].who == audit.person()


async def test_a_raised_budget_lets_its_jobs_go_on_at_once(app):
    """Nobody has to wait for the maintenance loop."""
    await app.set_budget("day", 0)
    async with app.database.write() as connection:
        job_id = await add_job(
            connection,
            state=JobState.HELD,
            reason=HeldFor.BUDGET,
            budget=BudgetName.parse(app.upstream, "day").id,
            needs_micros=60_000,
        )
    await app.set_budget("day", "0.05")
    assert (await app.job(job_id)).state is JobState.HELD
    await app.set_budget("day", "0.06")
    assert (await app.job(job_id)).state is JobState.QUEUED


async def test_the_maintenance_loop_lets_them_go_on_too(app, base_settings):
    """As on a new day, which nobody orders."""
    name = BudgetName.parse(app.upstream, "day")
    async with app.database.write() as connection:
        await set_budget(connection, name, 60_000, who="a test")
        job_id = await add_job(
            connection, state=JobState.HELD, reason=HeldFor.BUDGET, budget=name.id, needs_micros=60_000
        )
    chores = MoneyChores(app.database, base_settings, app.upstream)
    for chore in (
        chores.tell_nearly_used,
        chores.tell_unusual,
        chores.deliver_notices,
        chores.forget_notices,
        chores.release,
    ):
        await chore()

    assert (await app.job(job_id)).state is JobState.QUEUED


async def test_a_topup_lets_purchases_begin_again(app):
    """By its amount or by the balance; a balance of nothing does not."""

    async def stopped():
        async with app.database.write() as connection:
            await stops.stop(
                connection, app.upstream, stops.CREDITS, trial_in_s=300, message="no credit left"
            )

    async def standing():
        async with app.database.read() as connection:
            return [one.cause for one in await stops.all_stops(connection, app.upstream)]

    await stopped()
    assert (await app.topup(balance_usd=0)).estimated_micros == 0
    assert await standing() == ["credits"]
    assert (await app.topup("7.5")).estimated_micros == 7_500_000
    assert await standing() == []
    await stopped()
    assert (await app.topup(balance_usd="3")).estimated_micros == 3_000_000
    assert await standing() == []
    assert (await app.estimated_balance()).stated_micros == 3_000_000


async def test_a_topup_of_a_balance_that_nobody_stated_leaves_it_unknown(app):
    """It is an estimate of something only once that is stated."""
    assert await app.topup(5) is None


async def test_the_report_says_where_the_money_went(app):
    """By default the last 30 days, by day."""
    await pair(app.database, JobState.COMPLETED, AttemptState.BOUGHT, slot=None, cost_micros=5)
    report = await app.spend_report()
    shown = report.to_json()

    assert list(report.rows) == [NOW.date().isoformat()]
    assert (shown["total"]["spent_usd"], shown["balance"]) == (0.000005, None)
    assert shown["rate"] == {"last_hour_usd": 0.000005, "usual_hour_usd": None, "unusual": False}
    assert report.until - report.since == timedelta(days=30) // timedelta(milliseconds=1)
    assert (await app.spend_report(until=NOW - timedelta(days=1))).rows == {}
    assert await app.spend_check() == []


@pytest.mark.parametrize(
    "values",
    [
        {"by": "colour"},
        {"since": NOW, "until": NOW},
        {"since": NOW + timedelta(days=1)},
        {"since": NOW.replace(tzinfo=None)},
        {"until": NOW.replace(tzinfo=None)},
    ],
)
async def test_a_report_of_nothing_sensible_is_refused(app, values):
    """Unknown lines, no time at all, moments without a zone."""
    with pytest.raises(InvalidRequest):
        await app.spend_report(**values)


@pytest.mark.parametrize(
    "values", [{}, {"amount": 1, "balance_usd": 1}, {"amount": "-1"}, {"balance_usd": "a lot"}]
)
async def test_a_topup_of_nothing_sensible_is_refused(app, values):
    """And nothing is written."""
    with pytest.raises(InvalidRequest):
        await app.topup(**values)
    async with app.database.read() as connection:
        assert await audit.newest(connection, app.upstream, limit=1) == []


def test_moments_are_read_as_people_write_them():
    """A day is a UTC day; so long ago; a time needs its zone."""
    assert moment_of(None, "--since") is None
    assert moment_of("2026-11-20", "--since") == datetime(2026, 11, 20, tzinfo=UTC)
    assert moment_of("2026-11-20T08:00+01:00", "--since") == datetime(2026, 11, 20, 7, tzinfo=UTC)
    before = datetime.now(UTC)
    assert before <= moment_of("7d", "--since") + timedelta(days=7) <= datetime.now(UTC)
    for wrong in ("yesterday", "2026-11-20T08:00", "2026-13-01", "-7d"):
        with pytest.raises(typer.BadParameter):
            moment_of(wrong, "--since")
