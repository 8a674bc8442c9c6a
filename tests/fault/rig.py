"""One pressroom beside one emulator, and what a fault test does with both."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.judge import judge, read_evidence
from tests.support.place import until

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.support.emulator import Entry, RunningEmulator
    from tests.support.place import Place
    from tests.support.processes import Worker, Workers


@dataclass
class Rig:
    """
    An emulator, a place, workers, and the count of what was done to them.

    Attributes:
        signals: Kills and stops of workers, outages of the store: faults that the emulator does not know of.
    """

    emulator: RunningEmulator
    workers: Workers
    place: Place
    signals: int = 0
    _acted_before: int = field(default=0)

    def start(self, place: Place | None = None, **traps: str) -> Worker:
        """Start a worker, in another place if one is given."""
        return self.workers.start(place or self.place, **traps)

    def killed(self, worker: Worker) -> None:
        """Wait until a worker's own trap has killed it, and count that."""
        worker.wait_until_killed()
        self.signals += 1

    def kill(self, worker: Worker) -> None:
        """Kill a worker from outside, and count that."""
        worker.kill()
        self.signals += 1

    def paused(self, point: str, **request: Any) -> tuple[Worker, str]:
        """
        A worker stopped at a point of a job, and that job.

        A process stopped in the middle of a transaction of another of its tasks keeps SQLite's write lock until it
        goes on; that is not what these tests are about, so then another job is taken.
        """
        owner = self.start(stop_at=point)
        for number in range(20):
            [job] = self.place.submit(name=f"a kite, try {number}", **request)
            owner.wait_until_stopped()
            if self.place.is_free():
                self.signals += 1
                return owner, job
            owner.resume(again=True)
            self.place.wait_until_settled([job])
        raise AssertionError(f"the database was busy at each of 20 stops at {point}")

    def bought_for(self, job: str) -> int:
        """Generations with the prompt of a job."""
        [row] = self.place.rows("SELECT request FROM jobs WHERE id = ?", job)
        prompt = json.loads(row["request"])["prompt"]
        return sum(
            entry.prompt == prompt for entry in self.emulator.control.ledger(pictures=False, prompts=True)
        )

    def fault(self, name: str, operation: str = "*", **rule: Any) -> int:
        """Script a fault at the emulator, once unless the rule says otherwise; `first=None` is always."""
        rule = {"first": 1, **rule}
        if rule["first"] is None:
            del rule["first"]
        return self.emulator.control.fault(name, operation, **rule)

    def clear_faults(self) -> None:
        """Take the script back; what it did stays counted."""
        self._acted_before += self._acted_now()
        self.emulator.control.clear_faults()

    def injected(self) -> int:
        """Faults that really happened so far."""
        return self.signals + self._acted_before + self._acted_now()

    def _acted_now(self) -> int:
        return sum(rule.acted for rule in self.emulator.control.faults())

    def ledger(self) -> list[Entry]:
        """What the vendor accepted."""
        return self.emulator.control.ledger(pictures=False)

    def wait_for_accepted(self, count: int = 1) -> None:
        """Wait until the vendor has accepted so many generations."""
        until(lambda: len(self.ledger()) >= count, f"{count} accepted generations")

    def settled(self, jobs: Collection[str], **judged: Any) -> list[str]:
        """Wait until nothing moves any more, have it judged, and return the states reached."""
        states = self.place.wait_until_settled(jobs)
        findings = judge(read_evidence(self.place, self.emulator.control), **judged)
        assert not findings, "\n".join(findings)
        return states
