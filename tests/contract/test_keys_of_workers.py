"""What the keys of live workers mean to callers, and to stops of keys that nobody has any more; on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.support.rows import add_job

from pressroom import audit
from pressroom.app import open_app
from pressroom.database import now_ms
from pressroom.fleet import stops, workers
from pressroom.fleet.gate import Flow, GateCache
from pressroom.fleet.stops import key_cause
from pressroom.fleet.tables import stops as stop_rows
from pressroom.fleet.tables import workers as worker_rows
from pressroom.generation import jobs
from pressroom.generation.fallback import Fallback
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.generation.upkeep.unused_keys import lift_unused_keys
from pressroom.generation.views import views_of

UP = "emulator"
OURS, THEIRS, OTHER = "a" * 12, "b" * 12, "c" * 12
HOUR_MS = 3_600_000


async def worker(database, name, key, *, state="live", ago_s=0.0):
    async with database.write() as connection:
        await workers.register(connection, name, upstream=UP, version="1")
        if key is not None:
            await workers.note_key(connection, name, key)
        await connection.execute(
            sa.update(worker_rows)
            .where(worker_rows.c.id == name)
            .values(state=state, beat_at=now_ms() - int(ago_s * 1000))
        )


async def stop(database, *keys, ago_ms=0):
    async with database.write() as connection:
        for key in keys:
            await stops.stop(connection, UP, key_cause(key), trial_in_s=0, message=f"{key} is refused")
        shift = {"since": stop_rows.c.since - ago_ms, "trial_at": stop_rows.c.trial_at - ago_ms}
        await connection.execute(sa.update(stop_rows).values(**shift))


async def standing(database):
    async with database.read() as connection:
        return {one.cause for one in await stops.all_stops(connection, UP)}


def gates_of_a_caller(settings, key=OURS):
    return GateCache(UP, settings, fingerprint=lambda: key, of_workers=True)


@pytest.mark.parametrize(
    ("live", "stopped", "account"),
    [
        ([THEIRS], [THEIRS], Flow.SHUT),
        ([THEIRS], [OURS], Flow.OPEN),
        ([THEIRS, OTHER], [THEIRS], Flow.OPEN),
        ([THEIRS, OTHER], [THEIRS, OTHER], Flow.SHUT),
        ([], [OURS], Flow.SHUT),
        ([], [THEIRS], Flow.OPEN),
        ([None], [THEIRS], Flow.OPEN),
        ([None], [OURS], Flow.SHUT),
        ([None, THEIRS], [THEIRS], Flow.SHUT),
    ],
)
async def test_a_caller_goes_by_the_keys_that_workers_buy_with(
    database, base_settings, live, stopped, account
):
    """Purchases are stopped when the key of each of them is; without any that says its key, by the caller's own."""
    for number, key in enumerate(live):
        await worker(database, f"w{number}", key)
    await stop(database, *stopped)
    async with database.read() as connection:
        assert (await gates_of_a_caller(base_settings).current(connection)).account is account


@pytest.mark.parametrize(("state", "ago_s"), [("stopped", 0), ("dead", 0), ("live", 60)])
async def test_a_worker_that_is_gone_buys_with_nothing(database, base_settings, state, ago_s):
    """Its row stays for a while."""
    await worker(database, "gone", THEIRS, state=state, ago_s=ago_s)
    await stop(database, THEIRS)
    async with database.read() as connection:
        assert (await gates_of_a_caller(base_settings).current(connection)).account is Flow.OPEN


async def test_a_caller_with_a_bad_new_key_gets_its_placeholder_all_the_same(database, base_settings):
    """Nobody has refused that key in a purchase; what the workers buy with is stopped."""
    await worker(database, "w", THEIRS)
    await stop(database, THEIRS)
    async with database.write() as connection:
        job_id = await add_job(connection, fallback="placeholder")
        [view] = await views_of(connection, [await jobs.get_one_or_none(connection, job_id)])
    fallback = Fallback(database, settings=base_settings.fallback, gates=gates_of_a_caller(base_settings))

    answer = await fallback.answer(view)

    assert answer is not None
    assert answer.placeholder is not None


async def test_the_app_goes_by_the_workers(base_settings, database):
    """Not by the key that this process would buy with."""
    await worker(database, "w", THEIRS)
    await stop(database, THEIRS)
    async with open_app(base_settings) as app:
        assert (await app.gate()).account is Flow.SHUT


async def test_a_stop_of_a_key_that_nobody_has_goes_after_an_hour(database):
    """One line of the audit log says why; the stop of another key stays while a worker has that one."""
    await worker(database, "w", THEIRS)
    await worker(database, "gone", OTHER, state="dead", ago_s=4000)
    await stop(database, OURS, OTHER, THEIRS, ago_ms=HOUR_MS + 1000)

    assert await lift_unused_keys(database, UP) == 2
    assert await standing(database) == {key_cause(THEIRS)}
    async with database.read() as connection:
        lines = await audit.newest(connection, UP, limit=10)
    assert {(line.action, line.subject, line.reason) for line in lines} == {
        ("stop.lifted", key_cause(key), "no worker has had this key for an hour") for key in (OURS, OTHER)
    }


@pytest.mark.parametrize("why", ["fresh", "held", "lately", "unknown", "elsewhere"])
async def test_a_stop_stays_while_somebody_may_need_it(database, why):
    """Refused within the hour, a job waits for a key, its worker died lately, or one does not say its key."""
    await stop(database, OURS, ago_ms=0 if why == "fresh" else HOUR_MS + 1000)
    if why == "held":
        async with database.write() as connection:
            await add_job(connection, state=JobState.HELD, reason=HeldFor.KEY)
    if why == "lately":
        await worker(database, "died", OURS, state="dead", ago_s=3000)
    if why == "unknown":
        await worker(database, "before", None)

    assert await lift_unused_keys(database, "api.example" if why == "elsewhere" else UP) == 0
    assert await standing(database) == {key_cause(OURS)}


@pytest.mark.parametrize(
    ("also", "said"),
    [
        ([], []),
        ([stops.QUOTA], ["the stop quota"]),
        ([key_cause(THEIRS)], [f"the stop {key_cause(THEIRS)}"]),
        ([key_cause(OTHER)], []),
    ],
)
async def test_who_orders_a_trial_hears_what_else_stands_in_its_way(database, base_settings, also, said):
    """Two stops are tried together, once both are due; a stop of a key that nobody has is in nobody's way."""
    await worker(database, "w", THEIRS)
    async with database.write() as connection:
        for cause in [stops.CREDITS, *also]:
            await stops.stop(connection, UP, cause, trial_in_s=300, message="no")
    async with open_app(base_settings) as app:
        assert await app.order_trial("credits", who="ada") == said
        await app.set_switch("mode", "fallback", who="ada")
        assert await app.order_trial("credits", who="ada") == ["the switch mode at fallback", *said]
