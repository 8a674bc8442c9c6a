"""A rolling deploy: workers of an older version beside new ones, and a schema step under running workers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.fault.conftest import opened_rig
from tests.fault.rig import Rig
from tests.support.history import BEFORE_THE_FLEET, UNKNOWN_BEFORE_THE_FLEET, source_of
from tests.support.place import WAIT_S, Place
from tests.support.processes import Spares, Workers

LOST = "uncertain: lost answer"
OLDER = "1"

pytestmark = pytest.mark.slow


def on(*params):
    """The databases of a test."""
    return pytest.mark.parametrize("kind", params, indirect=True)


@on("sqlite", "postgres")
def test_an_older_worker_that_ends_in_order_leaves_the_rest_to_a_newer_one(rig):
    """What it has begun it finishes or hands on, and the newer one starts it under its own version."""
    rig.emulator.control.settings(time_scale=0.05)
    jobs = rig.place.submit(16)
    older = rig.start(version=OLDER)
    rig.wait_for_accepted(3)
    rig.start()
    assert older.end() == 0
    assert rig.come_home(jobs)
    assert len(rig.ledger()) == 16


@on("postgres", "sqlite")
def test_an_older_worker_that_is_killed_leaves_its_runs_to_a_newer_one(rig):
    """They were for its version alone; now nobody has that version, so the rows begin new runs."""
    rig.emulator.control.settings(time_scale=0.05)
    jobs = rig.place.submit(12)
    rig.killed(rig.start(version=OLDER, kill_at="run.accepted:4"))
    newer = rig.start()
    newer.wait_for("runs.of_old_version")
    states = rig.settled(jobs)
    assert set(states) <= {"completed", LOST}
    assert states.count("completed") >= 4


@on("sqlite", "postgres")
def test_every_worker_is_replaced_one_after_the_other_while_jobs_flow(rig):
    """The fleet never stands still, and a newer worker's runs are never begun by an older one."""
    rig.emulator.control.settings(time_scale=0.05)
    older = [rig.start(version=OLDER), rig.start(version=OLDER)]
    jobs = rig.place.submit(10)
    newer = []
    for number, worker in enumerate(older):
        newer.append(rig.start())
        jobs += rig.place.submit(6, name=f"a kite of day {number}")
        assert worker.end() == 0
    assert rig.come_home(jobs)
    assert len(rig.ledger()) == 22
    assert all(worker.count("worker.started") for worker in newer)


@pytest.fixture
def older_source(tmp_path_factory):
    """Pressroom before the fleet's schema step."""
    return source_of(BEFORE_THE_FLEET, tmp_path_factory.mktemp("older"))


def as_before(place: Place) -> Place:
    """The same place without the settings that the older pressroom does not know."""
    return replace(place, without=UNKNOWN_BEFORE_THE_FLEET)


@pytest.fixture
def older_rig(request, tmp_path, spares, older_source):
    """A rig whose database an older pressroom has made."""
    database = request.getfixturevalue("empty_postgres") if request.param == "postgres" else None
    with opened_rig(tmp_path, spares, database=database) as opened:
        before = as_before(opened.place)
        out, err = before.command("db", "upgrade", source=older_source).communicate(timeout=WAIT_S)
        assert "0001" in out + err
        yield opened


def submit_as_before(place: Place, source, count):
    """Jobs that the older pressroom has admitted."""
    commands = [
        place.command("generate", f"an old kite {number}", "--no-wait", "--json", source=source)
        for number in range(count)
    ]
    return [json.loads(command.communicate(timeout=WAIT_S)[0])["id"] for command in commands]


@pytest.mark.parametrize("older_rig", ["postgres", "sqlite"], indirect=True)
def test_the_schema_step_is_applied_under_workers_of_the_version_before(older_rig: Rig, older_source):
    """Real code of then: it goes on while the step is in place, and new workers take over what it leaves."""
    rig = older_rig
    rig.emulator.control.settings(time_scale=0.1)
    early = submit_as_before(as_before(rig.place), older_source, 3)
    with Spares(0, source=older_source) as old_spares, Workers(old_spares) as olders:
        older = olders.start(as_before(rig.place))
        rig.wait_for_accepted(1)
        upgrading = rig.place.command("db", "upgrade")
        upgrading.communicate(timeout=WAIT_S)
        assert upgrading.returncode == 0
        meanwhile = rig.place.submit(6, name="a boat")
        rig.wait_for_accepted(len(early) + 2)
        rig.start()
        assert older.count("worker.loop_failed") == 0, older.tail()
        assert older.end() == 0
    assert rig.come_home([*early, *meanwhile])
    assert len(rig.ledger()) == 9
