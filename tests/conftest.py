"""What every test stands on: an environment of its own, and databases of both kinds."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from tests.support.parts import needs
from tests.support.postgres import PostgresServer, postgres_server

from pressroom.app.schema import upgrade
from pressroom.database import Database, DatabaseAddress
from pressroom.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

# The speed of a machine is no property of the code, so no profile has a deadline.
_slow_machine = [HealthCheck.too_slow]
settings.register_profile("quick", deadline=None, max_examples=60, suppress_health_check=_slow_machine)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=60,
    suppress_health_check=_slow_machine,
    print_blob=True,
    derandomize=True,
)
settings.register_profile("thorough", deadline=None, max_examples=2_000, suppress_health_check=_slow_machine)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "quick"))

OF_TESTS = {"PRESSROOM_VENDOR_OPENAPI"}
"""Variables that speak to the tests and not to pressroom."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's reaches a test, neither from the environment nor from a file."""
    for name in os.environ:
        if name.startswith(("PRESSROOM_", "IDEOGRAM_")) and name not in OF_TESTS:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Backend:
    """One kind of database; `prepare` gives a test the settings of an upgraded one of its own, for a home."""

    kind: str
    prepare: Callable[[Path], dict[str, object]]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upgraded SQLite file to copy."""
    home = tmp_path_factory.mktemp("template")
    asyncio.run(upgrade(Settings.load(home=home)))
    return home / "pressroom.sqlite"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A Postgres server of this test session."""
    needs("postgres")
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of an upgraded Postgres database to copy."""
    postgres.create_database("upgraded")
    home = tmp_path_factory.mktemp("template")
    asyncio.run(upgrade(Settings.load(home=home, database_url=postgres.url("upgraded"))))
    return "upgraded"


@pytest.fixture
def empty_postgres(postgres: PostgresServer) -> Iterator[str]:
    """Address of an empty database on the Postgres server."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def spare_databases() -> list[str]:
    """Names of upgraded Postgres databases that tests before have left empty."""
    return []


@pytest.fixture
def upgraded_postgres(
    postgres: PostgresServer, postgres_template: str, spare_databases: list[str]
) -> Iterator[str]:
    """Address of an upgraded, empty database on the Postgres server."""
    if spare_databases:
        name = spare_databases.pop()
    else:
        name = f"test_{uuid4().hex}"
        postgres.create_database(name, template=postgres_template)
    yield postgres.url(name)
    try:
        postgres.empty(name)
    except psycopg.Error:  # the test has taken it or its server away
        postgres.drop_database(name)
    else:
        spare_databases.append(name)


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Both kinds of database, one after the other."""

    def sqlite(home: Path) -> dict[str, object]:
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(request.getfixturevalue("sqlite_template"), home / "pressroom.sqlite")
        return {"home": home}

    def postgres(home: Path) -> dict[str, object]:
        return {"home": home, "database_url": request.getfixturevalue("upgraded_postgres")}

    return Backend(kind=request.param, prepare={"sqlite": sqlite, "postgres": postgres}[request.param])


@pytest.fixture
def base_settings(backend: Backend, tmp_path: Path) -> Settings:
    """Settings with an upgraded database of this test's own, on SQLite and on Postgres."""
    return Settings.load(**backend.prepare(tmp_path / "home"))


@pytest.fixture
async def database(base_settings: Settings) -> AsyncIterator[Database]:
    """An upgraded database of this test's own, on SQLite and on Postgres."""
    opened = Database(DatabaseAddress.parse(base_settings), base_settings.database)
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_database(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """An upgraded SQLite database of this test's own."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(sqlite_template, home / "pressroom.sqlite")
    settings = Settings.load(home=home)
    opened = Database(DatabaseAddress.parse(settings), settings.database)
    yield opened
    await opened.close()
