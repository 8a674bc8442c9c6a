"""The database restarts, is away, or is cut off from one worker: nothing is lost, nothing is bought twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.cable import cable
from tests.support.place import until

LOST = "uncertain: lost answer"

PATIENT = {"dead_after_s": 2.0, "fresh_s": 1.0}
"""So that a busy machine is not taken for a dead worker, where the test says that nobody dies."""

pytestmark = pytest.mark.slow

ON_POSTGRES = pytest.mark.parametrize("kind", ["postgres"], indirect=True)


@pytest.fixture
def server(rig, postgres):
    """The server of the rig's database, which a test may stop."""
    yield postgres
    if not postgres.runs:
        postgres.start()


def restart(rig, server):
    """As after a crash of the server."""
    server.restart("immediate")
    rig.signals += 1


@ON_POSTGRES
@pytest.mark.parametrize("moment", ["worker.died", "runs.handed_on", "run.started"])
def test_a_server_restarted_during_a_takeover_loses_nothing(rig, server, moment):
    """The engine's hand-over is repeated, and every job of the dead worker goes on or is asked about."""
    jobs = rig.place.submit(6)
    rig.killed(rig.start(kill_at="run.accepted:3"))
    heir = rig.start()
    heir.wait_for(moment)
    restart(rig, server)
    states = rig.settled(jobs)
    assert set(states) <= {"completed", LOST}
    later = rig.place.submit(2, name="a kite")
    assert rig.come_home(later)


@ON_POSTGRES
def test_a_server_that_is_away_for_several_leases_kills_nobody(rig, server):
    """Both workers wait under load; nobody is taken for dead, facts learned meanwhile are written afterwards."""
    rig.place.values["fleet"] = PATIENT
    rig.emulator.control.settings(time_scale=0.05)
    jobs = [*rig.place.submit(12), *rig.place.submit(12, wire="v3", name="a boat")]
    workers = [rig.start(), rig.start()]
    rig.wait_for_accepted(4)
    server.stop("immediate")
    rig.signals += 1
    for worker in workers:
        worker.wait_for("worker.beat_failed", times=45)
    server.start()
    assert rig.come_home(jobs)
    assert len(rig.ledger()) == 24
    assert [worker.count("worker.died") for worker in workers] == [0, 0]
    assert workers[0].end() == 0
    later = rig.place.submit(2, name="a kite")
    assert rig.come_home(later)


@ON_POSTGRES
@pytest.mark.parametrize(
    "how",
    [
        "hang",
        "lost",
        "reset",
        "deaf",
    ],
)
def test_a_worker_cut_off_from_the_database_buys_nothing_and_comes_back(rig, server, how):
    """The other worker takes its jobs over; what the cut one had learned is written when the cable is mended."""
    rig.place.values["fleet"] = PATIENT
    rig.emulator.control.settings(time_scale=0.1)
    with cable(server.port) as line:
        beyond = rig.place.address.replace(f":{server.port}/", f":{line.port}/")
        far = rig.start(replace(rig.place, database=beyond))
        jobs = [*rig.place.submit(4), *rig.place.submit(3, wire="v3", name="a boat")]
        rig.wait_for_accepted(3)
        line.cut(how)
        rig.signals += 1
        near = rig.start()
        near.wait_for("worker.died")
        begun = far.count("run.sending")
        meanwhile = rig.place.submit(4, name="a kite")
        until(lambda: rig.place.states(meanwhile) == ["completed"] * 4, "the kites", tell=rig.place.logs)
        assert far.count("run.sending") == begun
        line.mend()
        far.wait_for("worker.revived")
        everything = [*jobs, *meanwhile]
        assert rig.come_home(everything)
        assert len(rig.ledger()) == 11
        assert far.count("worker.died") == 0
        assert near.end() == 0
        later = rig.place.submit(2, name="a late kite")
        assert rig.come_home(later)
        assert far.end() == 0
