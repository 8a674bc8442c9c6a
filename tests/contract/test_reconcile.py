"""Our attempts beside the vendor's usage report, on both databases, with an emulator that tells from its own books."""

from __future__ import annotations

import json
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.emulator import emulator_thread
from tests.support.rows import add_attempt, add_job

from pressroom.app import open_app
from pressroom.cli import cli
from pressroom.errors import InvalidRequest, RequestRefused
from pressroom.ideogram import Usage, UsageBucket, UsageItem
from pressroom.settings import Settings
from pressroom.spend.attempts import AttemptState
from pressroom.spend.reconcile import reconcile
from pressroom.spend.reconciliation import Verdict
from pressroom.spend.tables import attempts

HOUR_MS = 3_600_000
AGO_H = 5
"""Hours ago that tests let things happen in: long past every lag, and within the default window."""


@dataclass
class Told:
    """A usage report as a test wants it; notes what was asked for."""

    by_hour: dict[int, int]
    now_ms: int
    currency: str = "USD"
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    async def usage(self, start: datetime, end: datetime, **_: Any) -> Usage:
        self.asked.append((start, end))
        buckets = []
        for hours_ago, micros in self.by_hour.items():
            hour = self.now_ms // HOUR_MS - hours_ago
            opens = datetime.fromtimestamp(hour * 3600, UTC)
            if start <= opens < end:
                item = UsageItem("p", "e", "d", "api", micros, self.currency)
                buckets.append(UsageBucket(opens, opens + timedelta(hours=1), (item,)))
        return Usage(tuple(buckets))


