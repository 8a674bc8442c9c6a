"""What stands above the order: switches, stops, breakers, budgets and times, over real rows on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
import sqlalchemy as sa
from tests.contract.test_dispatch import dispatcher_of, states
from tests.contract.test_order import BATCH, change, end_all, submit, went
from tests.support.rows import add_attempt

from pressroom.database import now_ms
from pressroom.fleet.breakers import ORDERED
from pressroom.fleet.controls import changed
from pressroom.fleet.flows import virtual_time
from pressroom.fleet.stops import CREDITS, QUOTA, key_cause, stop
from pressroom.fleet.switches import set_switch
from pressroom.fleet.tables import breakers
from pressroom.generation import jobs
from pressroom.generation.dispatch import waiting
from pressroom.generation.jobs import JobState
from pressroom.generation.tables import jobs as job_rows
from pressroom.generation.upkeep.expiry import cancel_late
from pressroom.ideogram import Wire
from pressroom.settings import FallbackSettings
from pressroom.spend.attempts import AttemptState
from pressroom.spend.scopes import BudgetName
from pressroom.spend.setting import set_budget
from pressroom.spend.tables import attempts

V2, V3 = "v2/generate", "v3/generate"


async def switch(database, name, value):
    async with database.write() as connection:
        await set_switch(connection, "emulator", name, value, who="a test", reason="to see")


async def stop_for(database, cause, *, trial_in_s=60.0):
    async with database.write() as connection:
        await stop(connection, "emulator", cause, trial_in_s=trial_in_s, message="the vendor refuses")


async def break_family(database, family, *, trial=False):
    async with database.write() as connection:
        await changed(connection, "emulator")
        await connection.execute(sa.delete(breakers).where(breakers.c.family == family))
        await connection.execute(
            sa.insert(breakers).values(
                upstream="emulator",
                family=family,
                state="open",
                failures=5,
                opened_at=now_ms(),
                trial_at=ORDERED if trial else now_ms() + 60_000,
                wait_ms=30_000,
                uncertain=0,
            )
        )


async def trials(database):
    """Jobs whose attempt is a trial."""
    async with database.read() as connection:
        found = await connection.execute(sa.select(attempts.c.job_id).where(attempts.c.trial))
        return list(found.scalars())


async def running(database):
    return [job_id for job_id, state in (await states(database)).items() if state == "running"]


@pytest.mark.parametrize("mode", ["fallback", "disabled"])
async def test_nothing_is_bought_in_other_modes_and_what_is_bought_goes_on(database, base_settings, mode):
    """At the very next look, with no time to wait for."""
    fresh = await submit(database, 3)
    [bought] = await submit(database)
    await change(database, [bought], continuing=True)
    async with dispatcher_of(base_settings) as dispatcher:
        await switch(database, "mode", mode)
        assert await dispatcher.dispatch() == 1
        assert [bought] == await running(database)
        await switch(database, "mode", "live")
        assert await dispatcher.dispatch() == 3
    assert sorted([*fresh, bought]) == await running(database)


async def test_paused_batches_wait_and_others_do_not(database, base_settings):
    """Whatever their project."""
    batch = await submit(database, 3, priority=BATCH)
    mine = await submit(database, 2)
    async with dispatcher_of(base_settings) as dispatcher:
        await switch(database, "batch", "paused")
        assert await dispatcher.dispatch() == 2
        assert mine == await running(database)
        await end_all(database)
        await switch(database, "batch", "running")
        assert await dispatcher.dispatch() == 3
    assert sorted([*batch, *mine]) == await running(database)


async def test_the_switch_concurrency_is_the_limit_at_once(database, base_settings):
    """Down and up, never beyond the account's limit."""
    await submit(database, 20)
    async with dispatcher_of(base_settings, limit=8, account_limit=10) as dispatcher:
        await switch(database, "concurrency", "2")
        assert await dispatcher.dispatch() == 2
        await switch(database, "concurrency", "50")
        assert await dispatcher.dispatch() == 8
        assert await dispatcher.dispatch() == 0


