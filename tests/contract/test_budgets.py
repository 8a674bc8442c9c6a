"""Budgets: what they allow is exact, on SQLite and on Postgres, whatever is in flight when they are set."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.support.buying import buy, wanted

from pressroom.app.money import set_default_cap
from pressroom.errors import InvalidRequest
from pressroom.settings import Settings
from pressroom.spend import attempts
from pressroom.spend.attempts import AttemptState
from pressroom.spend.budgets import OverBudget, set_aside
from pressroom.spend.caps import all_budgets
from pressroom.spend.ledger import check_counters
from pressroom.spend.scopes import BudgetName
from pressroom.spend.setting import set_budget
from pressroom.spend.tables import attempts as attempt_rows
from pressroom.spend.tables import counters

UP = "emulator"
PRICE = 100_000


def name(words, upstream=UP):
    return BudgetName.parse(upstream, words)


async def cap(database, words, micros, **options):
    async with database.write() as connection:
        return await set_budget(connection, name(words), micros, who="a test", **options)


async def bought(database, *asked, **options):
    async with database.write() as connection:
        return await buy(connection, asked, **options)


async def step(database, attempt_id, *states, **facts):
    async with database.write() as connection:
        for state in states:
            last = await attempts.transition(
                connection, attempt_id, state, **(facts if state is states[-1] else {})
            )
    return last


async def usage(database, words):
    """(spent, reserved, left)"""
    async with database.read() as connection:
        assert await check_counters(connection, UP) == []
        [one] = [one for one in await all_budgets(connection, UP) if one.name.words == words]
    return one.settled_micros, one.reserved_micros, one.left_micros


async def test_without_a_budget_nothing_is_counted(database):
    """And nothing is refused."""
    async with database.write() as connection:
        assert await set_aside(connection, [wanted(PRICE), wanted(10**12)]) == [(), ()]
        assert (await connection.execute(sa.select(counters))).all() == []


async def test_nothing_wanted_is_nothing_set_aside(database):
    """A dispatch may find that nothing is to be bought."""
    async with database.write() as connection:
        assert await set_aside(connection, []) == []


async def test_a_cap_is_used_to_its_last_millionth_and_not_beyond(database):
    """Seven fit, the eighth does not; a smaller one still does."""
    await cap(database, "day", 7 * PRICE + 5)
    answers = await bought(database, *[wanted(PRICE)] * 9)

    assert [isinstance(answer, OverBudget) for answer in answers] == [False] * 7 + [True] * 2
    [last] = await bought(database, wanted(5))
    assert not isinstance(last, OverBudget)
    assert await usage(database, "day") == (0, 7 * PRICE + 5, 0)
    [over] = await bought(database, wanted(1))
    assert (name("day").id, 1) == (over.budget_id, over.needs_micros)


async def test_a_batch_that_fits_goes_whole(database):
    """Jobs of several projects, each under its own budget too."""
    await cap(database, "day", 10 * PRICE)
    await cap(database, "project:shop", 2 * PRICE)
    await cap(database, "project:blog", 2 * PRICE)
    await bought(database, wanted(PRICE))  # the day has its row now
    answers = await bought(
        database,
        wanted(PRICE, project="shop"),
        wanted(PRICE, project="blog"),
        wanted(PRICE, project="shop"),
    )

    assert all(isinstance(answer, str) for answer in answers)
    assert await usage(database, "day") == (0, 4 * PRICE, 6 * PRICE)
    assert await usage(database, "project:shop") == (0, 2 * PRICE, 0)
    assert await usage(database, "project:blog") == (0, PRICE, PRICE)


async def test_a_job_gets_all_of_its_money_or_none(database):
    """One that its campaign refuses takes nothing from the day, the project or the total."""
    for words, micros in (("day", 3), ("project:shop", 3), ("campaign:spring", 1), ("total", 3)):
        await cap(database, words, micros * PRICE)
    shop = {"project": "shop"}
    first, second, third = await bought(
        database,
        wanted(PRICE, campaign="spring", **shop),
        wanted(PRICE, campaign="spring", **shop),
        wanted(PRICE, **shop),
    )

    assert isinstance(first, str)
    assert isinstance(third, str)
    assert name("campaign:spring").id == second.budget_id
    for words in ("day", "project:shop", "total"):
        assert await usage(database, words) == (0, 2 * PRICE, PRICE)


async def test_the_first_scope_that_refuses_is_named_with_what_to_do(database):
    """Day before project before campaign before key before total before backfill."""
    words = ["backfill", "total", "key:0123456789ab", "campaign:spring", "project:default", "day"]
    asked = wanted(PRICE, campaign="spring", backfill=True)
    for one in words:
        await cap(database, one, PRICE - 1)
        [over] = await bought(database, asked)
        assert name(one).id == over.budget_id
        assert f"budget {one} has $0.099999 left of $0.099999 and this needs $0.10" in over.message
        assert f"`pressroom spend budget {one} AMOUNT`" in over.message
    assert "00:00 UTC" in over.message


async def test_only_what_replaces_placeholders_pays_from_backfill(database):
    """Other purchases do not know that budget."""
    await cap(database, "backfill", PRICE)
    answers = await bought(
        database, wanted(PRICE), wanted(PRICE, backfill=True), wanted(PRICE, backfill=True)
    )

    assert [str, str, OverBudget] == [type(answer) for answer in answers]
    assert await usage(database, "backfill") == (0, PRICE, 0)


async def test_upstreams_do_not_share_a_budget(database):
    """The emulator's pictures do not use up the vendor's money."""
    await cap(database, "day", PRICE)
    [other] = await bought(database, wanted(PRICE * 50, upstream="api.ideogram.ai"))

    assert isinstance(other, str)
    assert await usage(database, "day") == (0, 0, PRICE)


@pytest.mark.parametrize(
    ("states", "facts", "spent"),
    [
        (("sending", "bought"), {"cost_micros": 41_000}, 41_000),
        (("sending", "bought"), {"cost_micros": 250_000}, 250_000),
        (("sending", "bought"), {}, 60_000),
        (("sending", "accepted", "bought"), {}, 60_000),
        (("unsold",), {}, 0),
        (("sending", "uncertain", "written_off"), {}, 60_000),
        (("sending", "uncertain", "bought"), {"cost_micros": 1}, 1),
    ],
)
async def test_a_settlement_replaces_the_reservation_by_the_cost(database, states, facts, spent):
    """On every counter it stands on: the vendor's own figure, else what was expected."""
    await cap(database, "day", 4 * PRICE)
    await cap(database, "total", 4 * PRICE)
    [attempt_id] = await bought(database, wanted(PRICE), expected=60_000)
    assert await step(database, attempt_id, *map(AttemptState, states), **facts)

    for words in ("day", "total"):
        assert (spent, 0, 4 * PRICE - spent) == await usage(database, words)


