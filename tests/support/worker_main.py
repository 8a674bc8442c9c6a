"""
A worker for tests: `pressroom worker`, which also kills or stops itself at a named event of its own log.

`PRESSROOM_TEST_KILL_AT=run.posted` sends SIGKILL to this process the moment that event is logged, `run.posted:3` the
third time; `PRESSROOM_TEST_STOP_AT` sends SIGSTOP. The product has no hook for this: its log is the only thing used.
"""

from __future__ import annotations

import logging
import os
import signal
import sys


class Trap(logging.Handler):
    """Sends this process a signal when an event has been logged so many times."""

    def __init__(self, where: str, number: signal.Signals) -> None:
        super().__init__(logging.DEBUG)
        self._event, _, times = where.partition(":")
        self._left = int(times or 1)
        self._number = number

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, dict) and record.msg.get("event") == self._event:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._number)


def main() -> None:
    for name, number in (
        ("PRESSROOM_TEST_KILL_AT", signal.SIGKILL),
        ("PRESSROOM_TEST_STOP_AT", signal.SIGSTOP),
    ):
        where = os.environ.pop(name, "")
        if where:
            logging.getLogger("pressroom").addHandler(Trap(where, number))
    from pressroom.cli import main as pressroom

    sys.argv = ["pressroom", "worker"]
    pressroom()


if __name__ == "__main__":
    main()
