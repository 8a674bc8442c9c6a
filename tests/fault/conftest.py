"""What fault tests share: an emulator, workers, and the count of faults that were really injected."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.fault.rig import Rig
from tests.support.emulator import emulator_thread
from tests.support.place import Place
from tests.support.processes import Spares, Workers
from tests.support.tables import forget_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAULTS = "injected faults"

IMPATIENT = {
    "client": {"async_post_s": 0.6, "sync_post_s": 0.6, "download_limit_bytes": 1_000_000},
    "fleet": {"slot_life_s": 0.2, "refused_trial_s": 3600.0},
    "generation": {"download_tries": 3},
}
"""Settings with which lost answers, oversized pictures and hopeless ones show at once."""


@pytest.fixture(scope="session")
def spares() -> Iterator[Spares]:
    """Worker processes that have loaded already."""
    with Spares() as opened:
        yield opened


@contextmanager
def opened_rig(
    folder: Path, spares: Spares, *, template: Path | None = None, database: str | None = None, **values: Any
) -> Iterator[Rig]:
    """
    An emulator of its own, an upgraded database, and workers that end with it.

    Args:
        folder: Where everything is.
        spares: Where workers come from.
        template: The SQLite file to copy, where the database is one.
        database: Its address, where it is on a server.
        values: Settings on top of those of every place.
    """
    home = folder / "home"
    home.mkdir()
    if template is not None:
        shutil.copy(template, home / "pressroom.sqlite")
    with emulator_thread(folder / "books.sqlite", time_scale=0) as emulator, Workers(spares) as workers:
        place = Place(home, base_url=emulator.base_url, values=values, database=database)
        yield Rig(emulator=emulator, workers=workers, place=place)
    forget_tables()


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The rig's database: SQLite, unless a test is parametrised with `kind` (`indirect`)."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path, spares: Spares, kind: str) -> Iterator[Rig]:
    """A rig for one test."""
    where: dict[str, Any] = (
        {"database": request.getfixturevalue("upgraded_postgres")}
        if kind == "postgres"
        else {"template": request.getfixturevalue("sqlite_template")}
    )
    with opened_rig(tmp_path, spares, **where) as opened:
        yield opened
        request.node.user_properties.append((FAULTS, opened.injected()))


@pytest.fixture(scope="module")
def working_rig(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, spares: Spares
) -> Iterator[Rig]:
    """A rig whose one worker goes through a whole table of faults; see `shared_rig`."""
    folder = tmp_path_factory.mktemp("rig")
    with opened_rig(folder, spares, template=sqlite_template, **IMPATIENT) as opened:
        opened.start()
        yield opened


@pytest.fixture
def shared_rig(request: pytest.FixtureRequest, working_rig: Rig) -> Iterator[Rig]:
    """The same rig for every test of a module, without the faults of the test before."""
    before = working_rig.injected()
    yield working_rig
    working_rig.start_afresh()
    request.node.user_properties.append((FAULTS, working_rig.injected() - before))


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