async def test_an_uncertain_purchase_stays_reserved(database):
    """It may have been paid for."""
    await cap(database, "day", PRICE)
    [attempt_id] = await bought(database, wanted(PRICE))
    await step(database, attempt_id, AttemptState.SENDING, AttemptState.UNCERTAIN)

    assert await usage(database, "day") == (0, PRICE, 0)


async def test_a_settlement_is_counted_once(database):
    """A run that repeats its transaction, and one that was overtaken, change nothing."""
    await cap(database, "day", 2 * PRICE)
    [attempt_id] = await bought(database, wanted(PRICE))
    assert await step(database, attempt_id, AttemptState.SENDING, AttemptState.BOUGHT, cost_micros=5)

    assert not await step(database, attempt_id, AttemptState.BOUGHT, cost_micros=5)
    assert not await step(database, attempt_id, AttemptState.UNSOLD)
    assert await usage(database, "day") == (5, 0, 2 * PRICE - 5)


async def test_what_is_rolled_back_was_never_set_aside(database):
    """As when a worker dies in the middle of a dispatch."""
    await cap(database, "day", PRICE)

    async def dies():
        async with database.write() as connection:
            await buy(connection, [wanted(PRICE)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await dies()

    assert await usage(database, "day") == (0, 0, PRICE)


async def yesterday(database):
    """What was counted today was counted yesterday."""
    async with database.write() as connection:
        for row in (await connection.execute(sa.select(counters))).all():
            if row.period != "ever":
                await connection.execute(
                    sa.update(counters)
                    .where(counters.c.id == row.id)
                    .values(id=f"{row.budget_id}@2026-01-01", period="2026-01-01")
                )
        for row in (await connection.execute(sa.select(attempt_rows))).all():
            named = [one if one.endswith("@ever") else f"{one[:-10]}2026-01-01" for one in row.counters]
            await connection.execute(
                sa.update(attempt_rows)
                .where(attempt_rows.c.id == row.id)
                .values(counters=named, created_at=1_767_225_600_000)
            )


async def test_a_new_day_has_its_own_money(database):
    """What is settled late goes to the day on which it was reserved."""
    await cap(database, "day", PRICE)
    [late] = await bought(database, wanted(PRICE))
    await yesterday(database)
    [fresh] = await bought(database, wanted(PRICE))

    assert isinstance(fresh, str)
    await step(database, late, AttemptState.SENDING, AttemptState.BOUGHT, cost_micros=7)
    assert await usage(database, "day") == (0, PRICE, 0)
    async with database.read() as connection:
        settled = await connection.execute(
            sa.select(counters.c.settled_micros).where(counters.c.period == "2026-01-01")
        )
        assert settled.scalar_one() == 7


@pytest.mark.parametrize(
    ("words", "spent", "reserved"),
    [
        ("day", 35, 3_000),
        ("project:shop", 35, 2_000),
        ("campaign:spring", 5, 1_000),
        ("key:ffff00000000", 30, 1_000),
        ("total", 35, 3_000),
        ("backfill", 0, 0),
    ],
)
async def test_a_budget_set_in_flight_begins_with_what_there_is(database, words, spent, reserved):
    """Spent, under way and uncertain of its own scope count at once, and what is settled later lands there."""
    shop = {"project": "shop"}
    done = await bought(
        database,
        wanted(1_000, campaign="spring", **shop),
        wanted(1_000, key_fingerprint="ffff00000000", **shop),
        wanted(1_000),
    )
    for attempt_id, micros in zip(done, (5, 30), strict=False):
        await step(database, attempt_id, AttemptState.SENDING, AttemptState.BOUGHT, cost_micros=micros)
    await step(database, done[2], AttemptState.UNSOLD)
    under_way = await bought(
        database,
        wanted(1_000, campaign="spring", **shop),
        wanted(1_000, key_fingerprint="ffff00000000", **shop),
        wanted(1_000),
    )
    await step(database, under_way[0], AttemptState.SENDING, AttemptState.UNCERTAIN)

    await cap(database, words, 10_000)
    assert (spent, reserved, 10_000 - spent - reserved) == await usage(database, words)
    for attempt_id in under_way:
        await step(database, attempt_id, AttemptState.UNSOLD)
    assert (spent, 0, 10_000 - spent) == await usage(database, words)


async def test_an_unlimited_budget_counts_nothing_and_a_later_cap_counts_all(database):
    """`none` is remembered; what was bought meanwhile is part of the next cap."""
    await cap(database, "day", PRICE)
    [before] = await bought(database, wanted(PRICE))
    await cap(database, "day", None)
    meanwhile = await bought(database, *[wanted(PRICE)] * 3)
    await step(database, meanwhile[0], AttemptState.SENDING, AttemptState.BOUGHT, cost_micros=9)
    await cap(database, "day", 4 * PRICE)

    assert await usage(database, "day") == (9, 3 * PRICE, PRICE - 9)
    await step(database, before, AttemptState.UNSOLD)
    assert await usage(database, "day") == (9, 2 * PRICE, 2 * PRICE - 9)


async def test_a_changed_cap_holds_at_once(database):
    """Raised, it has room; lowered below what is used, it refuses until that is less."""
    await cap(database, "total", PRICE)
    [first] = await bought(database, wanted(PRICE))
    await cap(database, "total", 2 * PRICE)
    [second] = await bought(database, wanted(PRICE))
    assert isinstance(second, str)
    await cap(database, "total", PRICE)
    assert await usage(database, "total") == (0, 2 * PRICE, -PRICE)

    await step(database, first, AttemptState.UNSOLD)
    [refused] = await bought(database, wanted(1))
    assert isinstance(refused, OverBudget)
    assert "$0 left" in refused.message


async def test_a_cap_of_nothing_buys_nothing(database):
    """A way to stop spending."""
    await cap(database, "day", 0)
    [refused] = await bought(database, wanted(1))

    assert isinstance(refused, OverBudget)


async def test_a_real_key_gets_a_daily_cap_and_a_person_decides_about_it(database):
    """Set once by pressroom; another cap, or none, is not overwritten by a later start."""
    real = Settings.load(ideogram_api_key="key-of-tests")
    vendor = "api.ideogram.ai"
    assert await set_default_cap(database, real, vendor)
    assert not await set_default_cap(database, real, vendor)
    async with database.write() as connection:
        [made] = await all_budgets(connection, vendor)
        assert (made.cap_micros, made.set_by) == (25_000_000, "pressroom")
        await set_budget(connection, name("day", vendor), None, who="a test")
    assert not await set_default_cap(database, real, vendor)
    async with database.read() as connection:
        [kept] = await all_budgets(connection, vendor)

    assert (kept.cap_micros, kept.left_micros) == (None, None)


@pytest.mark.parametrize(
    "values",
    [{}, {"ideogram_base_url": "http://127.0.0.1:8787"}, {"ideogram_base_url": "http://[::1]:8787"}],
    ids=["embedded", "loopback", "loopback, IPv6"],
)
async def test_play_money_has_no_cap(database, values):
    """Neither the embedded emulator's nor that of one on this machine."""
    played = Settings.load(**values, **({"ideogram_api_key": "any"} if values else {}))

    assert not await set_default_cap(database, played, "upstream")


@pytest.mark.parametrize(
    "words",
    ["", "week", "day:x", "project", "project:", "project: ", "key:" + "x" * 201, "project:a\nb", "Day"],
)
def test_a_scope_that_is_none_is_refused(words):
    """With what would be one."""
    with pytest.raises(InvalidRequest):
        BudgetName.parse(UP, words)


@pytest.mark.parametrize("subject", ["shop", "a:b", "a|b@ever", "ümläut", "it's", "x" * 200])
async def test_a_project_may_have_any_name_that_admission_takes(database, subject):
    """Names that look like our ids among them."""
    await cap(database, f"project:{subject}", PRICE)
    answers = await bought(database, *[wanted(PRICE, project=subject)] * 2, wanted(PRICE, project="shop2"))

    assert [str, OverBudget, str] == [type(answer) for answer in answers]
    assert await usage(database, f"project:{subject}") == (0, PRICE, 0)


async def test_the_check_tells_what_differs(database):
    """A counter that was changed by hand, one that is below zero, and one that is gone."""
    await cap(database, "day", PRICE)
    await cap(database, "total", PRICE)
    await bought(database, wanted(PRICE))
    async with database.write() as connection:
        await connection.execute(
            sa.update(counters)
            .where(counters.c.period == "ever")
            .values(reserved_micros=-1, settled_micros=3)
        )
        await connection.execute(sa.delete(counters).where(counters.c.period != "ever"))
    async with database.read() as connection:
        told = [one.text for one in await check_counters(connection, UP)]

    assert len(told) == 4
    assert "which is not there" in told[0]
    assert "reserved is -$0.000001 and the attempts sum up to $0.10" in told[1]
    assert "below zero" in told[2]
    assert "spent is $0.000003 and the attempts sum up to $0" in told[3]
