"""What `pressroom breaker list` says about the next trial."""

from __future__ import annotations

import time

import pytest

from pressroom.cli.breaker import NEXT_JOB, WAITS_FOR_KEY, WAITS_FOR_PROBE, _of_breaker, _of_stop
from pressroom.fleet.breakers import ORDERED, Breaker, BreakerState
from pressroom.fleet.stops import Stop

LONG_AGO, FAR = 1_000, 4_102_444_800_000
NOW = int(time.time() * 1000)


def breaker(state, **values):
    row = {
        "failures": 5,
        "failed_at": NOW,
        "opened_at": NOW,
        "trial_at": LONG_AGO,
        "wait_ms": 30_000,
        "uncertain": 0,
        "trial_attempt": None,
        "probed_at": None,
        "probe_answered": None,
        "message": "it failed",
    }
    return Breaker(upstream="up", family="v2/generate", state=state, **{**row, **values})


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (breaker(BreakerState.CLOSED, trial_at=None), None),
        (breaker(BreakerState.TRYING), "on its way"),
        (breaker(BreakerState.OPEN, trial_at=FAR), "2100-01-01T00:00:00Z"),
        (breaker(BreakerState.OPEN), WAITS_FOR_PROBE),
        (breaker(BreakerState.OPEN, probed_at=NOW, probe_answered=False), WAITS_FOR_PROBE),
        (breaker(BreakerState.OPEN, probed_at=NOW, probe_answered=True), NEXT_JOB),
        (breaker(BreakerState.OPEN, trial_at=ORDERED), NEXT_JOB),
    ],
)
def test_a_breaker_says_when_its_trial_goes_or_what_it_waits_for(one, says):
    """Never a time that has passed."""
    assert _of_breaker(one, probe_s=600.0)["next_trial"] == says


@pytest.mark.parametrize(
    ("cause", "trial_at", "says"),
    [
        ("credits", FAR, "2100-01-01T00:00:00Z"),
        ("credits", LONG_AGO, NEXT_JOB),
        ("key:0123", LONG_AGO, WAITS_FOR_KEY),
    ],
)
def test_a_stop_says_it_too(cause, trial_at, says):
    """A key is tried by free requests, not by a purchase."""
    stop = Stop(upstream="up", cause=cause, since=NOW, trial_at=trial_at, message="refused")

    assert _of_stop(stop)["next_trial"] == says
