"""SIGSTOP, then SIGCONT, of the worker that has a job: it is shut out, and nothing is bought twice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.support.processes import until

LOST = "uncertain: lost answer"


@dataclass(frozen=True)
class Pause:
    """
    One point at which the owner is paused.

    Attributes:
        alone: State that the other worker brings the job to meanwhile.
        shown: Event by which the paused worker shows that it has gone on and noticed.
        end: State in the end.
        bought: Generations in the end.
    """

    wire: str
    point: str
    alone: str
    shown: str
    end: str
    bought: int = 1


PAUSES = [
    Pause("auto", "run.started", "completed", "run.left", "completed"),
    Pause("auto", "run.purchasing", "completed", "run.left", "completed"),
    Pause("auto", "run.sending", LOST, "run.left", LOST, bought=0),
    Pause("auto", "run.posted", LOST, "run.accepted", "completed"),
    Pause("auto", "run.accepted", "completed", "run.overtaken", "completed"),
    Pause("auto", "run.polled", "completed", "run.overtaken", "completed"),
    Pause("auto", "run.spooled", "completed", "worker.revived", "completed"),
    Pause("auto", "run.stored", "completed", "run.overtaken", "completed"),
    Pause("v3", "run.sending", LOST, "run.left", LOST, bought=0),
    Pause("v3", "run.posted", LOST, "run.bought", "completed"),
    Pause("v3", "run.downloading", "completed", "worker.revived", "completed"),
    Pause("v3", "run.stored", "completed", "run.overtaken", "completed"),
]


@pytest.mark.parametrize("pause", PAUSES, ids=[f"{pause.wire}-{pause.point}" for pause in PAUSES])
def test_a_paused_owner_is_shut_out(rig, pause):
    """Another worker takes over; what the paused one learned late still counts, what it would do late does not."""
    jobs = rig.place.submit(wire=pause.wire)
    owner = rig.start(stop_at=pause.point)
    rig.stopped(owner)
    rig.start()
    assert rig.settled(jobs) == [pause.alone]
    owner.resume()
    owner.wait_for("worker.revived")
    owner.wait_for(pause.shown)
    until(lambda: rig.place.states(jobs) == [pause.end], f"the job to be {pause.end}", tell=rig.place.logs)
    assert rig.settled(jobs) == [pause.end]
    assert len(rig.ledger()) == pause.bought


def test_an_owner_resumed_while_another_worker_is_buying_leaves_that_purchase_alone(rig):
    """The attempt is the other worker's by then: to call it unsold would buy the picture twice."""
    jobs = rig.place.submit()
    owner = rig.start(stop_at="run.purchasing")
    rig.stopped(owner)
    rig.fault("delay_after", params={"seconds": 1.2})
    buyer = rig.start()
    rig.wait_for_accepted()
    owner.resume()
    owner.wait_for("run.left")
    assert buyer.count("run.posted") == 0, "the owner was to go on while the other one waits for its answer"
    assert rig.settled(jobs) == ["completed"]
    assert len(rig.ledger()) == 1


def test_both_workers_go_on_together_after_a_pause(rig):
    """A worker that was taken for dead counts as alive again, and new jobs come home whoever takes them."""
    rig.place.submit()
    owner = rig.start(stop_at="run.polled")
    rig.stopped(owner)
    other = rig.start()
    other.wait_for("worker.died")
    owner.resume()
    owner.wait_for("worker.revived")
    jobs = rig.place.submit(8, name="a kite")
    assert rig.settled(jobs) == ["completed"] * 8
    assert {row["state"] for row in rig.place.rows("SELECT state FROM workers")} == {"live"}
    assert [worker.end() for worker in (owner, other)] == [0, 0]
    assert {row["state"] for row in rig.place.rows("SELECT state FROM workers")} == {"stopped"}
