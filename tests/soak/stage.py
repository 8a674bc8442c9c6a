"""The fleet under soak, and everything that is done to it; each public method is an event of the plan."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.fault.rig import Rig
from tests.soak.plan import WORKERS
from tests.support.cable import Cable, cable
from tests.support.tables import SQLITE

from pressroom.errors import Busy, DatabaseError
from pressroom.ideogram import ImageRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.cable import Cut
    from tests.support.postgres import PostgresServer
    from tests.support.processes import Worker
    from tests.support.storage_server import StorageServer

    from pressroom.app import App

LIMIT = 8
"""Places in flight of this fleet; the vendor's own limit is 10."""

MICROS = Decimal(1_000_000)
MUCH_USD = 100_000
"""More than any soak spends."""


class Stage:
    """
    Three workers, each with a cable of its own to the database.

    Args:
        rig: Emulator, place and processes.
        server: Of the database; None for a SQLite file.
        store: Where the pictures go.
        stack: Closes what this opens.
    """

    def __init__(
        self, rig: Rig, server: PostgresServer | None, store: StorageServer, stack: ExitStack
    ) -> None:
        self.rig = rig
        self.counts: Counter[str] = Counter()
        self._server = server
        self._store = store
        self._stack = stack
        self._cables: list[Cable | None] = [
            stack.enter_context(cable(server.port)) if server else None for _ in range(WORKERS)
        ]
        self._workers: list[Worker] = []
        self._lock: sqlite3.Connection | None = None

    def begin(self) -> None:
        """Start every worker."""
        self._workers = [self._started(number) for number in range(WORKERS)]

    def tend(self) -> None:
        """Start workers that have ended by themselves anew, as a supervisor does."""
        for number, worker in enumerate(self._workers):
            if worker.process.poll() is not None:
                self.counts["worker started anew by its supervisor"] += 1
                self._workers[number] = self._started(number, ready=False)

    def do(self, what: str, **facts: Any) -> None:
        """Carry an event out, and count it; what needs a database that is away is counted as impossible."""
        try:
            getattr(self, what)(**facts)
        except (DatabaseError, Busy):
            self.counts[f"{what}: not possible then"] += 1
        else:
            self.counts[what] += 1

    def make_whole(self) -> None:
        """Take every disturbance back."""
        self.database_comes()
        self.unlock_file()
        self.store_comes()
        for number in range(WORKERS):
            self.mend(number)
            self.resume(number)
        self.rig.clear_faults()
        self.crowd(None)
        self.rig.emulator.control.release()

    def end(self) -> list[int]:
        """End every worker in order; their exit codes."""
        return [worker.end() for worker in self._workers]

    def submit(self, count: int, wire: str, project: str, priority: str, name: str) -> None:
        """Several jobs at once."""
        requests = [ImageRequest(prompt=f"{name}, {number}", seed=number) for number in range(count)]
        self.ask(lambda app: app.submit_many(requests, wire=wire, project=project, priority=priority))
        self.counts["jobs submitted"] += count

    def kill(self, number: int) -> None:
        """kill -9; another worker begins in its place."""
        self.rig.kill(self._workers[number])
        self._workers[number] = self._started(number, ready=False)

    def swap(self, number: int) -> None:
        """SIGTERM, and another worker in its place."""
        self.resume(number)
        self._workers[number].process.terminate()
        self._workers[number] = self._started(number, ready=False)

    def pause(self, number: int) -> None:
        """SIGSTOP."""
        self._workers[number].pause()
        self.rig.signals += 1

    def resume(self, number: int) -> None:
        """SIGCONT."""
        self._workers[number].resume(again=True)

    def fault(self, name: str, operation: str, **rule: Any) -> None:
        """The vendor misbehaves for a while."""
        self.rig.fault(name, operation, first=None, **rule)

    def crowd(self, left: int | None) -> None:
        """How many places others leave to us."""
        self.rig.emulator.control.settings(inflight_limit=10 if left is None else left)

    def store_goes(self) -> None:
        """The store refuses connections."""
        self._store.go_away()
        self.rig.signals += 1

    def store_comes(self) -> None:
        """It is back with all that it held."""
        if not self._store.listens:
            self._store.come_back()

    def database_goes(self) -> None:
        """The server ends as in a crash."""
        if self._server is not None and self._server.runs:
            self._server.stop("immediate")
            self.rig.signals += 1

    def database_comes(self) -> None:
        """It is back."""
        if self._server is not None and not self._server.runs:
            self._server.start()

    def cut(self, number: int, how: Cut) -> None:
        """A worker's cable to the database is cut."""
        line = self._cables[number]
        if line is not None:
            line.cut(how)
            self.rig.signals += 1

    def mend(self, number: int) -> None:
        """It is whole again."""
        line = self._cables[number]
        if line is not None:
            line.mend()

    def lock_file(self) -> None:
        """Somebody holds the SQLite file's write lock."""
        if self._lock is None:
            path = self.rig.place.address.removeprefix(SQLITE)
            lock = sqlite3.connect(path, timeout=20, isolation_level=None)
            lock.execute("BEGIN IMMEDIATE")
            self._lock = lock
            self.rig.signals += 1

    def unlock_file(self) -> None:
        """And lets it go."""
        if self._lock is not None:
            self._lock.execute("ROLLBACK")
            self._lock.close()
            self._lock = None

    def switch(self, name: str, value: str) -> None:
        """A switch of the whole fleet."""
        self.ask(lambda app: app.set_switch(name, value, who="soak", reason="soak"))

    def budget(self, scope: str, left_usd: str | None) -> None:
        """A cap so close to what was spent that it holds jobs; None takes it away."""

        async def work(app: App) -> None:
            if left_usd is None:
                await app.set_budget(scope, None, who="soak")
                return
            now = await app.set_budget(scope, MUCH_USD, who="soak")
            used_usd = Decimal(now.settled_micros + now.reserved_micros) / MICROS
            await app.set_budget(scope, used_usd + Decimal(left_usd), who="soak")

        self.ask(work)

    def objects(self, bucket: str, prefix: str) -> dict[str, str]:
        """What the store holds."""
        return self._store.objects(bucket, prefix)

    def ask(self, work: Callable[[App], Awaitable[Any]]) -> Any:
        """Do something with an app in this process."""
        return self.rig.place.ask(work)

    def _started(self, number: int, *, ready: bool = True) -> Worker:
        place, line = self.rig.place, self._cables[number]
        if line is not None and self._server is not None:
            beyond = place.address.replace(f":{self._server.port}/", f":{line.port}/")
            place = replace(place, database=beyond)
        return self.rig.workers.start(place, ready=ready)
