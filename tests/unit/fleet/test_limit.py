"""The in-flight limit: what refusals teach, on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
import itertools

import pytest
import sqlalchemy as sa
from tests.support.rows import add_attempt, add_job

from pressroom.database import Database, DatabaseAddress, now_ms
from pressroom.fleet import limit
from pressroom.fleet.controls import version_of
from pressroom.fleet.limit import STATED_LIFE_S, Learned, cut_to, effective, grown
from pressroom.fleet.tables import limits
from pressroom.settings import FleetSettings, LimitSettings, Settings
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

LIMITS = LimitSettings()
MOMENT = 1_800_000_000_000


def learned(to, *, seconds_ago=0.0, **values):
    return Learned(
        **{
            "queue": "any",
            "learned": to,
            "learned_at": MOMENT - int(seconds_ago * 1000),
            "stated": None,
            "refusals": 0,
            "refused_since": None,
            **values,
        }
    )


def settings_of(*, concurrency=8, account_limit=10, **values):
    fleet = FleetSettings(concurrency=concurrency, account_limit=account_limit)
    return Settings.load(fleet=fleet, limit=LimitSettings(**values))


def test_a_fleet_that_was_never_refused_goes_by_its_settings():
    """The lower of concurrency and the account's limit; a switch takes the place of the first."""
    assert effective([], MOMENT, settings_of()) == 8
    assert effective([], MOMENT, settings_of(concurrency=50)) == 10
    assert effective([], MOMENT, settings_of(), concurrency=3) == 3
    assert effective([], MOMENT, settings_of(), concurrency=50) == 10


@pytest.mark.parametrize(("in_flight", "to"), [(8, 4.0), (7, 3.5), (2, 1.0), (1, 1.0), (0, 1.0)])
def test_a_refusal_halves_what_was_in_flight_and_leaves_one(in_flight, to):
    """Others may use the same key, so what we had was too much; without one in flight nothing would ever be learned."""
    assert to == cut_to(in_flight, LIMITS)


@pytest.mark.parametrize(
    ("seconds", "now"), [(0, 3), (2.9, 3), (3, 4), (9, 5), (27, 8), (3600, 8), (-100, 3)]
)
def test_it_grows_by_one_every_six_seconds_up_to_what_is_wanted(seconds, now):
    """A function of time alone; a clock that steps back does not lower it."""
    assert now == effective([learned(3.5, seconds_ago=seconds)], MOMENT, settings_of())


def test_from_one_to_eight_takes_less_than_a_minute():
    """Full again within 60 s of the worst there is."""
    assert effective([learned(1.0, seconds_ago=42)], MOMENT, settings_of()) == 8
    assert effective([learned(1.0, seconds_ago=54)], MOMENT, settings_of(concurrency=10)) == 10


def test_the_tightest_queue_counts():
    """Nobody can say before a request which of the vendor's queues will take it."""
    rows = [learned(6.0, queue="fast"), learned(2.0, queue="slow")]
    assert effective(rows, MOMENT, settings_of()) == 2


def test_what_the_vendor_states_is_where_growth_ends():
    """For an hour; then it is felt for again, one by one, since only a refusal would tell of a larger account."""
    row = learned(2.5, stated=5)
    for seconds, now in (
        (6, 3.5),
        (600, 5.0),
        (STATED_LIFE_S, 5.0),
        (STATED_LIFE_S + 6, 6.0),
        (86_400, 10.0),
    ):
        assert now == grown(row, MOMENT + int(seconds * 1000), LIMITS, ceiling=10)


def test_what_the_vendor_states_never_lifts_the_accounts_limit():
    """It is only reported."""
    assert effective([learned(9.0, stated=40, seconds_ago=600)], MOMENT, settings_of(concurrency=50)) == 10


async def in_flight(connection, count):
    """So many purchases on their way, in slots of their own."""
    for slot in range(count):
        job_id = await add_job(connection)
        await add_attempt(connection, job_id, state=AttemptState.SENDING, slot=slot, sending_at=now_ms())


async def refuse(connection, *, sent_ago_s=0.0, stated=None, queue=None, settings=None):
    now = (await connection.execute(sa.select(now_ms()))).scalar_one()
    return await limit.refused(
        connection,
        "emulator",
        sent_at_ms=now - int(sent_ago_s * 1000),
        stated=stated,
        queue=queue,
        settings=settings or settings_of(),
    )


