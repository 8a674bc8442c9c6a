"""kill -9 at every named point of a run: another worker goes on where the rows say, and nothing is bought twice."""

from __future__ import annotations

import pytest
from tests.support.place import until

LOST = "uncertain: lost answer"
POLLED, AT_ONCE = ("auto", "v4"), ("v3", "legacy")
"""Wires that acknowledge and are polled, and wires that answer with the picture."""
WIRES = [*POLLED, *AT_ONCE]
KINDS = ["sqlite", "postgres"]

POINTS = {
    "jobs.dispatched": "completed",
    "run.started": "completed",
    "run.purchasing": "completed",
    "run.sending": LOST,
    "run.posted": LOST,
    "run.accepted": "completed",
    "run.polled": "completed",
    "run.bought": "completed",
    "run.downloading": "completed",
    "run.spooled": "completed",
    "run.stored": "completed",
    "run.home": "completed",
}
"""Event at which the worker dies, and the state in which its job must end."""

ONLY_POLLED = {"run.accepted", "run.polled"}

BOTH_WAYS = pytest.mark.parametrize(
    ("kind", "wire"),
    [("sqlite", "auto"), ("postgres", "v3")],
    ids=["sqlite-auto", "postgres-v3"],
    indirect=["kind"],
)
"""Each way to buy once, and each database once."""


def every_point():
    """
    Every point on every wire and every database.

    The quick suite has each point once on a wire of either sort, each time on another database; the rest is slow.
    """
    for number, (point, state) in enumerate(POINTS.items()):
        for wire in WIRES:
            if wire in AT_ONCE and point in ONLY_POLLED:
                continue
            for kind in KINDS:
                sort = AT_ONCE if wire in AT_ONCE else POLLED
                its_turn = sort.index(wire) == number % 2
                its_place = KINDS.index(kind) == (number // 2 + (sort is AT_ONCE)) % 2
                marks = () if its_turn and its_place else (pytest.mark.slow,)
                yield pytest.param(kind, wire, point, state, marks=marks, id=f"{kind}-{wire}-{point}")


@pytest.mark.parametrize(("kind", "wire", "point", "state"), [*every_point()], indirect=["kind"])
def test_a_worker_killed_at_a_named_point_is_survived(rig, wire, point, state):
    """The next worker brings the job to its end; only a purchase cut off between two rows needs a person."""
    jobs = rig.place.submit(wire=wire)
    rig.killed(rig.start(kill_at=point))
    rig.start()
    assert rig.settled(jobs) == [state]
    assert len(rig.ledger()) == (0 if point == "run.sending" else 1)


@BOTH_WAYS
def test_a_worker_killed_while_the_answer_is_on_its_way_leaves_one_purchase_and_a_question(rig, wire):
    """The vendor has accepted; nobody here can know, so nobody buys again."""
    rig.fault("delay_after", params={"seconds": 20})
    jobs = rig.place.submit(wire=wire)
    worker = rig.start()
    rig.wait_for_accepted()
    rig.kill(worker)
    rig.start()
    assert rig.settled(jobs) == [LOST]
    assert len(rig.ledger()) == 1


@pytest.mark.parametrize("wire", ["auto", "v3"])
def test_a_worker_killed_in_the_middle_of_a_download_leaves_nothing_half(rig, wire):
    """The next worker fetches the picture anew; the piece that came stays nowhere."""
    rig.fault("download_drip", params={"bytes": 200, "seconds": 0.2})
    jobs = rig.place.submit(wire=wire)
    worker = rig.start()
    until(lambda: list(rig.place.home.glob("spool/at_*/.*.part")), "a picture to begin to come")
    rig.kill(worker)
    rig.start()
    assert rig.settled(jobs) == ["completed"]


@pytest.mark.parametrize("point", ["run.spooled:2", "run.stored"])
@BOTH_WAYS
def test_a_worker_killed_between_the_pictures_of_one_job_keeps_all_of_them(rig, wire, point):
    """What is on the spool or in the store already is used, the rest is fetched, and each has one record."""
    jobs = rig.place.submit(wire=wire, num_images=3)
    rig.killed(rig.start(kill_at=point))
    rig.start()
    assert rig.settled(jobs) == ["completed"]
    assert rig.place.rows("SELECT count(*) FROM assets")[0][0] == 3


def test_a_picture_damaged_on_the_spool_is_fetched_again(rig):
    """A file that a dying disk left under its final name is no picture, and is not stored."""
    jobs = rig.place.submit()
    rig.killed(rig.start(kill_at="run.spooled"))
    [spooled] = rig.place.home.glob("spool/at_*/0")
    spooled.write_bytes(spooled.read_bytes()[:100])
    rig.signals += 1
    rig.start()
    assert rig.settled(jobs) == ["completed"]


def test_a_worker_killed_while_it_polls_an_uncertain_job_is_followed_by_another_poll(rig):
    """A generation that is pending for too long stays asked after, whoever dies."""
    rig.place.values["generation"] = {"pending_limit_s": 0.3}
    rig.fault("stuck_pending")
    jobs = rig.place.submit()
    worker = rig.start()
    worker.wait_for("run.uncertain")
    assert rig.place.states(jobs) == ["uncertain: pending"]
    rig.kill(worker)
    follower = rig.start()
    follower.wait_for("run.polled")
    rig.emulator.control.release()
    until(lambda: rig.place.states(jobs) == ["completed"], "the generation to come home")
    assert rig.settled(jobs) == ["completed"]
    assert len(rig.ledger()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "wire"), [("sqlite", "legacy"), ("postgres", "auto"), ("postgres", "v4")], indirect=["kind"]
)
def test_a_job_survives_worker_after_worker(rig, wire):
    """One job, one purchase, and a worker killed at every point where that leaves no question."""
    jobs = rig.place.submit(wire=wire)
    points = [
        "jobs.dispatched",
        "run.started",
        "run.purchasing",
        *(["run.accepted", "run.polled"] if wire in POLLED else []),
        "run.bought",
        "run.downloading",
        "run.spooled",
        "run.stored",
        "run.home",
    ]
    for point in points:
        rig.killed(rig.start(kill_at=point))
    rig.start()
    assert rig.settled(jobs) == ["completed"]
    assert len(rig.ledger()) == 1


@BOTH_WAYS
def test_one_of_two_workers_killed_while_jobs_flow_loses_and_repeats_nothing(rig, wire):
    """Twenty jobs, eight places in flight: what the dead worker had is finished by the other or asked about."""
    rig.emulator.control.settings(time_scale=0.04)
    jobs = rig.place.submit(20, wire=wire)
    doomed, _ = rig.start(kill_at="run.posted:5"), rig.start()
    rig.killed(doomed)
    states = rig.settled(jobs)
    assert set(states) <= {"completed", LOST}
    assert states.count("completed") >= 12
    # What the dead worker had committed as `sending` may not have left.
    assert states.count("completed") <= len(rig.ledger()) <= 20
    assert rig.emulator.control.totals().in_flight.high_water <= 8
