"""Every fault that the emulator can play, and the state that it must bring a job to: the table of design section 3."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.place import until

from pressroom.emulator.faults import FAULTS

LOST = "uncertain: lost answer"
REFUSED = "failed: refused"
FILTERED = "filtered: refused"
HELD = "held: key"
MISSING = "failed: missing"


@dataclass(frozen=True)
class Case:
    """
    One fault on one wire.

    Attributes:
        fault: Name in the emulator's table.
        state: Where its job must end.
        accepted: Generations that the vendor then has accepted for it.
        wire: `auto` (v2, asynchronous) or `v3` (synchronous).
        first: How often it happens; None for as long as the test lasts.
    """

    fault: str
    state: str
    accepted: int = 1
    params: dict[str, Any] = field(default_factory=dict)
    wire: str = "auto"
    first: int | None = 1

    def __str__(self) -> str:
        times = {None: "-always", 1: ""}.get(self.first, f"-x{self.first}")
        given = "".join(f"-{value}" for value in self.params.values() if not isinstance(value, str))
        return f"{self.wire}-{self.fault}{times}{given}"


POST_ON_ANY_WIRE = [
    ("delay", "completed", 1, {"seconds": 0.1}),
    ("delay", LOST, 0, {"seconds": 2}),
    ("delay_after", "completed", 1, {"seconds": 0.1}),
    ("delay_after", LOST, 1, {"seconds": 2}),
    ("unsafe", FILTERED, 1, {}),
    ("reset_before", LOST, 0, {}),
    ("close_before", LOST, 0, {}),
    ("hang_before", LOST, 0, {"seconds": 2}),
    ("reset_after", LOST, 1, {}),
    ("lost_answer_close", LOST, 1, {}),
    ("lost_answer_hang", LOST, 1, {"seconds": 2}),
    ("truncated_body", LOST, 1, {}),
    ("malformed_json", LOST, 1, {}),
    ("slow_drip", "completed", 1, {"seconds": 0.01, "bytes": 64}),
    ("slow_drip", LOST, 1, {"seconds": 0.5, "bytes": 4}),
    ("error_in_200", LOST, 0, {"status_code": 500}),
    ("error_in_200", HELD, 0, {"status_code": 401}),
    ("error_in_200", FILTERED, 0, {"status_code": 422}),
    ("error_in_200", "completed", 1, {"status_code": 429}),
    ("error_in_200_after", LOST, 1, {"status_code": 500}),
    ("400", REFUSED, 0, {}),
    ("401", HELD, 0, {}),
    ("402_insufficient_funds", "held: credits", 0, {}),
    ("403", REFUSED, 0, {}),
    ("404", REFUSED, 0, {}),
    ("408", LOST, 0, {}),
    ("413", REFUSED, 0, {}),
    ("422", FILTERED, 0, {}),
    ("429", "completed", 1, {}),
    ("429_retry_after", "completed", 1, {"seconds": 1}),
    ("429_inflight_limit", "completed", 1, {}),
    ("500", LOST, 0, {}),
    ("500_after", LOST, 1, {}),
    ("502_after", LOST, 1, {}),
    ("503", LOST, 0, {}),
    ("503_after", LOST, 1, {}),
    ("504_after", LOST, 1, {}),
]
"""Fault, state, accepted generations, parameters."""

POST_ON_V2 = [
    Case("stuck_pending", "completed", params={"seconds": 0.5}),
    Case("failed_generation", "completed", accepted=2),
    Case("failed_generation", "failed: vendor", accepted=3, first=3),
    Case("failed_policy", FILTERED),
    Case("402_daily_limit", "held: quota", accepted=0),
    Case("402_subscription_required", REFUSED, accepted=0),
    Case("402_priority_credit_required", REFUSED, accepted=0),
    Case("402_feature_limit", REFUSED, accepted=0),
    Case("429_daily_limit", "held: quota", accepted=0),
]

POST_ON_V3 = [
    Case("stuck_pending", "completed", params={"seconds": 0.3}, wire="v3"),
    Case("failed_generation", LOST, wire="v3"),
    Case("failed_policy", FILTERED, wire="v3"),
]

POLLS = [
    Case("poll_delay", "completed", params={"seconds": 0.1}),
    Case("poll_delay", "completed", params={"seconds": 1.5}),
    Case("poll_400", "completed"),
    Case("poll_401", "completed"),
    Case("poll_404", "completed"),
    Case("poll_404", "uncertain: unknown id", first=None),
    Case("poll_429", "completed", params={"seconds": 1}),
    Case("poll_500", "completed", first=3),
    Case("poll_503", "completed", first=3),
    Case("poll_reset", "completed"),
    Case("poll_hang", "completed", params={"seconds": 1}),
    Case("poll_truncated", "completed"),
    Case("poll_malformed", "completed"),
]

DOWNLOADS_THAT_PASS = [
    ("download_delay", {"seconds": 0.2}),
    ("download_429", {}),
    ("download_500", {}),
    ("download_503", {}),
    ("download_reset", {}),
    ("download_hang", {"seconds": 1}),
    ("download_truncated", {}),
    ("download_drip", {"seconds": 0.01, "bytes": 2000}),
    ("download_cut", {}),
    ("download_corrupt", {}),
    ("download_garbage", {}),
    ("download_empty", {}),
    ("download_html", {}),
    ("download_text", {}),
    ("download_oversized", {"bytes": 1_100_000, "declared": False}),
    ("download_oversized", {"bytes": 1_100_000, "declared": True}),
    ("download_redirect", {"location": "/nowhere"}),
]

REFUSED_DOWNLOADS = ["download_403", "download_404", "download_410"]

CASES = [
    *(
        Case(fault, state, accepted, params, wire)
        for wire in ("auto", "v3")
        for fault, state, accepted, params in POST_ON_ANY_WIRE
    ),
    *POST_ON_V2,
    *POST_ON_V3,
    *POLLS,
    *(Case(fault, "completed", params=params) for fault, params in DOWNLOADS_THAT_PASS),
    *(Case(fault, "completed", first=2) for fault in REFUSED_DOWNLOADS),
    *(
        Case(fault, "completed", wire="v3")
        for fault in ("download_reset", "download_corrupt", "download_503")
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_brings_its_job_to_the_state_of_the_table(shared_rig, case):
    """The books agree with the vendor's after each, and the fault really happened."""
    before = len(shared_rig.ledger())
    rule = shared_rig.fault(
        case.fault, *OPERATIONS[FAULTS[case.fault].stage], first=case.first, params=case.params
    )
    [job] = shared_rig.place.submit(wire=case.wire, name=f"a kite in {case}")
    until(
        lambda: shared_rig.place.states([job]) == [case.state], case.state, tell=shared_rig.place.logs
    )  # by way of `held`, where the fleet finds out by itself that it goes on
    assert shared_rig.settled([job], missing=missing_so_far(shared_rig)) == [case.state]
    assert len(shared_rig.ledger()) - before == case.accepted
    acted = {found.rule_id: found.acted for found in shared_rig.emulator.control.faults()}[rule]
    assert acted >= (case.first or 1)


