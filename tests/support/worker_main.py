"""
A worker for tests: `pressroom worker`, which also kills or stops itself at a named event of its own log.

It loads everything first and then waits for one line of JSON on standard input: `environment`, `home` to work in, and
`log` to write to. So a test has a worker at once that began to load while the test before was waiting for something.

`PRESSROOM_TEST_KILL_AT=run.posted` sends SIGKILL to this process the moment that event is logged, `run.posted:3` the
third time. `PRESSROOM_TEST_STOP_AT` sends SIGSTOP, and after SIGCONT once more at the same event of another job, unless
the file named by `PRESSROOM_TEST_GO` is there by then: a process may be stopped while another of its tasks holds the
database, and then the test has to try again. The product has no hook for this: its log is the only thing used.

`PRESSROOM_TEST_VERSION` is the version that this worker says it is of. SIGUSR1 makes it write where its threads are.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pressroom.cli import main as pressroom


class Trap(logging.Handler):
    """Does something to this process when an event has been logged so many times."""

    def __init__(self, where: str, go: Path | None) -> None:
        super().__init__(logging.DEBUG)
        self._event, _, times = where.partition(":")
        self._left = int(times or 1)
        self._go = go
        self._let_pass: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        event = record.msg if isinstance(record.msg, dict) else {}
        if event.get("event") != self._event or event.get("job") in self._let_pass:
            return
        self._left -= 1
        if self._left > 0:
            return
        if self._go is None:
            os.kill(os.getpid(), signal.SIGKILL)
        elif not self._go.exists():
            os.kill(os.getpid(), signal.SIGSTOP)
            self._let_pass.add(event["job"])


def load() -> None:
    """Import what a worker imports."""
    for name in ("cli.worker", "cli.opening", "app", "engine", "generation.worker", "spend.prices"):
        importlib.import_module(f"pressroom.{name}")


def say_version(version: str) -> None:
    """Be of another version: the engine then gives us only runs of that one."""
    for name in ("engine", "generation.worker"):
        sys.modules[f"pressroom.{name}"].__dict__["APPLICATION_VERSION"] = version


def become(order: dict[str, Any]) -> None:
    """Take on the environment, the folder and the log that a test has ordered."""
    os.environ.update(order["environment"])
    os.chdir(order["home"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)


def main() -> None:
    load()
    line = sys.stdin.readline()
    if not line:
        return
    become(json.loads(line))
    faulthandler.register(signal.SIGUSR1)
    kill_at, stop_at, go = (os.environ.pop(f"PRESSROOM_TEST_{name}") for name in ("KILL_AT", "STOP_AT", "GO"))
    if version := os.environ.pop("PRESSROOM_TEST_VERSION", ""):
        say_version(version)
    for where, file in ((kill_at, None), (stop_at, Path(go))):
        if where:
            logging.getLogger("pressroom").addHandler(Trap(where, file))
    sys.argv = ["pressroom", "worker"]
    pressroom()


if __name__ == "__main__":
    main()
