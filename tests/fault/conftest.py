"""What fault tests share: an emulator, workers, and the count of faults that were really injected."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.fault.rig import Rig
from tests.support.emulator import emulator_thread
from tests.support.processes import Place, Workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAULTS = "injected faults"


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Iterator[Rig]:
    """An emulator of its own, an upgraded SQLite database, and workers that end with the test."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(sqlite_template, home / "pressroom.sqlite")
    with emulator_thread(tmp_path / "books.sqlite", time_scale=0) as emulator, Workers() as workers:
        made = Rig(emulator=emulator, workers=workers, place=Place(home, base_url=emulator.base_url))
        yield made
        request.node.user_properties.append((FAULTS, made.injected()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many faults were injected by tests that passed; with several processes, by all of them together."""
    failed = {report.nodeid for report in terminalreporter.getreports("failed")}
    counts = {
        report.nodeid: count
        for report in terminalreporter.getreports("")
        for name, count in getattr(report, "user_properties", ())
        if name == FAULTS and report.nodeid not in failed
    }
    if counts:
        terminalreporter.write_line(f"{sum(counts.values())} faults were injected in {len(counts)} tests")
