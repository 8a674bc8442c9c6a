"""Stops, what is held for them, and trials that nobody ended: what the maintenance loop does about them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.rows import add_attempt, add_job

import pressroom
from pressroom.database import now_ms
from pressroom.fleet import breakers, probing, stops, trials
from pressroom.fleet.gate import Flow, read_gate, trial_began
from pressroom.fleet.switches import set_switch
from pressroom.fleet.tables import breakers as breaker_rows
from pressroom.generation import jobs
from pressroom.generation.jobs import JobState
from pressroom.generation.tables import jobs as job_rows
from pressroom.generation.upkeep import releases
from pressroom.generation.upkeep.releases import Releases, release_held
from pressroom.notify.tables import notices
from pressroom.settings import Settings
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

UP = "emulator"
FAMILY = "v2/generate"
SETTINGS = Settings.load()


async def held(database, reason, count=1, *, attempt=None, **columns):
    """Jobs that are held, oldest first."""
    made = []
    async with database.write() as connection:
        for _ in range(count):
            job_id = await add_job(connection, state=JobState.HELD, reason=reason, **columns)
            if attempt is not None:
                await add_attempt(connection, job_id, state=attempt, slot=None)
            made.append(job_id)
    return made


async def states(database):
    async with database.read() as connection:
        found = await connection.execute(sa.select(job_rows).order_by(job_rows.c.id))
        return [
            (job.state, job.reason, job.continuing) for job in (jobs.job_of(row) for row in found.mappings())
        ]


async def stop(database, cause, *, trial_in_s=3600.0):
    async with database.write() as connection:
        return await stops.stop(connection, UP, cause, trial_in_s=trial_in_s, message="no")


async def lift(database, cause):
    async with database.write() as connection:
        return await stops.lift(connection, UP, cause)


async def test_the_oldest_are_released_first_and_no_others(database):
    """As many as asked for; of other reasons, states and upstreams none."""
    made = await held(database, "credits", 3)
    await held(database, "quota")
    await held(database, "credits", upstream="api.example")
    async with database.write() as connection:
        assert await release_held(connection, UP, "credits", limit=2) == 2
    async with database.read() as connection:
        found = await connection.execute(sa.select(job_rows.c.id).where(job_rows.c.state == "queued"))
        assert sorted(found.scalars()) == made[:2]


@pytest.mark.parametrize(
    ("attempt", "continuing"),
    [
        (None, False),
        (AttemptState.UNSOLD, False),
        (AttemptState.WRITTEN_OFF, False),
        (AttemptState.ACCEPTED, True),
        (AttemptState.BOUGHT, True),
        (AttemptState.UNCERTAIN, True),
    ],
)
async def test_a_released_job_goes_on_with_what_it_has(database, attempt, continuing):
    """With an attempt that is open it needs no new slot or reservation, and buys nothing."""
    await held(database, "key", attempt=attempt, backoffs=7)
    async with database.write() as connection:
        await release_held(connection, UP, "key", limit=10)
        row = (await connection.execute(sa.select(job_rows))).mappings().one()

    assert (row["state"], row["reason"], row["continuing"], row["backoffs"]) == (
        "queued",
        None,
        continuing,
        0,
    )
    assert not row["resting"]


async def test_a_job_is_released_once_however_many_release(database):
    """Two workers that both think the maintenance is theirs."""
    await held(database, "credits", 20)

    async def release():
        async with database.write() as connection:
            return await release_held(connection, UP, "credits", limit=20)

    assert sum(await asyncio.gather(*(release() for _ in range(4)))) == 20


async def test_what_a_stop_holds_is_released_when_it_is_lifted(database, monkeypatch):
    """All of it, in several transactions where it is much; what another stop holds stays."""
    monkeypatch.setattr(releases, "AT_ONCE", 3)
    await stop(database, stops.CREDITS)
    await stop(database, stops.QUOTA)
    await held(database, "credits", 8)
    await held(database, "quota")
    chores = Releases(database, UP, settings=SETTINGS)
    await chores.release_lifted()
    assert [state for state, *_ in await states(database)] == ["held"] * 9

    assert await lift(database, stops.CREDITS)
    await chores.release_lifted()
    assert await states(database) == [("queued", None, False)] * 8 + [("held", "quota", False)]
    assert not await lift(database, stops.CREDITS)


async def test_a_trial_is_offered_from_what_is_held_when_nothing_waits(database):
    """One job, the oldest, once the stop's time has come."""
    chores = Releases(database, UP, settings=SETTINGS)
    await held(database, "quota", 3)
    await stop(database, stops.QUOTA)
    await chores.offer_trials()
    assert [state for state, *_ in await states(database)] == ["held"] * 3

    await stop(database, stops.QUOTA, trial_in_s=-1)
    for _ in range(3):
        await chores.offer_trials()
    assert [state for state, *_ in await states(database)] == ["queued", "held", "held"]