OPERATIONS = {"post": ("*.generate*",), "poll": ("*.poll",), "download": ("download",)}
"""For each stage the operations to be disturbed: quotes are POSTs too, and nobody pays for them."""


def missing_so_far(rig):
    """Jobs of earlier tests whose pictures the vendor did not hand out."""
    return frozenset(row["id"] for row in rig.place.rows("SELECT id FROM jobs WHERE reason = 'missing'"))


def test_the_table_leaves_no_fault_of_the_emulator_out():
    """A new fault comes with a line that says what it must lead to."""
    assert {case.fault for case in CASES} == FAULTS.keys()


HOPELESS = [
    *(Case(fault, MISSING, first=None, wire="v3") for fault in REFUSED_DOWNLOADS),
    Case("download_garbage", MISSING, first=None),
    Case("download_garbage", MISSING, first=None, wire="v3"),
    Case("download_oversized", MISSING, first=None, params={"bytes": 1_100_000}),
    Case("download_redirect", MISSING, first=None, params={"location": "file:///etc/hostname"}),
]


@pytest.mark.parametrize("case", HOPELESS, ids=str)
def test_a_picture_that_cannot_be_had_is_missing_until_a_retry_brings_it_home(shared_rig, case):
    """
    The job says so, nothing is bought anew for it, and once the address works again the picture is kept.

    The vendor's clock runs two hours behind, so that its addresses say of themselves that they are dead.
    """
    shared_rig.emulator.control.settings(clock_offset_s=-7200)
    shared_rig.fault(case.fault, "download", first=case.first, params=case.params)
    [job] = shared_rig.place.submit(wire=case.wire, name=f"a hopeless kite in {case}")
    assert shared_rig.settled([job], missing=frozenset({job})) == [MISSING]
    bought = len(shared_rig.ledger())
    shared_rig.clear_faults()
    shared_rig.place.ask(lambda app: app.decisions.retry(job))
    assert shared_rig.settled([job]) == ["completed"]
    assert len(shared_rig.ledger()) == bought
    shared_rig.emulator.control.settings(clock_offset_s=0)


@pytest.mark.parametrize("fault", sorted(REFUSED_DOWNLOADS))
def test_a_refusal_of_an_address_that_should_be_good_is_taken_for_a_passing_one(shared_rig, fault):
    """On a wire that cannot be asked for another address; the picture comes home in the end."""
    shared_rig.fault(fault, "download", first=2)
    [job] = shared_rig.place.submit(wire="v3", name=f"a kite refused with {fault}")
    assert shared_rig.settled([job]) == ["completed"]


def test_faults_at_random_lose_and_repeat_nothing(shared_rig):
    """Forty jobs while a third of everything goes wrong in one way or another: every one ends or says why not."""
    for fault, operations in (
        ("reset_after", "*.generate*"),
        ("truncated_body", "*.generate*"),
        ("500", "*.generate*"),
        ("429", "*.generate*"),
        ("poll_500", "*.poll"),
        ("poll_reset", "*.poll"),
        ("download_reset", "download"),
        ("download_corrupt", "download"),
    ):
        shared_rig.fault(fault, operations, first=None, rate=0.12)
    jobs = [
        *shared_rig.place.submit(20, name="a kite in the storm"),
        *shared_rig.place.submit(20, wire="v3", name="a boat in the storm"),
    ]
    states = shared_rig.settled(jobs)
    assert set(states) <= {"completed", LOST}
    assert states.count("completed") > states.count(LOST) > 0
