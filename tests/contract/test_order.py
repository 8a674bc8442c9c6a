"""Whose turn it is: shares by weight, caps and places in the queue, over real rows on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
import sqlalchemy as sa
from tests.contract.test_dispatch import dispatcher_of, states

from pressroom.access import projects
from pressroom.access.projects import Project
from pressroom.database import now_ms
from pressroom.fleet.flows import REBASE_AT
from pressroom.fleet.gate import read_gate
from pressroom.fleet.tables import flows
from pressroom.generation import estimate, jobs
from pressroom.generation.admission import Submission, admit
from pressroom.generation.dispatch import waiting
from pressroom.generation.dispatch.turns import Shares
from pressroom.generation.estimate import ahead_of
from pressroom.generation.jobs import JobState, Priority
from pressroom.generation.tables import jobs as job_rows
from pressroom.ideogram import ImageRequest, Wire
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

BATCH, INTERACTIVE = Priority.BATCH, Priority.INTERACTIVE


async def submit(database, count=1, *, project="default", priority=INTERACTIVE, wire=Wire.AUTO, **values):
    submission = Submission(
        request=ImageRequest(prompt="a heron"), project=project, priority=priority, wire=wire, **values
    )
    async with database.write() as connection:
        return await admit(connection, [(submission, submission.call())] * count, upstream="emulator")


async def change(database, job_ids, **columns):
    async with database.write() as connection:
        await connection.execute(sa.update(job_rows).where(job_rows.c.id.in_(job_ids)).values(**columns))


async def set_project(database, name, **values):
    async with database.write() as connection:
        await projects.put(connection, Project(name=name, **values))


async def end_all(database):
    """The vendor is done with everything in flight."""
    async with database.write() as connection:
        await connection.execute(sa.update(attempts).values(slot=None, state=AttemptState.BOUGHT))


async def went(database):
    """Project and priority of the jobs that had a turn, in the order of their turns."""
    query = (
        sa.select(job_rows.c.project, job_rows.c.priority)
        .join(attempts, attempts.c.job_id == job_rows.c.id)
        .order_by(attempts.c.id)
    )
    async with database.read() as connection:
        return [tuple(row) for row in await connection.execute(query)]


async def test_interactive_jobs_have_four_turns_for_each_batch_job(database, base_settings):
    """Whatever came first, look after look; neither waits for the other one's end."""
    await submit(database, 40, priority=BATCH)
    await submit(database, 40)
    async with dispatcher_of(base_settings, limit=5) as dispatcher:
        for _ in range(6):
            assert await dispatcher.dispatch() == 5
            await end_all(database)

    assert Counter(priority for _, priority in await went(database)) == {"interactive": 24, "batch": 6}


async def test_projects_share_by_weight_and_families_of_one_share_its_part(database, base_settings):
    """Three to one, although the small one has two kinds of work."""
    await set_project(database, "large", weight=3)
    await submit(database, 40, project="large", priority=BATCH)
    await submit(database, 20, project="small", priority=BATCH)
    await submit(database, 20, project="small", priority=BATCH, wire=Wire.V3)
    async with dispatcher_of(base_settings, limit=8) as dispatcher:
        for _ in range(4):
            await dispatcher.dispatch()
            await end_all(database)

    assert Counter(project for project, _ in await went(database)) == {"large": 24, "small": 8}


async def test_a_capped_project_leaves_its_places_to_others(database, base_settings):
    """It never has more in flight, and keeps its order; a new cap acts without a restart."""
    await set_project(database, "shop", max_inflight=2)
    mine = await submit(database, 10, project="shop")
    await submit(database, 10, project="other", priority=BATCH)
    async with dispatcher_of(base_settings, limit=6, fleet={"switch_cache_s": 0.0}) as dispatcher:
        assert await dispatcher.dispatch() == 6
        assert Counter(project for project, _ in await went(database)) == {"shop": 2, "other": 4}
        await end_all(database)
        await dispatcher.dispatch()
        await set_project(database, "shop", max_inflight=None)
        await end_all(database)
        await dispatcher.dispatch()

    now = await states(database)
    gone = [job_id for job_id in mine if now[job_id] == "running"]
    assert mine[: len(gone)] == gone
    assert len(gone) > 4


