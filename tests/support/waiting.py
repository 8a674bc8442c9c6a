"""Wait for what happens elsewhere, and say what was expected when it does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def eventually(condition: Callable[[], object], *, within_s: float = 45.0, every_s: float = 0.1) -> None:
    """Return once `condition` holds; fail when it never does."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(every_s)