async def test_no_trial_is_offered_where_a_job_waits(database):
    """That one is the trial."""
    async with database.write() as connection:
        await add_job(connection)
    await held(database, "credits")
    await stop(database, stops.CREDITS, trial_in_s=-1)
    await Releases(database, UP, settings=SETTINGS).offer_trials()

    assert [state for state, *_ in await states(database)] == ["queued", "held"]


async def test_batch_jobs_that_a_person_paused_keep_nobody_from_being_the_trial(database):
    """Neither one that waits nor one that is held goes; the oldest of the others does, and the stop can end."""
    async with database.write() as connection:
        await set_switch(connection, UP, "batch", "paused", who="ada", reason="quiet")
        await add_job(connection, priority="batch")
    await held(database, "credits", priority="batch")
    await held(database, "credits", 2)
    await stop(database, stops.CREDITS, trial_in_s=-1)
    for _ in range(3):
        await Releases(database, UP, settings=SETTINGS).offer_trials()

    assert [state for state, *_ in await states(database)] == ["queued", "held", "queued", "held"]


async def test_a_job_that_rests_keeps_nobody_from_being_the_trial(database):
    """It may rest for an hour."""
    async with database.write() as connection:
        await add_job(connection, resting=True, eligible_at=now_ms() + 3_600_000)
    await held(database, "credits")
    await stop(database, stops.CREDITS, trial_in_s=-1)
    await Releases(database, UP, settings=SETTINGS).offer_trials()

    assert [state for state, *_ in await states(database)] == ["queued", "queued"]


async def test_a_stop_allows_one_trial_at_a_time(database):
    """Whoever looks next waits for the next time."""
    await stop(database, stops.CREDITS, trial_in_s=-1)
    async with database.write() as connection:
        gate = await read_gate(connection, UP, SETTINGS)
        assert gate.flow(FAMILY) is Flow.TRIAL
        await trial_began(connection, gate, family=FAMILY, attempt_id="at_1")
        after = await read_gate(connection, UP, SETTINGS)

    assert (after.flow(FAMILY), after.version > gate.version) == (Flow.SHUT, True)


async def test_a_second_stop_puts_the_trial_off(database):
    """Both must be due: a trial that one of them refuses says nothing about the other."""
    await stop(database, stops.CREDITS, trial_in_s=-1)
    await stop(database, stops.QUOTA)
    async with database.read() as connection:
        assert (await read_gate(connection, UP, SETTINGS)).account is Flow.SHUT
    await stop(database, stops.QUOTA, trial_in_s=-1)
    async with database.read() as connection:
        assert (await read_gate(connection, UP, SETTINGS)).stops_due == ("credits", "quota")


async def test_a_refused_key_is_not_tried_by_buying(database):
    """A free request tells; see the keys' own watch."""
    await stop(database, stops.key_cause("ab"), trial_in_s=-1)
    async with database.read() as connection:
        assert (await read_gate(connection, UP, SETTINGS, fingerprint="ab")).account is Flow.SHUT


async def test_a_trial_of_a_refused_key_cannot_be_ordered(database):
    """It would do nothing: the keys' own watch asks for free."""
    await stop(database, stops.key_cause("ab"))
    await stop(database, stops.CREDITS)
    async with database.write() as connection:
        assert not await stops.order_trial(connection, UP, stops.key_cause("ab"), who="ada")
        assert await stops.order_trial(connection, UP, stops.CREDITS, who="ada")


async def trying(database, state, *, age_s=0.0, **columns):
    """A breaker whose trial is an attempt in that state."""
    async with database.write() as connection:
        for _ in range(SETTINGS.breaker.failures):
            await breakers.failed(connection, UP, FAMILY, message="HTTP 503", settings=SETTINGS.breaker)
        job_id = await add_job(connection)
        attempt_id = await add_attempt(connection, job_id, state=state, slot=None, **columns)
        await connection.execute(
            sa.update(attempts).values(created_at=attempts.c.created_at - int(age_s * 1000))
        )
        assert await trials.trial_began(connection, UP, FAMILY, attempt_id=attempt_id)


async def broken(database):
    async with database.read() as connection:
        return await breakers.get_one_or_none(connection, UP, FAMILY)