async def age(connection, seconds):
    """Let time pass for what was learned."""
    passed = int(seconds * 1000)
    await connection.execute(
        sa.update(limits).values(
            learned_at=limits.c.learned_at - passed, refused_since=limits.c.refused_since - passed
        )
    )
    await connection.execute(sa.update(attempts).values(sending_at=attempts.c.sending_at - passed))


async def test_the_first_refusal_of_a_queue_makes_its_row(database):
    """Half of what was in flight, with what the vendor stated; dispatchers notice by the version."""
    async with database.write() as connection:
        await in_flight(connection, 6)
        before = await version_of(connection, "emulator")
        seen = await refuse(connection, stated=7, queue="fast")
        [row] = await limit.all_learned(connection, "emulator")

        assert seen.cut
        assert (row.queue, row.learned, row.stated, row.refusals) == ("fast", 3.0, 7, 1)
        assert await version_of(connection, "emulator") > before
        assert await limit.all_learned(connection, "api.example") == []


async def test_one_congestion_cuts_once(database):
    """Refusals of what was sent before the cut say nothing new; one of what was sent after it does."""
    async with database.write() as connection:
        await in_flight(connection, 8)
        assert (await refuse(connection, sent_ago_s=1)).cut
        for sent_ago_s in (2, 0.5, 30):
            assert not (await refuse(connection, sent_ago_s=sent_ago_s)).cut
        assert [row.learned for row in await limit.all_learned(connection, "emulator")] == [4.0]

        await age(connection, 5)
        assert (await refuse(connection, sent_ago_s=1)).cut


async def test_an_answer_without_a_number_keeps_the_one_that_was_stated(database):
    """Not every refusal says it."""
    async with database.write() as connection:
        await refuse(connection, stated=5)
        await refuse(connection)
        assert [row.stated for row in await limit.all_learned(connection, "emulator")] == [5]


async def test_sustained_is_many_in_a_row_over_a_while_and_is_said_once(database):
    """More than five, for thirty seconds; then a new row begins."""
    async with database.write() as connection:
        for number in range(1, 7):
            seen = await refuse(connection)
            assert (number, False) == (seen.in_a_row, seen.sustained)
        await age(connection, 31)
        assert (await refuse(connection)).sustained
        for number in range(1, 7):
            seen = await refuse(connection)
            assert (number, False) == (seen.in_a_row, seen.sustained)


async def test_few_refusals_over_a_long_time_are_not_sustained(database):
    """It takes both."""
    async with database.write() as connection:
        for _ in range(5):
            await age(connection, 20)
            assert not (await refuse(connection)).sustained


@pytest.mark.parametrize("state", [AttemptState.ACCEPTED, AttemptState.BOUGHT])
async def test_a_success_between_ends_the_row(database, state):
    """Anything that the vendor took after the row began; what it took before does not."""
    async with database.write() as connection:
        for _ in range(6):
            await refuse(connection)
        await age(connection, 40)
        job_id = await add_job(connection)
        attempt_id = await add_attempt(
            connection, job_id, state=state, slot=None, sending_at=now_ms() - 60_000
        )
        assert (await refuse(connection)).sustained  # sent before the row began

        for _ in range(6):
            await refuse(connection)
        await age(connection, 40)
        await connection.execute(
            sa.update(attempts).where(attempts.c.id == attempt_id).values(sending_at=now_ms() - 1_000)
        )
        seen = await refuse(connection)
        assert (seen.in_a_row, seen.sustained) == (1, False)


async def test_refusals_that_are_settled_at_the_same_time_are_all_counted(base_settings):
    """By processes of their own: none is lost, and one congestion still cuts once."""
    databases = [Database(DatabaseAddress.parse(base_settings), base_settings.database) for _ in range(3)]

    async def settle(database):
        async with database.write() as connection:
            return await refuse(connection, sent_ago_s=5)

    seen = await asyncio.gather(*[settle(one) for one in itertools.islice(itertools.cycle(databases), 12)])
    async with databases[0].read() as connection:
        [row] = await limit.all_learned(connection, "emulator")
    for database in databases:
        await database.close()
    assert row.refusals == 12
    assert sorted(one.in_a_row for one in seen) == list(range(1, 13))
    assert [one.cut for one in seen].count(True) == 1
