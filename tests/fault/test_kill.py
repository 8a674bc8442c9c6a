"""kill -9 at every named point of a run: another worker goes on where the rows say, and nothing is bought twice."""

from __future__ import annotations

import pytest
from tests.support.processes import until

LOST = "uncertain: lost answer"
WIRES = ["auto", "v3"]

POINTS = {
    "jobs.dispatched": "completed",
    "run.started": "completed",
    "run.purchasing": "completed",
    "run.sending": LOST,
    "run.posted": LOST,
    "run.bought": "completed",
    "run.downloading": "completed",
    "run.spooled": "completed",
    "run.fetched": "completed",
    "run.stored": "completed",
    "run.home": "completed",
}
"""Event at which the worker dies, and the state in which its job must end."""

POINTS_OF_POLLING = {"run.accepted": "completed", "run.polled": "completed"}
"""Only an asynchronous wire has these."""

CASES = [(wire, point, state) for wire in WIRES for point, state in POINTS.items()] + [
    ("auto", point, state) for point, state in POINTS_OF_POLLING.items()
]


@pytest.mark.parametrize(("wire", "point", "state"), CASES, ids=[f"{wire}-{point}" for wire, point, _ in CASES])
def test_a_worker_killed_at_a_named_point_is_survived(rig, wire, point, state):
    """The next worker brings the job to its end; only a purchase cut off between two rows needs a person."""
    jobs = rig.place.submit(wire=wire)
    rig.killed(rig.start(kill_at=point))
    rig.start()
    assert rig.settled(jobs) == [state]
    assert len(rig.ledger()) == (0 if point == "run.sending" else 1)