async def test_the_order_goes_on_where_another_dispatcher_left_it(database, base_settings):
    """It is in the rows: by several at once, what has gone is at any time what one alone would have given."""
    for _ in range(20):
        await submit(database, 1, project="a", priority=BATCH)
        await submit(database, 1, project="b")
        await submit(database, 1, project="c", priority=BATCH, wire=Wire.V3)
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(dispatcher_of(base_settings, limit=7)) for _ in range(3)]
        while sum(await asyncio.gather(*[one.dispatch() for one in made])):
            counts = Counter(project for project, _ in await went(database))
            if counts["b"] < 20:  # all three wait
                assert abs(counts["b"] - 4 * counts["a"]) <= 5
                assert abs(counts["a"] - counts["c"]) <= 1
            await end_all(database)
    assert Counter(project for project, _ in await went(database)) == {"a": 20, "b": 20, "c": 20}


async def test_virtual_time_begins_anew_before_its_numbers_grow_large(database, base_settings):
    """All flows are moved back together, so the shares stay what they are."""
    await submit(database, 20, priority=BATCH)
    await submit(database, 20)
    async with database.write() as connection:
        await connection.execute(sa.update(flows).values(start_tag=REBASE_AT))
    async with dispatcher_of(base_settings, limit=5) as dispatcher:
        for _ in range(3):
            await dispatcher.dispatch()
            await end_all(database)

    async with database.read() as connection:
        tags = list((await connection.execute(sa.select(flows.c.start_tag))).scalars())
    assert max(tags) < 100
    assert Counter(priority for _, priority in await went(database)) == {"interactive": 12, "batch": 3}


async def test_resting_jobs_hide_nobody_and_are_woken_in_time(database, base_settings):
    """However many they are; a woken one has its old place by age."""
    resting = await submit(database, 30)
    await change(database, resting, resting=True, eligible_at=now_ms() + 60_000)
    ready = await submit(database, 2)
    async with dispatcher_of(base_settings, limit=3) as dispatcher:
        assert await dispatcher.dispatch() == 2
        assert await dispatcher.dispatch() == 0
        await change(database, resting[:4], eligible_at=now_ms() - 1)
        assert await dispatcher.dispatch() == 1
        await end_all(database)
        assert await dispatcher.dispatch() == 3

    now = await states(database)
    assert [now[job_id] for job_id in resting] == ["running"] * 4 + ["queued"] * 26
    assert [now[job_id] for job_id in ready] == ["running"] * 2


async def test_to_look_never_goes_through_jobs_that_have_ended(database):
    """Both databases use the indexes of what is ready and what rests, though most rows of the table are neither."""
    ended = await submit(database, 2_000, wire=Wire.V3)
    await change(database, ended, state="completed", ended_at=now_ms())
    await submit(database, 500)
    flow = {"of_project": "default", "of_priority": "interactive", "of_family": "v2/generate"}
    queries = {
        waiting._LOOK: {},
        waiting._FRESH: {**flow, "most": 8},
        waiting._GOING_ON: {**flow, "most": 8},
        waiting._NEXT_KIND: {"goes_on": False, "project": "", "priority": "", "family": ""},
    }
    async with database.write() as connection:
        await connection.execute(sa.text("ANALYZE jobs"))
        explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        for query, facts in queries.items():
            literal = query.params(of_upstream="emulator", **facts).compile(
                dialect=connection.dialect, compile_kwargs={"literal_binds": True}
            )
            found = await connection.exec_driver_sql(f"{explain} {literal}")
            plan = "\n".join(str(tuple(row)) for row in found)
            assert "jobs_ready" in plan
            assert not [
                name for name in ("jobs_pkey", "jobs_by_state", "Seq Scan on jobs") if name in plan
            ], plan
            assert "jobs_resting" in plan or query is not waiting._LOOK


