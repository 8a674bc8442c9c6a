"""Jobs that a budget held go on by themselves, the oldest first, as far as the room reaches."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.support.buying import buy, wanted
from tests.support.rows import add_job

from pressroom.database import now_ms
from pressroom.fleet.switches import PRESSROOM, set_switch
from pressroom.generation.jobs import HeldFor, JobState, Priority
from pressroom.generation.tables import jobs
from pressroom.generation.upkeep import budget_releases
from pressroom.generation.upkeep.budget_releases import release_within_budgets
from pressroom.spend import attempts
from pressroom.spend.attempts import AttemptState
from pressroom.spend.scopes import BudgetName
from pressroom.spend.setting import set_budget

UP = "emulator"
DAY = BudgetName.parse(UP, "day")


async def cap(database, micros, words="day"):
    async with database.write() as connection:
        await set_budget(connection, BudgetName.parse(UP, words), micros, who="a test")


async def held(database, *needs, budget=DAY.id, **columns):
    """Jobs that need so much, oldest first."""
    values = {"state": JobState.HELD, "reason": HeldFor.BUDGET, "budget": budget, **columns}
    async with database.write() as connection:
        return [await add_job(connection, needs_micros=micros, **values) for micros in needs]


async def waiting(database):
    """Ids of the jobs that may be bought now, oldest first."""
    async with database.read() as connection:
        found = await connection.execute(
            sa.select(jobs.c.id)
            .where(jobs.c.state == JobState.QUEUED, sa.not_(jobs.c.resting))
            .order_by(jobs.c.id)
        )
        return list(found.scalars())


async def test_the_oldest_that_fit_go_on(database):
    """The room counts once: what is released claims it until it has had its turn."""
    await cap(database, 10)
    made = await held(database, 4, 4, 4)

    assert await release_within_budgets(database, UP) == 2
    assert await waiting(database) == made[:2]
    assert await release_within_budgets(database, UP) == 0
    async with database.write() as connection:
        row = (await connection.execute(sa.select(jobs).where(jobs.c.id == made[0]))).one()
    assert (row.reason, row.message, row.backoffs) == (None, None, 0)


async def test_nothing_goes_on_while_there_is_no_room(database):
    """And a large job does not let smaller ones pass it for ever."""
    await cap(database, 10)
    await held(database, 8, 1)
    async with database.write() as connection:
        [attempt_id] = await buy(connection, [wanted(7)])

    assert await release_within_budgets(database, UP) == 0
    async with database.write() as connection:
        await attempts.transition(connection, attempt_id, AttemptState.UNSOLD)
    assert await release_within_budgets(database, UP) == 2


async def test_what_costs_less_makes_room(database):
    """A purchase of 7 that cost 1 leaves room for 8."""
    await cap(database, 10)
    async with database.write() as connection:
        [attempt_id] = await buy(connection, [wanted(7)])
        await attempts.transition(connection, attempt_id, AttemptState.SENDING)
        await attempts.transition(connection, attempt_id, AttemptState.BOUGHT, cost_micros=1)
    made = await held(database, 8)

    assert await release_within_budgets(database, UP) == 1
    assert await waiting(database) == made


@pytest.mark.parametrize("micros", [None, 100])
async def test_a_raised_or_lifted_cap_makes_room(database, micros):
    """For all of them."""
    await cap(database, 1)
    made = await held(database, 40, 40)
    assert await release_within_budgets(database, UP) == 0
    await cap(database, micros)

    assert await release_within_budgets(database, UP) == 2
    assert await waiting(database) == made


async def test_a_job_that_never_fits_is_in_nobodys_way(database):
    """It costs more than the whole cap; a person has to raise it."""
    await cap(database, 10)
    made = await held(database, 11, 3)

    assert await release_within_budgets(database, UP) == 1
    assert await waiting(database) == made[1:]


async def test_only_jobs_of_that_budget_and_that_reason_go_on(database):
    """Not those of another budget, another upstream, or held for something else meanwhile."""
    await cap(database, 10)
    await cap(database, 0, "total")
    await held(database, 1, budget=BudgetName.parse(UP, "total").id)
    await held(database, 1, reason=HeldFor.KEY)
    await held(database, 1, upstream="elsewhere")

    assert await release_within_budgets(database, UP) == 0
    assert await waiting(database) == []


async def test_many_are_released_in_batches(database, monkeypatch):
    """Each a transaction of its own, and all of them in one round."""
    monkeypatch.setattr(budget_releases, "BATCH", 3)
    await cap(database, None)
    made = await held(database, *[1] * 8)

    assert await release_within_budgets(database, UP) == 8
    assert await waiting(database) == made


async def pause_batches(database, who):
    async with database.write() as connection:
        await set_switch(connection, UP, "batch", "paused", who=who, reason="credits")


async def test_batch_jobs_that_a_person_has_paused_claim_no_room(database):
    """Neither those that wait for their turn nor those that are held: who waits for an interactive job goes on."""
    await cap(database, 10)
    await held(database, 6, priority=Priority.BATCH)
    assert await release_within_budgets(database, UP) == 1
    await held(database, 6, priority=Priority.BATCH)
    made = await held(database, 7)
    assert await release_within_budgets(database, UP) == 0

    await pause_batches(database, "ada")
    assert await release_within_budgets(database, UP) == 1
    assert (await waiting(database))[1:] == made


async def test_our_own_pause_keeps_the_order(database):
    """It lets the trial pass that ends it, and that may be a batch job."""
    await cap(database, 10)
    made = await held(database, 6, priority=Priority.BATCH)
    await held(database, 7)
    await pause_batches(database, PRESSROOM)

    assert await release_within_budgets(database, UP) == 1
    assert await waiting(database) == made


@pytest.mark.parametrize(("ago_s", "released"), [(3500, 0), (3700, 1)])
async def test_a_need_of_an_hour_ago_is_not_believed(database, ago_s, released):
    """It may stem from the table while no quote came: the price is asked anew, as if it had none, and claims no room."""
    await cap(database, 10)
    ago = {"dispatched_at": now_ms() - ago_s * 1000}
    made = await held(database, 12, 9, **ago)
    async with database.write() as connection:
        await buy(connection, [wanted(4)])

    assert await release_within_budgets(database, UP) == released
    assert await waiting(database) == made[:released]
    later = await held(database, 5)
    if released:  # one in each round
        assert await release_within_budgets(database, UP) == 1
        assert await waiting(database) == made
        assert await release_within_budgets(database, UP) == 1
        assert await waiting(database) == made + later


async def test_a_stale_need_is_not_tried_without_any_room(database):
    """Nothing could be bought at any price."""
    await cap(database, 10)
    await held(database, 5, dispatched_at=1)
    async with database.write() as connection:
        await buy(connection, [wanted(10)])

    assert await release_within_budgets(database, UP) == 0
