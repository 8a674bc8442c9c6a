"""
Workers as real processes, and what a test does with them.

    place = Place(home, base_url=emulator.base_url)
    with Spares() as spares, Workers(spares) as workers:
        doomed = workers.start(place, kill_at="run.posted")
        jobs = place.submit(2)
        doomed.wait_until_killed()
        workers.start(place)
        place.wait_until_settled(jobs)

Everything blocks, so emulators must run in a thread or process of their own. Every wait looks at the database, the log
or the process again and again until its deadline; none sleeps for a fixed time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.place import WAIT_S, Place, tail_of, until

import pressroom

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

LOOK_S = 0.5
"""Seconds that a process gets to write where its threads are."""


@dataclass(frozen=True)
class Worker:
    """One worker process, its log, and the file that takes its trap away."""

    process: subprocess.Popen[bytes]
    place: Place
    log: Path
    go: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def events(self) -> list[dict[str, Any]]:
        """What it has logged so far; lines that are not events are left out."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def count(self, event: str, **facts: object) -> int:
        """How often it has logged an event with these facts."""
        return sum(found["event"] == event and facts.items() <= found.items() for found in self.events())

    def wait_for(self, event: str, *, times: int = 1, **facts: object) -> None:
        """Wait until it has logged an event so many times."""

        def look() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the worker ended with {self.process.returncode}:\n{self.tail()}")
            return self.count(event, **facts) >= times

        until(look, f"{event} in the log of worker {self.pid}", tell=self.tail)

    def wait_until_ready(self) -> None:
        self.wait_for("worker.started")

    def wait_until_killed(self) -> None:
        """Wait until its own trap has killed it."""
        until(lambda: self.process.poll() is not None, f"worker {self.pid} to be killed", tell=self.tail)
        assert self.process.returncode == -signal.SIGKILL, self.tail()

    def wait_until_stopped(self) -> None:
        """Wait until its own trap has stopped it."""

        def look() -> bool:
            pid, status = os.waitpid(self.pid, os.WUNTRACED | os.WNOHANG)
            if pid and not os.WIFSTOPPED(status):
                self.process.returncode = os.waitstatus_to_exitcode(status)
                raise AssertionError(f"the worker ended with {self.process.returncode}:\n{self.tail()}")
            return bool(pid)

        until(look, f"worker {self.pid} to stop", tell=self.tail)

    def kill(self) -> None:
        """SIGKILL from outside, and wait for the end."""
        self.process.kill()
        self.process.wait(WAIT_S)

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self, *, again: bool = False) -> None:
        """SIGCONT; `again` leaves its trap set for the next job."""
        if not again:
            self.go.touch()
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> int:
        """SIGTERM, and wait for the orderly end; the exit code."""
        self.process.terminate()
        until(lambda: self.process.poll() is not None, f"worker {self.pid} to end", tell=self.threads)
        assert self.process.returncode is not None
        return self.process.returncode

    def threads(self) -> str:
        """The end of its log with what its threads are at, for one that does not end."""
        self.process.send_signal(signal.SIGUSR1)
        time.sleep(LOOK_S)
        return tail_of(self.log, lines=200)

    def tail(self) -> str:
        """The last lines of its log, for the message of a failed test."""
        return tail_of(self.log)


class Spares:
    """
    Worker processes that have loaded everything and wait to be told where to work; leaving it ends them.

    Args:
        count: How many wait at least.
        source: The folder that holds pressroom; this one's, unless an older one is wanted.
    """

    def __init__(self, count: int = 1, *, source: Path | None = None) -> None:
        self._count = count
        self._source = source or Path(pressroom.__file__).parents[1]
        self._waiting: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._waiting:
            process.communicate()

    def take(self) -> subprocess.Popen[bytes]:
        """The one that has waited longest; another one begins to load in its place."""
        while len(self._waiting) <= self._count:
            self._waiting.append(self._load())
        return self._waiting.pop(0)

    def _load(self) -> subprocess.Popen[bytes]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PRESSROOM_", "IDEOGRAM_"))
        }
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker_main.py"))],
            env={**inherited, "PYTHONPATH": str(self._source)},
            stdin=subprocess.PIPE,
        )


class Workers:
    """The workers of one test; leaving it kills those that are left."""

    def __init__(self, spares: Spares) -> None:
        self._spares = spares
        self.started: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self.started:
            if worker.process.poll() is None:
                worker.kill()

    def start(
        self, place: Place, *, kill_at: str = "", stop_at: str = "", version: str = "", ready: bool = True
    ) -> Worker:
        """
        Start a worker in a place; one without a trap is waited for until it works.

        Args:
            place: Its folder and settings.
            kill_at: Event at which it kills itself, `run.posted` or `run.posted:3`.
            stop_at: Event at which it stops itself.
            version: Which version of the code it says it is; the current one where nothing is said.
            ready: False to go on at once, as where it cannot work yet.
        """
        place.home.mkdir(parents=True, exist_ok=True)
        log, go = (place.home / f"worker-{len(self.started)}.{ending}" for ending in ("log", "go"))
        traps = {
            "PRESSROOM_TEST_KILL_AT": kill_at,
            "PRESSROOM_TEST_STOP_AT": stop_at,
            "PRESSROOM_TEST_GO": str(go),
            "PRESSROOM_TEST_VERSION": version,
        }
        order = {
            "environment": {**place.environment(), **traps},
            "home": str(place.home),
            "log": str(log),
        }
        log.touch()
        process = self._spares.take()
        assert process.stdin is not None
        with process.stdin as told:
            told.write(json.dumps(order).encode() + b"\n")
        worker = Worker(process, place, log, go)
        self.started.append(worker)
        if ready and not kill_at and not stop_at:
            worker.wait_until_ready()
        return worker