async def test_jobs_of_an_older_version_are_found(database, base_settings):
    """They have no family and no flow of theirs has a row, until the chore has looked."""
    await submit(database, 1, project="known")
    old = await submit(database, 2, project="old", wire=Wire.V3)
    await change(database, old, family="")
    going_on = await submit(database, 1, project="older")
    await change(database, going_on, continuing=True)
    async with database.write() as connection:
        await connection.execute(sa.delete(flows).where(flows.c.project != "known"))
    async with dispatcher_of(base_settings, limit=5) as dispatcher:
        assert await dispatcher.dispatch() == 1

        assert await waiting.mend_flows(database, "emulator") == 2
        assert await dispatcher.dispatch() == 3
        assert await waiting.mend_flows(database, "emulator") == 0
    async with database.read() as connection:
        families = (await connection.execute(sa.select(job_rows.c.family).distinct())).scalars()
        assert {"v2/generate", "v3/generate"} == set(families)


async def test_what_goes_on_is_fair_to_every_flow(database, base_settings):
    """After a long outage of the store one project's thousands do not make another one's single job wait."""
    many = await submit(database, 120, project="many")
    [one] = await submit(database, 1, project="one")
    await change(database, [*many, one], continuing=True)
    async with dispatcher_of(base_settings) as dispatcher:
        assert await dispatcher.dispatch() >= 25

    assert (await states(database))[one] == "running"


async def test_a_place_in_the_queue_is_the_one_that_comes(database, base_settings):
    """Each job's turn is as many turns away as was said before."""
    await set_project(database, "b", weight=2)
    made = [
        *await submit(database, 12, project="a", priority=BATCH),
        *await submit(database, 6, project="b", priority=BATCH),
        *await submit(database, 9, project="b"),
    ]
    async with dispatcher_of(base_settings, limit=2) as dispatcher:
        await dispatcher.dispatch()
        await end_all(database)
        async with database.read() as connection:
            gate = await read_gate(connection, "emulator", base_settings)
            shares = Shares(4.0, await projects.all_projects(connection))
            said = {}
            for job_id in made:
                job = await jobs.get_one_or_none(connection, job_id)
                if job.state is JobState.QUEUED:
                    said[job_id] = await ahead_of(connection, job, gate=gate, shares=shares)
        while await dispatcher.dispatch():
            await end_all(database)
    async with database.read() as connection:
        found = await connection.execute(sa.select(attempts.c.job_id).order_by(attempts.c.id))
        turns = [job_id for job_id in found.scalars() if job_id in said]

    assert len(turns) == 25
    for turn, job_id in enumerate(turns):
        assert abs(said[job_id] - turn) <= 2, "units whose turns begin together may come in either order"


async def test_a_place_far_down_is_told_as_at_least_so_many(database, base_settings, monkeypatch):
    """To ask costs the same however long the queue is."""
    monkeypatch.setattr(estimate, "MOST_COUNTED", 10)
    await submit(database, 30)
    [last] = await submit(database, 1)
    async with database.read() as connection:
        job = await jobs.get_one_or_none(connection, last)
        gate = await read_gate(connection, "emulator", base_settings)
        outlook = await estimate.outlook(connection, job, gate=gate, shares=Shares(4.0, {}))

    assert (outlook.ahead, outlook.at_least, outlook.blocked_by) == (10, True, None)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"weight": 0.0}, "weight"),
        ({"weight": float("nan")}, "weight"),
        ({"weight": 1e9}, "weight"),
        ({"max_inflight": 0}, "max_inflight"),
        ({"fallback": "hope"}, "fallback"),
    ],
)
async def test_a_project_takes_only_what_can_be_used(database, values, field):
    """And nothing is written of what cannot."""
    from pressroom.errors import InvalidRequest

    with pytest.raises(InvalidRequest, match=field):
        await set_project(database, "shop", **values)
    async with database.read() as connection:
        assert await projects.all_projects(connection) == {}
