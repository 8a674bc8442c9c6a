"""
A worker for tests: `pressroom worker`, which also kills or stops itself at a named event of its own log.

`PRESSROOM_TEST_KILL_AT=run.posted` sends SIGKILL to this process the moment that event is logged, `run.posted:3` the
third time. `PRESSROOM_TEST_STOP_AT` sends SIGSTOP, again after each SIGCONT until the file named by
`PRESSROOM_TEST_GO` is there: so a process that was stopped while another of its threads held the database can be let
go on for a moment without leaving the point. The product has no hook for this: its log is the only thing used.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

LET_OTHERS_S = 0.01
"""Seconds that the other threads of a stopped process get before it stops again."""


class Trap(logging.Handler):
    """Does something to this process when an event has been logged so many times."""

    def __init__(self, where: str, go: Path | None) -> None:
        super().__init__(logging.DEBUG)
        self._event, _, times = where.partition(":")
        self._left = int(times or 1)
        self._go = go

    def emit(self, record: logging.LogRecord) -> None:
        if not isinstance(record.msg, dict) or record.msg.get("event") != self._event:
            return
        self._left -= 1
        if self._left == 0:
            self._spring()

    def _spring(self) -> None:
        if self._go is None:
            os.kill(os.getpid(), signal.SIGKILL)
            return
        while True:
            os.kill(os.getpid(), signal.SIGSTOP)
            if self._go.exists():
                return
            time.sleep(LET_OTHERS_S)


def main() -> None:
    kill_at, stop_at = (os.environ.pop(f"PRESSROOM_TEST_{name}_AT", "") for name in ("KILL", "STOP"))
    go = Path(os.environ.pop("PRESSROOM_TEST_GO"))
    for where, file in ((kill_at, None), (stop_at, go)):
        if where:
            logging.getLogger("pressroom").addHandler(Trap(where, file))
    from pressroom.cli import main as pressroom

    sys.argv = ["pressroom", "worker"]
    pressroom()


if __name__ == "__main__":
    main()
