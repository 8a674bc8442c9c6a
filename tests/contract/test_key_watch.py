"""What a worker does about keys by itself, on both databases, with an emulator that knows which keys are good."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.support.emulator import emulator_thread
from tests.support.rows import add_attempt, add_job

from pressroom.fleet import stops, workers
from pressroom.fleet.key_file import KeyFile
from pressroom.fleet.keys import Keys, fingerprint_of
from pressroom.fleet.stops import key_cause
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.generation.tables import jobs
from pressroom.generation.upkeep.key_watch import KeyWatch, tell_refused
from pressroom.ideogram import Ideogram, Timeouts
from pressroom.notify.tables import notices
from pressroom.settings import FleetSettings
from pressroom.spend.attempts import AttemptState

OLD, NEW = "old-secret-key", "new-secret-key"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with emulator_thread(tmp_path_factory.mktemp("emulator") / "books.sqlite", time_scale=0) as emulator:
        yield emulator


class Fleet:
    """Workers with keys of their own on one database; every trial is due at once unless a test says otherwise."""

    def __init__(self, database, base_url):
        self.database = database
        self.base_url = base_url
        self.opened = []

    def worker(self, key=OLD, *, name="w1", trial_s=0.001, path=None):
        timeouts = Timeouts(connect=0.5, pool=0.5, poll=0.5)
        keys = Keys(lambda one: Ideogram(one, base_url=self.base_url, timeouts=timeouts), key, rest_s=1.0)
        self.opened.append(keys)

        async def on_refused(fingerprint):
            await tell_refused(self.database, "emulator", fingerprint)

        file = path and KeyFile(
            keys, lambda: path.read_text().strip(), on_refused=on_refused, ask_again_s=1000
        )
        return keys, KeyWatch(
            database=self.database,
            upstream="emulator",
            keys=keys,
            file=file,
            settings=FleetSettings(key_trial_s=trial_s),
            holder=name,
        )

    async def stop(self, key=OLD):
        cause = key_cause(fingerprint_of(key))
        async with self.database.write() as connection:
            await stops.stop(connection, "emulator", cause, trial_in_s=300, message="refused")

    async def stopped(self):
        async with self.database.read() as connection:
            return {one.cause for one in await stops.all_stops(connection, "emulator")}

    async def held(self, reason=HeldFor.KEY, *, sent=False):
        async with self.database.write() as connection:
            job = await add_job(connection, state=JobState.HELD, reason=reason)
            if sent:
                await add_attempt(connection, job, state=AttemptState.ACCEPTED, generation_id="g")
        return job

    async def states(self):
        async with self.database.read() as connection:
            found = await connection.execute(sa.select(jobs.c.id, jobs.c.state, jobs.c.continuing))
            return {row.id: (row.state, bool(row.continuing)) for row in found}


@pytest.fixture
async def fleet(database, running):
    running.control.reset()
    running.control.settings(api_keys=[OLD, NEW])
    made = Fleet(database, running.base_url)
    yield made
    for keys in made.opened:
        await keys.aclose()


async def test_a_stopped_key_that_is_taken_again_is_lifted_and_what_waited_for_it_goes_on(fleet):
    """Fresh jobs are bought anew, those that were accepted are polled; other reasons wait on."""
    fresh, accepted, other = await fleet.held(), await fleet.held(sent=True), await fleet.held("storage")
    await fleet.stop()
    keys, watch = fleet.worker()
    await watch.look()
    assert (await fleet.stopped(), keys.may_buy) == (set(), True)
    states = await fleet.states()
    assert {fresh: ("queued", False), accepted: ("queued", True), other: ("held", False)} == states


async def test_a_worker_says_which_key_it_buys_with(fleet, tmp_path):
    """At its first look, and when it has another."""
    path = tmp_path / "key"
    path.write_text(OLD)
    async with fleet.database.write() as connection:
        await workers.register(connection, "w1", upstream="emulator", version="1")
    _, watch = fleet.worker(path=path)
    for key in (OLD, NEW):
        path.write_text(key)
        await watch.look()
        async with fleet.database.read() as connection:
            assert await workers.keys_in_use(connection, "emulator", within_s=20) == {fingerprint_of(key)}


async def test_a_key_that_is_still_refused_stays_stopped(fleet, running):
    """The worker knows that it may not buy with it."""
    running.control.settings(api_keys=[NEW])
    job = await fleet.held()
    await fleet.stop()
    keys, watch = fleet.worker()
    await watch.look()
    assert (len(await fleet.stopped()), keys.may_buy) == (1, False)
    assert (await fleet.states())[job] == ("held", False)


async def test_a_vendor_that_fails_proves_nothing(fleet, running):
    """A 503 neither lifts a stop nor sets one."""
    running.control.fault("poll_503")
    await fleet.held()
    await fleet.stop()
    _, watch = fleet.worker()
    await watch.look()
    assert len(await fleet.stopped()) == 1
    _, other = fleet.worker(NEW, name="w2")
    await other.look()
    assert len(await fleet.stopped()) == 1


async def test_a_fresh_stop_is_not_tried_at_once_and_then_by_one_worker_only(fleet, running):
    """A probe every half minute over the whole fleet, not one from each worker each second."""
    running.control.settings(api_keys=[NEW])
    rule = running.control.fault("poll_delay", params={"seconds": 0})
    await fleet.stop()
    _, early = fleet.worker(trial_s=1000)
    await early.look()
    assert running.control.faults()[0].seen == 0

    async with fleet.database.write() as connection:
        await connection.execute(sa.text("UPDATE stops SET since = since - 2000000"))
    _, late = fleet.worker(name="w2", trial_s=1000)
    for watch in (early, late, early, late):
        await watch.look()
    assert [state.seen for state in running.control.faults() if state.rule_id == rule] == [1]


async def test_a_new_key_in_the_file_releases_what_waits_for_a_key_and_leaves_the_old_stop(
    fleet, running, tmp_path
):
    """The old key is still refused; whoever has only that one goes on buying nothing."""
    running.control.settings(api_keys=[NEW])
    path = tmp_path / "key"
    path.write_text(OLD)
    job = await fleet.held()
    await fleet.stop()
    keys, watch = fleet.worker(path=path, trial_s=1000)
    stale, stale_watch = fleet.worker(name="w2", trial_s=1000)
    path.write_text(NEW)
    await watch.look()
    await stale_watch.look()
    assert (keys.current().fingerprint, keys.may_buy, stale.may_buy) == (fingerprint_of(NEW), True, False)
    assert (await fleet.states())[job] == ("queued", False)
    assert await fleet.stopped() == {key_cause(fingerprint_of(OLD))}


async def test_a_new_key_that_was_stopped_once_is_proven_and_so_no_longer_stopped(fleet, tmp_path):
    """A rotation back to a key that the vendor had refused for a while."""
    path = tmp_path / "key"
    path.write_text(NEW)
    await fleet.stop(NEW)
    keys, watch = fleet.worker(path=path, trial_s=1000)
    await watch.look()
    assert (await fleet.stopped(), keys.current().fingerprint) == (set(), fingerprint_of(NEW))
    await watch.look()
    assert keys.may_buy


async def test_jobs_held_for_a_key_without_any_stop_go_on_once_the_current_key_is_proven(fleet):
    """After a crash between a lift and its release, after polls that no key was taken for, and after a restart."""
    job = await fleet.held(sent=True)
    _, watch = fleet.worker(trial_s=1000)
    await watch.look()
    assert (await fleet.states())[job] == ("queued", True)


async def test_a_refused_key_that_nobody_has_bought_with_is_stopped_by_its_probe(fleet, running):
    """Polls were refused: no purchase has to find it out."""
    running.control.settings(api_keys=[NEW])
    job = await fleet.held(sent=True)
    keys, watch = fleet.worker(trial_s=1000)
    await watch.look()
    assert (await fleet.stopped(), keys.may_buy) == ({key_cause(fingerprint_of(OLD))}, False)
    assert (await fleet.states())[job] == ("held", False)


async def test_people_are_told_once_of_a_refused_new_key(fleet, running, tmp_path):
    """Two workers see the same file; the notice holds no key."""
    running.control.settings(api_keys=[OLD])
    path = tmp_path / "key"
    path.write_text(NEW)
    for name in ("w1", "w2"):
        _, watch = fleet.worker(name=name, path=path)
        for _ in range(3):
            await watch.look()
    async with fleet.database.read() as connection:
        [notice] = (await connection.execute(sa.select(notices))).mappings()
    assert (notice["kind"], notice["severity"]) == ("key.refused", "P1")
    assert "secret" not in str(dict(notice))


async def test_a_replaced_key_stays_here_while_something_bought_with_it_is_in_flight(fleet, tmp_path):
    """Then it is closed; what comes later is asked for with the current one."""
    path = tmp_path / "key"
    path.write_text(NEW)
    async with fleet.database.write() as connection:
        job = await add_job(connection, state=JobState.RUNNING)
        attempt = await add_attempt(
            connection, job, state=AttemptState.ACCEPTED, key_fingerprint=fingerprint_of(OLD)
        )
    keys, watch = fleet.worker(path=path)
    await watch.look()
    assert keys.replaced() == [fingerprint_of(OLD)]
    async with fleet.database.write() as connection:
        await connection.execute(sa.text("UPDATE attempts SET slot = NULL WHERE id = :id"), {"id": attempt})
    await watch.look()
    assert keys.replaced() == []
