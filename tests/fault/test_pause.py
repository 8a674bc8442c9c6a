"""SIGSTOP, then SIGCONT, of the worker that has a job: it is shut out, and nothing is bought twice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.support.place import until

LOST = "uncertain: lost answer"


@dataclass(frozen=True)
class Pause:
    """
    One point at which the owner is paused.

    Attributes:
        alone: State that the other worker brings the job to meanwhile.
        shown: Events by any of which the paused worker shows that it has gone on.
        ends: The state in the end with the generations bought; two where either of its threads may go on first.
        kind: The database.
    """

    wire: str
    point: str
    alone: str
    shown: tuple[str, ...]
    ends: tuple[tuple[str, int], ...] = (("completed", 1),)
    kind: str = "sqlite"


NOT_SENT = ("run.taken_back", "run.superseded")
OVERTAKEN = ("run.overtaken",)
REVIVED = ("worker.revived",)
SENT_LATE_OR_NEVER = ((LOST, 0), ("completed", 1))

PAUSES = [
    Pause("auto", "run.started", "completed", NOT_SENT),
    Pause("auto", "run.purchasing", "completed", NOT_SENT),
    Pause("auto", "run.sending", LOST, (*NOT_SENT, *OVERTAKEN), SENT_LATE_OR_NEVER),
    Pause("auto", "run.posted", LOST, OVERTAKEN),
    Pause("v4", "run.purchasing", "completed", NOT_SENT, kind="postgres"),
    Pause("auto", "run.sending", LOST, (*NOT_SENT, *OVERTAKEN), SENT_LATE_OR_NEVER, kind="postgres"),
    Pause("v4", "run.posted", LOST, OVERTAKEN, kind="postgres"),
    Pause("auto", "run.polled", "completed", OVERTAKEN, kind="postgres"),
    Pause("legacy", "run.stored", "completed", OVERTAKEN, kind="postgres"),
    Pause("auto", "run.accepted", "completed", OVERTAKEN),
    Pause("auto", "run.polled", "completed", OVERTAKEN),
    Pause("auto", "run.spooled", "completed", REVIVED),
    Pause("auto", "run.stored", "completed", OVERTAKEN),
    Pause("v3", "run.sending", LOST, (*NOT_SENT, *OVERTAKEN), SENT_LATE_OR_NEVER),
    Pause("v3", "run.posted", LOST, OVERTAKEN),
    Pause("v3", "run.downloading", "completed", REVIVED),
    Pause("v3", "run.stored", "completed", OVERTAKEN),
]


@pytest.mark.parametrize(
    ("kind", "pause"),
    [
        pytest.param(pause.kind, pause, marks=pytest.mark.slow if pause.kind == "postgres" else ())
        for pause in PAUSES
    ],
    ids=[f"{pause.kind}-{pause.wire}-{pause.point}" for pause in PAUSES],
    indirect=["kind"],
)
def test_a_paused_owner_is_shut_out(rig, pause):
    """Another worker takes over; what the paused one learned late still counts, what it would do late does not."""
    owner, job = rig.paused(pause.point, wire=pause.wire)
    rig.start()
    assert rig.settled([job]) == [pause.alone]
    owner.resume()
    owner.wait_for("worker.revived")
    until(lambda: any(map(owner.count, pause.shown)), f"one of {pause.shown}", tell=rig.place.logs)
    ends = dict(pause.ends)
    until(lambda: rig.place.states([job])[0] in ends, f"the job to be one of {ends}", tell=rig.place.logs)
    [state] = rig.settled([job])
    assert rig.bought_for(job) == ends[state]


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_an_owner_resumed_while_another_worker_is_buying_leaves_that_purchase_alone(rig):
    """The attempt is the other worker's by then: to call it unsold would buy the picture twice."""
    owner, job = rig.paused("run.purchasing")
    rig.fault("delay_after", params={"seconds": 1.2})
    buyer = rig.start()
    until(lambda: rig.bought_for(job), "the other worker to buy", tell=rig.place.logs)
    owner.resume()
    until(lambda: any(map(owner.count, NOT_SENT)), f"one of {NOT_SENT}", tell=rig.place.logs)
    assert buyer.count("run.posted", job=job) == 0, "the owner was to go on before the other one's answer"
    assert rig.settled([job]) == ["completed"]
    assert rig.bought_for(job) == 1


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_both_workers_go_on_together_after_a_pause(rig):
    """A worker that was taken for dead counts as alive again, and new jobs come home whoever takes them."""
    owner, _ = rig.paused("run.polled")
    other = rig.start()
    other.wait_for("worker.died")
    owner.resume()
    owner.wait_for("worker.revived")
    jobs = rig.place.submit(8, name="a paper boat")
    assert rig.settled(jobs) == ["completed"] * 8
    assert {row["state"] for row in rig.place.rows("SELECT state FROM workers")} == {"live"}
    assert [worker.end() for worker in (owner, other)] == [0, 0]
    assert {row["state"] for row in rig.place.rows("SELECT state FROM workers")} == {"stopped"}
