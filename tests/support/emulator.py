"""
Emulators for tests: as a real process or in a thread, and their control path with types.

    with emulator_process(tmp_path / "books.sqlite", time_scale=0) as emulator:
        emulator.control.fault("reset_after", first=1)
        ...
        assert emulator.control.totals().generations == 1

Both run apart from the test's own event loop, so `Control` may be called from synchronous and asynchronous tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

import pressroom.emulator
from pressroom.emulator import EmulatorOptions, run_embedded, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

START_S = 15.0
"""Seconds within which an emulator must answer."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Entry:
    """One generation of the ledger. Money in micro-dollars, times in Unix seconds."""

    seq: int
    id: str
    operation: str
    model: str
    api_key_fingerprint: str
    accepted_at: float
    ready_at: float | None
    state: str
    failure_reason: str | None
    billed_micros: int
    num_images: int
    seeds: list[int]
    safe: list[bool]
    width: int
    height: int
    prompt_sha256: str
    sha256: list[str] = field(default_factory=list)
    prompt: str | None = None

    @property
    def safe_sha256(self) -> list[str]:
        """Hashes of the pictures that can be downloaded."""
        return [digest for digest, safe in zip(self.sha256, self.safe, strict=True) if safe]


@dataclass(frozen=True)
class Flight:
    """Requests in flight: now, allowed, most that were accepted, most that were asked for."""

    now: int
    limit: int
    high_water: int
    wanted: int


@dataclass(frozen=True)
class Totals:
    """Counts over all instances on the books."""

    generations: int
    pending: int
    completed: int
    failed: int
    billed_micros: int
    images: int
    unsafe_images: int
    posts_received: int
    posts: dict[str, dict[str, int]]
    in_flight: Flight


@dataclass(frozen=True)
class FaultState:
    """A rule of the script with what it has seen and done."""

    rule_id: int
    fault: str
    operation: str
    rate: float
    first: int | None
    after: int
    starts_at: float
    ends_at: float | None
    params: dict[str, Any]
    seen: int
    acted: int


class Control:
    """The control path of an emulator. Blocks; the emulator must not run in the caller's event loop."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        with httpx2.Client(base_url=self._base_url, timeout=60.0, trust_env=False) as client:
            answer = client.request(method, f"/_emulator/{path}", json=body)
        if answer.status_code >= 400:
            raise AssertionError(f"control path: {answer.status_code} {answer.text}")
        told: dict[str, Any] = answer.json()
        return told

    def ledger(self, *, pictures: bool = True, prompts: bool = False) -> list[Entry]:
        """Every accepted generation, in the order of acceptance."""
        query = f"ledger?pictures={str(pictures).lower()}&prompts={str(prompts).lower()}"
        return [Entry(**entry) for entry in self._call("GET", query)["generations"]]

    def totals(self) -> Totals:
        """Counts and marks."""
        told = self._call("GET", "totals")
        return Totals(**{**told, "in_flight": Flight(**told["in_flight"])})

    def fault(self, name: str, operation: str = "*", **rule: object) -> int:
        """Post a rule (`rate`, `first`, `after`, `start_s`, `window_s`, `params`); its number."""
        return int(self._call("POST", "faults", {"fault": name, "operation": operation, **rule})["rule_id"])

    def faults(self) -> list[FaultState]:
        """The script."""
        return [FaultState(**rule) for rule in self._call("GET", "faults")["faults"]]

    def clear_faults(self, rule_id: int | None = None) -> int:
        """Delete one rule or all; how many there were."""
        path = "faults" if rule_id is None else f"faults/{rule_id}"
        return int(self._call("DELETE", path)["deleted"])

    def settings(self, **values: object) -> dict[str, Any]:
        """Change settings; all that apply."""
        return self._call("POST", "settings", values)

    def release(self, generation_id: str | None = None) -> int:
        """End stuck generations; how many there were."""
        return int(self._call("POST", "release", {"generation_id": generation_id})["released"])

    def reset(self) -> None:
        """Forget everything but the ids used."""
        self._call("POST", "reset")


@dataclass(frozen=True)
class RunningEmulator:
    """An emulator that answers at `base_url`; `pid` is set where it is a process of its own."""

    base_url: str
    control: Control
    pid: int | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.base_url.rsplit(":", 1)[1])

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        assert self.pid is not None, "only an emulator with a process of its own can be killed"
        os.kill(self.pid, signal.SIGKILL)


def _options(books: Path, options: dict[str, Any]) -> EmulatorOptions:
    keys = options.get("api_keys")
    return EmulatorOptions(books, **{**options, "api_keys": None if keys is None else frozenset(keys)})


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the emulator ended with code {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(0.02)
    raise AssertionError("the emulator did not start")


@contextlib.contextmanager
def emulator_process(books: Path, *, port: int | None = None, **options: Any) -> Iterator[RunningEmulator]:
    """
    An emulator as a process of its own.

    Args:
        books: The SQLite file of its books.
        port: Port to listen on, None for a free one.
        options: Fields of `EmulatorOptions`; `api_keys` as any collection of strings.
    """
    port = free_port() if port is None else port
    keys = options.get("api_keys")
    spec = {**options, "api_keys": None if keys is None else sorted(keys)}
    source = str(Path(pressroom.emulator.__file__).parents[2])
    command = [sys.executable, __file__, str(books), str(port), json.dumps(spec)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": source})
    try:
        _wait_until_it_answers(port, process)
        base_url = f"http://127.0.0.1:{port}"
        yield RunningEmulator(base_url, Control(base_url), process.pid)
    finally:
        process.terminate()
        process.wait(timeout=START_S)


@contextlib.contextmanager
def emulator_thread(books: Path, **options: Any) -> Iterator[RunningEmulator]:
    """An emulator in a thread with an event loop of its own; arguments as for `emulator_process`, without a port."""
    loop = asyncio.new_event_loop()
    ready: list[str] = []
    started, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        try:
            async with run_embedded(_options(books, options)) as base_url:
                ready.append(base_url)
                started.set()
                await stop.wait()
        finally:
            started.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), name="emulator")
    thread.start()
    try:
        assert started.wait(START_S), "the emulator did not start"
        assert ready, "the emulator failed to start; its traceback stands above"
        yield RunningEmulator(ready[0], Control(ready[0]))
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_S)
        loop.close()


if __name__ == "__main__":
    serve(_options(Path(sys.argv[1]), json.loads(sys.argv[3])), port=int(sys.argv[2]))
