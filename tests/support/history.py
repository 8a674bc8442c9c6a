"""The version before, as its source: what was released runs beside what is written now."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

BEFORE_THE_FLEET = "718d8bb"
"""The last commit whose schema is 0001."""

UNKNOWN_BEFORE_THE_FLEET = frozenset({"limit", "breaker", "fleet.switch_cache_s", "fleet.key_look_s"})
"""Settings of every place that it does not take."""

ROOT = Path(__file__).parents[2]


def source_of(commit: str, folder: Path) -> Path:
    """The folder that holds pressroom as it was at `commit`; skips where this copy has no such history."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", commit, "src"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this copy has no history to take {commit} from ({type(error).__name__})")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"
