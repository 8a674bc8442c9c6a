"""What will be done to the fleet, and when: the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WORKERS = 3
QUIET_S = 3.0
"""Seconds at the beginning with submissions only, so that there is something to disturb."""

LONG_S = 300.0
"""Seconds from which on a soak is long enough for a database that is away for `AWAY_S`."""
AWAY_S = 30.0

PROJECTS = ("shop", "press", "default")
WIRES = ("auto", "v4", "v3", "legacy")
PURCHASE = "*.generate*"

FAULTS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("429_inflight_limit", PURCHASE, {}),
    ("429_retry_after", PURCHASE, {"seconds": 1}),
    ("402_insufficient_funds", PURCHASE, {}),
    ("402_daily_limit", PURCHASE, {}),
    ("401", PURCHASE, {}),
    ("422", PURCHASE, {}),
    ("unsafe", PURCHASE, {}),
    ("500", PURCHASE, {}),
    ("503_after", PURCHASE, {}),
    ("reset_after", PURCHASE, {}),
    ("reset_before", PURCHASE, {}),
    ("truncated_body", PURCHASE, {}),
    ("lost_answer_close", PURCHASE, {}),
    ("failed_generation", "v2.generate", {}),
    ("poll_500", "*.poll", {}),
    ("poll_reset", "*.poll", {}),
    ("poll_404", "*.poll", {}),
    ("poll_401", "*.poll", {}),
    ("download_reset", "download", {}),
    ("download_corrupt", "download", {}),
    ("download_503", "download", {}),
    ("download_410", "download", {}),
)
"""Fault of the emulator, operations, parameters."""

CUTS = ("reset", "hang", "deaf", "lost")


@dataclass(frozen=True, order=True)
class Event:
    """
    One thing to do.

    Attributes:
        at_s: Seconds after the beginning.
        what: Name of a method of `Stage`.
        facts: Its arguments.
    """

    at_s: float
    what: str
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)


def plan(seed: int, seconds: float, *, postgres: bool) -> list[Event]:
    """
    Every event of a soak, in order.

    Args:
        seed: Of all choices.
        seconds: Length. Whatever is broken is whole again by then.
        postgres: Whether the server can be restarted and cut off; a file can be locked.
    """
    chance = random.Random(seed)
    kinds = _kinds(postgres=postgres)
    events = [Event(0.0, "submit", _batch(chance)), Event(0.5, "submit", _batch(chance))]
    at = QUIET_S
    while at < seconds:
        [make] = chance.choices([make for _, make in kinds], [weight for weight, _ in kinds])
        events += [event for event in make(chance, at) if event.at_s <= seconds]
        at += chance.uniform(0.2, 1.2)
    if postgres and seconds >= LONG_S:
        middle = seconds / 2
        events += [Event(middle, "database_goes"), Event(middle + AWAY_S, "database_comes")]
    return sorted(events)


def _kinds(*, postgres: bool) -> list[tuple[int, Callable[[random.Random, float], list[Event]]]]:
    """Weight, and what makes the events."""
    return [
        (10, lambda chance, at: [Event(at, "submit", _batch(chance))]),
        (3, lambda chance, at: [Event(at, "kill", {"number": chance.randrange(WORKERS)})]),
        (1, lambda chance, at: [Event(at, "swap", {"number": chance.randrange(WORKERS)})]),
        (2, _pause),
        (5, _fault),
        (2, _crowd),
        (1, _storage),
        (2, _cut if postgres else _lock),
        (1, _outage if postgres else _lock),
        (2, _switch),
        (2, _budget),
    ]


def _batch(chance: random.Random) -> dict[str, Any]:
    return {
        "count": chance.randint(2, 12),
        "wire": chance.choice(WIRES),
        "project": chance.choice(PROJECTS),
        "priority": chance.choice(("interactive", "batch")),
        "name": f"a kite {chance.randrange(10**9)}",
    }


def _pause(chance: random.Random, at: float) -> list[Event]:
    number = chance.randrange(WORKERS)
    return [
        Event(at, "pause", {"number": number}),
        Event(at + chance.uniform(0.1, 4.0), "resume", {"number": number}),
    ]


def _fault(chance: random.Random, at: float) -> list[Event]:
    name, operation, params = chance.choice(FAULTS)
    share, length_s = chance.choice((0.2, 0.5, 1.0)), chance.uniform(0.5, 3.0)
    rule = {"name": name, "operation": operation, "rate": share, "window_s": length_s, "params": dict(params)}
    return [Event(at, "fault", rule)]


def _crowd(chance: random.Random, at: float) -> list[Event]:
    """Others use the same key, so that fewer places are left for us."""
    left = chance.randint(1, 5)
    return [
        Event(at, "crowd", {"left": left}),
        Event(at + chance.uniform(1.0, 4.0), "crowd", {"left": None}),
    ]


def _storage(chance: random.Random, at: float) -> list[Event]:
    return [Event(at, "store_goes"), Event(at + chance.uniform(1.0, 6.0), "store_comes")]


def _cut(chance: random.Random, at: float) -> list[Event]:
    number = chance.randrange(WORKERS)
    return [
        Event(at, "cut", {"number": number, "how": chance.choice(CUTS)}),
        Event(at + chance.uniform(0.3, 5.0), "mend", {"number": number}),
    ]


def _outage(chance: random.Random, at: float) -> list[Event]:
    """Mostly a restart; now and then away for longer than a lease."""
    away_s = chance.choice((0.0, 0.0, 2.0, 5.0))
    return [Event(at, "database_goes"), Event(at + away_s, "database_comes")]


def _lock(chance: random.Random, at: float) -> list[Event]:
    return [Event(at, "lock_file"), Event(at + chance.uniform(0.5, 3.0), "unlock_file")]


def _switch(chance: random.Random, at: float) -> list[Event]:
    name, value = chance.choice(
        (("mode", "disabled"), ("mode", "fallback"), ("batch", "paused"), ("concurrency", "2"))
    )
    return [
        Event(at, "switch", {"name": name, "value": value}),
        Event(at + chance.uniform(1.0, 4.0), "switch", {"name": name, "value": "default"}),
    ]


def _budget(chance: random.Random, at: float) -> list[Event]:
    scope = chance.choice(("day", "total", *(f"project:{name}" for name in PROJECTS)))
    return [
        Event(at, "budget", {"scope": scope, "left_usd": chance.choice(("0", "0.20", "1"))}),
        Event(at + chance.uniform(1.0, 5.0), "budget", {"scope": scope, "left_usd": None}),
    ]
