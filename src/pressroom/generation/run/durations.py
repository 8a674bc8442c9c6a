"""How long each operation usually takes, learned from what was seen, and the pace of polling that follows from it."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEPT = 64
"""Durations remembered for each kind of call."""

POLLS = 24
"""Polls at most over the slowest usual time, before the pace slows: a slot whose end is seen late stands empty."""

LEAST_S = 0.01
"""Seconds. Polling sooner than this is pointless next to the POST itself."""

OVERSHOOT = 0.8
"""A generation found ended at its first poll took at most the time waited: remembered as this share of the usual time,
so that the learned time walks down to the true one; only a generation seen pending makes it longer."""


TIME_FIELDS = (
    "rendering_speed",
    "quality",
    "num_images",
    "size",
    "resolution",
    "resolution_tier",
    "output_resolution",
    "upscale_factor",
)
"""Fields of a vendor's request that mostly decide how long it takes."""


def kind_of(call: Mapping[str, Any]) -> str:
    """Equal for calls that take about as long; `call` as the job's row has it."""
    fields = call["fields"]
    return json.dumps([call["operation"], *(fields.get(name) for name in TIME_FIELDS)])


@dataclass
class Durations:
    """
    Observed times from acceptance to end, by kind of call.

    Args:
        first_s: Seconds assumed before anything was seen.
        every_s: Seconds between two polls until the slowest usual time.
        most_s: Seconds. Longest wait between two polls.
    """

    first_s: float
    every_s: float
    most_s: float
    _seen: dict[str, deque[float]] = field(default_factory=dict)

    def learn(self, kind: str, *, pending_at: float | None, ended_at: float) -> None:
        """
        Remember one generation.

        Args:
            kind: Equal for calls that take about as long.
            pending_at: Seconds after acceptance when it was last seen pending; None when the first poll found its end.
            ended_at: Seconds after acceptance when its end was seen.
        """
        if pending_at is None:
            # Not more than was meant to be waited: a machine that sleeps too long would teach itself to sleep longer.
            seconds = min(ended_at, self._usual(kind)[0]) * OVERSHOOT
        else:
            seconds = (pending_at + ended_at) / 2
        self._seen.setdefault(kind, deque(maxlen=KEPT)).append(seconds)

    def waits(self, kind: str) -> Iterator[float]:
        """Seconds to wait before each poll: the earliest usual time, a steady pace to the slowest one, then slower."""
        earliest, slowest = self._usual(kind)
        first = max(LEAST_S, earliest)
        yield first
        pace = min(self.every_s, max(LEAST_S, slowest / POLLS))
        waited = first
        while waited < slowest:
            yield pace
            waited += pace
        while True:
            yield pace
            pace = min(self.most_s, pace * 1.5)

    def _usual(self, kind: str) -> tuple[float, float]:
        seen = sorted(self._seen.get(kind, ()))
        if not seen:
            return self.first_s, self.first_s * 3
        return seen[len(seen) // 10], seen[min(len(seen) - 1, len(seen) * 99 // 100)]