ENDS = [
    (AttemptState.UNSOLD, 0, "open", 30_000, 0),
    (AttemptState.UNCERTAIN, 0, "open", 60_000, 1),
    (AttemptState.WRITTEN_OFF, 0, "open", 60_000, 1),
    (AttemptState.BOUGHT, 0, "closed", 30_000, 0),
    (AttemptState.RESERVED, 60, "trying", 30_000, 0),
    (AttemptState.SENDING, 60, "trying", 30_000, 0),
    (AttemptState.ACCEPTED, 1799, "trying", 30_000, 0),
    (AttemptState.ACCEPTED, 1801, "open", 60_000, 1),
    (AttemptState.SENDING, 1801, "open", 60_000, 1),
]


@pytest.mark.parametrize(("state", "age_s", "then", "wait_ms", "uncertain"), ENDS)
async def test_a_trial_that_no_run_told_of_ends_all_the_same(
    database, state, age_s, then, wait_ms, uncertain
):
    """Its job was cancelled, its worker died, or nothing came for twice the time that a generation may be pending."""
    await trying(database, state, age_s=age_s)
    for _ in range(2):
        await Releases(database, UP, settings=SETTINGS).end_lost_trials()

    now = await broken(database)
    assert (now.state, now.wait_ms, now.uncertain) == (then, wait_ms, uncertain)


async def test_a_trial_whose_row_is_gone_ends(database):
    """Pruned, or restored from a backup."""
    await trying(database, AttemptState.SENDING)
    async with database.write() as connection:
        await connection.execute(sa.delete(attempts))
    await Releases(database, UP, settings=SETTINGS).end_lost_trials()

    assert (await broken(database)).state == "open"


class Probe:
    """The free probe, and how often it was asked."""

    def __init__(self, *, failing):
        self.failing = failing
        self.asked = 0

    async def __call__(self):
        self.asked += 1
        return self


async def test_the_vendor_is_probed_only_while_a_breaker_is_open(database):
    """Trials go while it answers; an answer is believed for a while only."""
    silent, answering = Probe(failing=True), Probe(failing=False)
    await probing.probe_while_open(database, UP, silent)
    assert silent.asked == 0

    async with database.write() as connection:
        for _ in range(SETTINGS.breaker.failures):
            await breakers.failed(connection, UP, FAMILY, message="HTTP 503", settings=SETTINGS.breaker)
        await connection.execute(sa.update(breaker_rows).values(trial_at=now_ms() - 1))

    async def flow():
        async with database.read() as connection:
            return (await read_gate(connection, UP, SETTINGS)).family(FAMILY)

    seen = [await flow()]
    for probe in (silent, answering):
        await probing.probe_while_open(database, UP, probe)
        seen.append(await flow())
    async with database.write() as connection:
        await connection.execute(sa.update(breaker_rows).values(probed_at=now_ms() - 41_000))
    seen.append(await flow())
    assert seen == [Flow.SHUT, Flow.SHUT, Flow.TRIAL, Flow.SHUT]


async def test_failures_in_four_processes_open_the_breaker_once(database, base_settings):
    """Whoever counts the fifth; refusals, switches and failures at the same moment never wait in a circle."""
    program = Path(__file__).parent.parent / "support" / "failing.py"
    url = base_settings.database_url
    spec = {
        "home": str(base_settings.home),
        "database_url": None if url is None else url.get_secret_value(),
        "breaker": {"failures": 50, "minimum": 10_000},
        "kinds": ["NotSent", "InflightLimit", "OutcomeUnknown", "CreditsExhausted"],
        "count": 40,
    }
    root = Path(pressroom.__file__).parents[2]
    processes = [
        subprocess.Popen(  # noqa: ASYNC220 - it only starts one
            [sys.executable, str(program), json.dumps(spec)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        )
        for _ in range(4)
    ]
    ended = [await asyncio.to_thread(process.communicate) for process in processes]

    assert [process.returncode for process in processes] == [0] * 4, ended
    events = b"".join(errors for _, errors in ended)
    assert (events.count(b"breaker.opened"), events.count(b"database.waiting")) == (1, 0)
    assert ((await broken(database)).state, (await broken(database)).failures) == ("open", 80)
    async with database.read() as connection:
        found = await connection.execute(sa.select(notices.c.kind))
        kinds = sorted(found.scalars())
        assert [one.cause for one in await stops.all_stops(connection, UP)] == ["credits"]
    assert kinds == ["breaker.opened", "credits.exhausted"]
    assert [state for state, *_ in await states(database)].count(JobState.HELD) == 40