class Books:
    """Attempts that were sent so many hours ago, in the middle of an hour unless a test says otherwise."""

    def __init__(self, database, now_ms):
        self.database = database
        self.now_ms = now_ms

    async def sent(self, state, micros, *, hours_ago=AGO_H, minute=30.0, took_s=5.0):
        sent = (self.now_ms // HOUR_MS - hours_ago) * HOUR_MS + int(minute * 60_000)
        settled = state in {AttemptState.BOUGHT, AttemptState.WRITTEN_OFF}
        async with self.database.write() as connection:
            job = await add_job(connection)
            await add_attempt(
                connection,
                job,
                state=state,
                slot=None,
                created_at=sent - 50,
                sending_at=sent,
                ended_at=sent + int(took_s * 1000) if settled else None,
                cost_micros=micros if settled else None,
                reserved_micros=micros,
                expected_micros=micros,
            )
        return job

    async def compare(self, by_hour, **options):
        told = Told(by_hour, self.now_ms, **options.pop("told", {}))
        return await reconcile(self.database, told, "emulator", **options)


@pytest.fixture
async def books(database):
    async with database.read() as connection:
        from pressroom.database import now_ms

        return Books(database, (await connection.execute(sa.select(now_ms()))).scalar_one())


async def test_equal_sums_agree(books):
    """To the micro-dollar, over whole hours; unsold attempts do not count."""
    await books.sent(AttemptState.BOUGHT, 60_000)
    await books.sent(AttemptState.BOUGHT, 1)
    await books.sent(AttemptState.UNSOLD, 7)
    found = await books.compare({AGO_H: 60_001})
    assert found.total.verdict is Verdict.AGREES
    [hour] = [one for one in found.hours if one.vendor_micros]
    assert (hour.bought_micros, hour.difference_micros) == (60_001, 0)
    assert {one.verdict for one in found.hours} <= {Verdict.AGREES, Verdict.TOO_FRESH}


@pytest.mark.parametrize(
    ("billed", "verdict"), [(60_001, Verdict.VENDOR_HAS_MORE), (59_999, Verdict.WE_HAVE_MORE)]
)
async def test_a_micro_dollar_is_a_difference(books, billed, verdict):
    """The hour and the whole window say so."""
    await books.sent(AttemptState.BOUGHT, 60_000)
    found = await books.compare({AGO_H: billed})
    assert (found.total.verdict, found.total.difference_micros) == (verdict, billed - 60_000)
    assert [one.verdict for one in found.hours].count(verdict) == 1


async def test_hours_that_differ_are_not_hidden_by_a_sum_that_agrees(books):
    """One hour too much and another too little."""
    await books.sent(AttemptState.BOUGHT, 60_000, hours_ago=9)
    await books.sent(AttemptState.BOUGHT, 60_000, hours_ago=5)
    found = await books.compare({9: 120_000})
    assert found.total.difference_micros == 0
    assert found.total.verdict in {Verdict.VENDOR_HAS_MORE, Verdict.WE_HAVE_MORE}


async def test_what_ran_over_a_full_hour_may_be_billed_in_either(books):
    """The vendor does not publish when it counts a purchase, and clocks differ."""
    await books.sent(AttemptState.BOUGHT, 60_000, minute=59.9, took_s=30.0)
    assert (await books.compare({AGO_H: 60_000})).total.verdict is Verdict.AGREES
    assert (await books.compare({AGO_H - 1: 60_000})).total.verdict is Verdict.AGREES
    assert (await books.compare({AGO_H - 2: 60_000})).total.verdict is not Verdict.AGREES
    assert (await books.compare({AGO_H: 60_000, AGO_H - 1: 60_000})).total.verdict is Verdict.VENDOR_HAS_MORE


async def test_written_off_purchases_agree_either_way(books):
    """They count as spent here; whether the vendor billed them was never known."""
    await books.sent(AttemptState.WRITTEN_OFF, 60_000)
    for billed in (0, 60_000):
        found = await books.compare({AGO_H: billed})
        assert (found.total.verdict, found.total.written_off_micros) == (Verdict.AGREES, 60_000)
    assert (await books.compare({AGO_H: 60_001})).total.verdict is Verdict.VENDOR_HAS_MORE


async def test_the_report_is_evidence_beside_uncertain_jobs_and_settles_nothing(books):
    """Nothing beyond what is known: not billed. Enough for all uncertain ones of the hour: billed. Else nobody can tell."""
    await books.sent(AttemptState.BOUGHT, 10_000)
    jobs = [await books.sent(AttemptState.UNCERTAIN, 60_000) for _ in range(2)]
    for surplus, suggests, verdict in [
        (0, "not billed", Verdict.AGREES),
        (60_000, "cannot tell", Verdict.VENDOR_HAS_MORE),
        (120_000, "billed", Verdict.VENDOR_HAS_MORE),
    ]:
        found = await books.compare({AGO_H: 10_000 + surplus})
        assert {(one.job_id, one.suggests) for one in found.uncertain} == {(job, suggests) for job in jobs}
        assert (found.total.verdict, found.total.uncertain_micros) == (verdict, 120_000)
    async with books.database.read() as connection:
        states = (await connection.execute(sa.select(attempts.c.state))).scalars().all()
    assert states.count(AttemptState.UNCERTAIN) == 2


async def test_hours_that_the_report_may_not_know_yet_are_not_judged(books):
    """A window of fresh hours only cannot be told."""
    await books.sent(AttemptState.BOUGHT, 60_000, hours_ago=0, minute=0.0)
    now = datetime.fromtimestamp(books.now_ms / 1000, UTC)
    found = await books.compare({}, since=now - timedelta(minutes=1))
    assert found.total.verdict is Verdict.TOO_FRESH
    assert {hour.verdict for hour in found.hours} == {Verdict.TOO_FRESH}
    older = await books.compare({})
    assert older.total.verdict is Verdict.CANNOT_TELL
    assert older.hours[-1].verdict is Verdict.TOO_FRESH


async def test_a_long_window_takes_several_reports(books):
    """One report by the hour spans a week at most; together they cover the window once."""
    await books.sent(AttemptState.BOUGHT, 5, hours_ago=24 * 15)
    now = datetime.fromtimestamp(books.now_ms / 1000, UTC)
    told = Told({24 * 15: 5}, books.now_ms)
    found = await reconcile(books.database, told, "emulator", since=now - timedelta(days=16))
    assert (found.total.verdict, found.total.vendor_micros) == (Verdict.AGREES, 5)
    assert all(end - start <= timedelta(hours=168) for start, end in told.asked)
    assert [end for _, end in told.asked[:-1]] == [start for start, _ in told.asked[1:]]


async def test_another_currency_cannot_be_compared(books):
    """Nothing is converted."""
    found = await books.compare({AGO_H: 60_000}, told={"currency": "EUR"})
    assert (found.total.verdict, found.other_currencies) == (Verdict.CANNOT_TELL, ["EUR"])


@pytest.mark.parametrize(
    "window",
    [
        {"since": datetime(2026, 11, 20, 8)},  # noqa: DTZ001 - that is the mistake
        {"since": datetime(2026, 11, 20, 8, tzinfo=UTC), "until": datetime(2026, 11, 20, 8, tzinfo=UTC)},
        {"since": datetime(2999, 1, 1, tzinfo=UTC)},
        {"since": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
async def test_a_window_that_makes_no_sense_is_refused(books, window):
    """No zone, empty, in the future, too long."""
    with pytest.raises(InvalidRequest):
        await books.compare({}, **window)


@pytest.fixture
def vendor(tmp_path):
    with emulator_thread(tmp_path / "books.sqlite", time_scale=0) as emulator:
        yield emulator


@asynccontextmanager
async def opened(base_settings, vendor):
    values = {name: getattr(base_settings, name) for name in ("home", "database_url")}
    settings = Settings.load(**values, ideogram_base_url=vendor.base_url, ideogram_api_key="a-key-of-tests")
    async with open_app(settings) as app:
        yield app


async def _a_few_hours_later(app, emulator_books: Path):
    """Move everything that has happened so far into the past, in both books."""
    async with app.database.write() as connection:
        shifted = {
            name: attempts.c[name] - AGO_H * HOUR_MS for name in ("created_at", "sending_at", "ended_at")
        }
        await connection.execute(sa.update(attempts).values(shifted))
    with closing(sqlite3.connect(emulator_books)) as connection:
        connection.execute(f"UPDATE generation SET accepted_at = accepted_at - {AGO_H * 3600}")
        connection.commit()


async def test_purchases_of_a_real_worker_agree_with_the_vendors_report(base_settings, vendor, tmp_path):
    """And a purchase that somebody else made with the account does not."""
    async with opened(base_settings, vendor) as app:
        for number in range(3):
            await app.generate(f"a paper boat {number}", seed=number, deadline_s=60)
        assert (await app.reconcile()).total.verdict in {Verdict.CANNOT_TELL, Verdict.AGREES}
        await _a_few_hours_later(app, tmp_path / "books.sqlite")
        found = await app.reconcile()
        assert (found.total.verdict, found.total.vendor_micros > 0) == (Verdict.AGREES, True)
        assert found.total.vendor_micros == found.total.bought_micros

        client = await app.client()
        await client.generate("somebody else's boat")
        with closing(sqlite3.connect(tmp_path / "books.sqlite")) as connection:
            connection.execute(
                f"UPDATE generation SET accepted_at = accepted_at - {AGO_H * 3600} WHERE seq = 4"
            )
            connection.commit()
        assert (await app.reconcile()).total.verdict is Verdict.VENDOR_HAS_MORE


async def test_a_key_that_may_not_read_the_report_is_told_so(base_settings, vendor):
    """The command cannot tell then, and exits 4."""
    vendor.control.settings(admin=False)
    async with opened(base_settings, vendor) as app:
        with pytest.raises(RequestRefused, match="administers"):
            await app.reconcile()


@pytest.mark.parametrize(("admin", "code"), [(True, 0), (False, 4)])
def test_the_command_says_it_by_its_exit_code(sqlite_template, tmp_path, monkeypatch, vendor, admin, code):
    """0 agrees, 4 cannot tell; one JSON value for programs."""
    from typer.testing import CliRunner

    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "pressroom.sqlite").write_bytes(sqlite_template.read_bytes())
    vendor.control.settings(admin=admin)
    for name, value in {
        "PRESSROOM_HOME": str(tmp_path / "home"),
        "IDEOGRAM_BASE_URL": vendor.base_url,
        "IDEOGRAM_API_KEY": "a-key-of-tests",
    }.items():
        monkeypatch.setenv(name, value)
    ran = CliRunner().invoke(cli, ["spend", "reconcile", "--json"])
    assert (ran.exit_code, ran.exception if ran.exit_code == 1 else None) == (code, None)
    if admin:
        assert json.loads(ran.stdout)["verdict"] == "agrees"
    else:
        assert "administers" in ran.stderr
