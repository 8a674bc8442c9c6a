"""One pressroom beside one emulator, and what a fault test does with both."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from tests.support.judge import judge, read_evidence
from tests.support.place import until

from pressroom.fleet.controls import changed
from pressroom.fleet.tables import breakers, limits, stops, switches
from pressroom.generation.decisions import Decision

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.support.emulator import Entry, RunningEmulator
    from tests.support.place import Place
    from tests.support.processes import Worker, Workers

    from pressroom.app import App


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
        goes on (Postgres ends it after `silent_s`); that is not what these tests are about, so then another job is taken.
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

    def start_afresh(self) -> None:
        """Take back the script, what the fleet has concluded from it, and let jobs that were held for it come to an end."""
        self.clear_faults()

        async def forgive(app: App) -> None:
            async with app.database.write() as connection:
                await changed(connection, app.upstream)
                for table in (breakers, limits, stops, switches):
                    await connection.execute(sa.delete(table))
            held = [row["id"] for row in self.place.rows("SELECT id FROM jobs WHERE state = 'held'")]
            await app.decisions.decide(Decision.RETRY, held)

        self.place.ask(forgive)
        self.place.wait_until_settled([row["id"] for row in self.place.rows("SELECT id FROM jobs")])

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

    def come_home(self, jobs: Collection[str], **judged: Any) -> bool:
        """Wait until every job is completed, by way of whatever passes by itself, and have it judged."""
        wanted = ["completed"] * len(jobs)
        until(
            lambda: self.place.states(jobs) == wanted, f"{len(jobs)} jobs to complete", tell=self.place.logs
        )
        return self.settled(jobs, **judged) == wanted

    def settled(self, jobs: Collection[str], **judged: Any) -> list[str]:
        """Wait until nothing moves any more, have it judged, and return the states reached."""
        states = self.place.wait_until_settled(jobs)
        findings = judge(read_evidence(self.place, self.emulator.control), **judged)
        assert not findings, "\n".join(findings)
        return states