@pytest.mark.parametrize("cause", [CREDITS, QUOTA])
async def test_a_refused_account_costs_one_job_and_not_the_queue(database, base_settings, cause):
    """The others wait where they are, instead of walking into `held` one refusal each; one trial goes when it is due."""
    made = await submit(database, 5)
    async with dispatcher_of(base_settings, limit=1) as dispatcher:
        assert await dispatcher.dispatch() == 1
        async with database.write() as connection:
            [attempt_id] = (await connection.execute(sa.select(attempts.c.id))).scalars()
            await connection.execute(
                sa.update(attempts).where(attempts.c.id == attempt_id).values(state="unsold", slot=None)
            )
            await jobs.transition(connection, made[0], JobState.HELD, reason=cause)
        await stop_for(database, cause)
        for _ in range(3):
            assert await dispatcher.dispatch() == 0
        assert ["held", *["queued"] * 4] == list((await states(database)).values())

        await stop_for(database, cause, trial_in_s=0.0)
    async with dispatcher_of(base_settings, limit=8) as dispatcher:
        assert await dispatcher.dispatch() == 1
        assert await dispatcher.dispatch() == 0
    assert [made[1]] == await trials(database)


async def test_a_stop_of_another_key_stops_nothing_here(database, base_settings):
    """During a rotation workers hold different ones; one of this worker's own key does."""
    await submit(database, 2)
    await stop_for(database, key_cause("another"))
    async with dispatcher_of(base_settings, limit=1) as dispatcher:
        assert await dispatcher.dispatch() == 1
        await end_all(database)
        await stop_for(database, key_cause(dispatcher._keys.current().fingerprint))
        assert await dispatcher.dispatch() == 0


async def test_several_dispatchers_send_one_trial_between_them(database, base_settings):
    """Each had read that a trial may go."""
    await submit(database, 10)
    await stop_for(database, CREDITS, trial_in_s=0.0)
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(dispatcher_of(base_settings)) for _ in range(4)]
        given = [await asyncio.gather(*[one.dispatch() for one in made]) for _ in range(3)]

    assert sum(map(sum, given)) == 1
    assert len(await trials(database)) == 1


async def test_a_trial_is_the_oldest_batch_job(database, base_settings):
    """Nobody waits for it; without one it is the oldest of all."""
    await submit(database, 1, project="first")
    batch = await submit(database, 2, project="second", priority=BATCH)
    await stop_for(database, QUOTA, trial_in_s=0.0)
    async with dispatcher_of(base_settings) as dispatcher:
        assert await dispatcher.dispatch() == 1
    assert [batch[0]] == await trials(database)


async def test_an_open_breaker_stops_its_family_alone(database, base_settings):
    """Other families go on, in the same project; its trial is one job, sent beside them."""
    v2 = await submit(database, 4)
    v3 = await submit(database, 3, wire=Wire.V3)
    await break_family(database, V2)
    async with dispatcher_of(base_settings, limit=2) as dispatcher:
        assert await dispatcher.dispatch() == 2
        assert v3[:2] == await running(database)
        await end_all(database)
        await break_family(database, V2, trial=True)
        assert await dispatcher.dispatch() == 2
        assert [v2[0]] == await trials(database)
        await end_all(database)
        assert await dispatcher.dispatch() == 0
    assert {v2[0], *v3} == set(await running(database))


async def test_over_budget_a_job_is_held_and_others_have_their_turn(database, base_settings):
    """At once, and uncharged: money that was not spent is no turn."""
    poor = await submit(database, 5, project="poor")
    rich = await submit(database, 2, project="rich", priority=BATCH)
    async with database.write() as connection:
        await set_budget(
            connection, BudgetName.parse("emulator", "project:poor"), 1, who="a test", reason="to see"
        )
    async with dispatcher_of(base_settings, limit=2) as dispatcher:
        assert await dispatcher.dispatch() > 0
        while await dispatcher.dispatch():
            await end_all(database)
    now = await states(database)
    assert ([now[one] for one in poor], [now[one] for one in rich]) == (["held"] * 5, ["running"] * 2)
    async with database.read() as connection:
        row = await jobs.get_one_or_none(connection, poor[0])
        tags = {flow.project: flow.start_tag for flow in (await waiting.look(connection, "emulator")).flows}
    assert (row.reason, row.budget) == ("budget", "emulator|project|poor")
    assert row.needs_micros > 0
    assert "raise it" in row.message
    assert tags["poor"] == 0.0
    assert tags["rich"] > 0.0


async def test_too_late_is_cancelled_wherever_it_waits(database, base_settings):
    """In the order, or held; not what was sent, and not what has time left."""
    [late] = await submit(database)
    [held] = await submit(database)
    [sent] = await submit(database)
    [soon] = await submit(database)
    await change(database, [late, held, sent], buy_before=now_ms() - 1)
    await change(database, [soon], buy_before=now_ms() + 60_000)
    await change(database, [held], state="held", reason="budget")
    await change(database, [sent], state="held", reason="key")
    async with database.write() as connection:
        await add_attempt(connection, sent, state=AttemptState.ACCEPTED, slot=7)
    async with dispatcher_of(base_settings) as dispatcher:
        assert await dispatcher.dispatch() == 1
    assert {late: "cancelled", held: "held", sent: "held", soon: "running"} == await states(database)

    assert await cancel_late(database, "emulator") == 1
    assert await cancel_late(database, "emulator") == 0
    assert {late: "cancelled", held: "cancelled", sent: "held", soon: "running"} == await states(database)
    async with database.read() as connection:
        assert (await jobs.get_one_or_none(connection, held)).reason == "too late"


async def test_backfill_counts_as_batch_and_never_takes_all_places(database, base_settings):
    """What replaces placeholders goes two at a time, and does not keep other batch jobs behind it."""
    served = await submit(database, 6)
    await change(database, served, state="held", reason="vendor", placeholder_served=now_ms())
    async with database.write() as connection:
        for job_id in served:
            assert await jobs.transition(connection, job_id, JobState.QUEUED)
    await waiting.mend_flows(database, "emulator")
    later = await submit(database, 3, priority=BATCH)
    groups = {"fallback": FallbackSettings(backfill_inflight=2)}
    async with dispatcher_of(base_settings, limit=4, **groups) as dispatcher:
        assert await dispatcher.dispatch() == 4
        assert sorted([*served[:2], *later[:2]]) == await running(database)
        await switch(database, "batch", "paused")
        await end_all(database)
        assert await dispatcher.dispatch() == 0
    assert {("default", "batch")} == set(await went(database))


async def test_a_plan_that_was_overtaken_is_made_again(database, base_settings):
    """A switch between the look and the lock counts, and so does another dispatcher's turn."""
    await submit(database, 6)
    async with dispatcher_of(base_settings, limit=6) as dispatcher:
        give = dispatcher._giving.give
        calls = []

        async def after_a_switch(connection, plan):
            if not calls:
                await set_switch(connection, "emulator", "concurrency", "2", who="a test", reason="")
            calls.append(len(plan.turns))
            return await give(connection, plan)

        dispatcher._giving.give = after_a_switch
        assert await dispatcher.dispatch() == 2
    assert calls == [6, 2]


async def test_turns_are_charged_to_those_who_had_them(database, base_settings):
    """The rows say how far each unit is; another upstream's are not touched."""
    await submit(database, 4)
    async with dispatcher_of(base_settings, limit=4) as dispatcher:
        await dispatcher.dispatch()
    async with database.read() as connection:
        look = await waiting.look(connection, "emulator")
        assert virtual_time(look.flows) == 1.0
        assert (await waiting.look(connection, "api.example")).flows == []
        rows = (await connection.execute(sa.select(job_rows.c.state))).scalars()
        assert list(rows) == ["running"] * 4
