"""What the lines stand on: databases, an emulator in a process of its own, workers, and the plain script."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from tests.support.emulator import RunningEmulator, emulator_process
from tests.support.postgres import PostgresServer, postgres_server

from pressroom.app import open_app, upgrade
from pressroom.fleet.workers import WorkerState
from pressroom.generation.jobs import ENDED
from pressroom.generation.tables import jobs
from pressroom.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pressroom.app import App

DATABASES = ("sqlite", "postgres")

START_S = 30.0
"""Seconds within which every worker must be there."""

LOOK_S = 0.1
"""Seconds between two looks at the database from outside."""

Groups = dict[str, dict[str, float | str]]
"""Settings by group and name."""


@dataclass
class Site:
    """
    One pressroom with a database, a store and a vendor of its own.

    Attributes:
        home: Its folder.
        database_url: None for SQLite in `home`.
        base_url: The vendor's address.
        groups: Settings that differ from the defaults.
        storage_url: None for a folder in `home`.
    """

    home: Path
    database_url: str | None
    base_url: str
    groups: Groups = field(default_factory=dict)
    storage_url: str | None = None

    def settings(self) -> Settings:
        """For this process."""
        values: dict[str, Any] = {**self.groups}
        if self.database_url is not None:
            values["database_url"] = self.database_url
        if self.storage_url is not None:
            values["storage_url"] = self.storage_url
        return Settings.load(
            home=self.home, ideogram_base_url=self.base_url, ideogram_api_key="bench", **values
        )

    def environment(self) -> dict[str, str]:
        """The same for processes."""
        told = {
            "PRESSROOM_HOME": str(self.home),
            "IDEOGRAM_BASE_URL": self.base_url,
            "IDEOGRAM_API_KEY": "bench",
        }
        if self.database_url is not None:
            told["PRESSROOM_DATABASE_URL"] = self.database_url
        if self.storage_url is not None:
            told["PRESSROOM_STORAGE_URL"] = self.storage_url
        for group, values in self.groups.items():
            told |= {f"PRESSROOM_{group}__{name}".upper(): str(value) for name, value in values.items()}
        return {**os.environ, **told}

    @contextmanager
    def workers(self, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
        """So many `pressroom worker` processes."""
        started = [start_command(["worker"], self.environment()) for _ in range(count)]
        try:
            yield started
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(timeout=60)


class Rig:
    """Makes sites; ends everything that it started."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._postgres: PostgresServer | None = None
        self._made = 0

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pressroom-bench-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def emulator(self, **options: Any) -> Iterator[RunningEmulator]:
        """A vendor without a limit of its own unless told otherwise."""
        with emulator_process(
            self.fresh("vendor") / "books.sqlite", **{"inflight_limit": 1000, **options}
        ) as running:
            yield running

    def fresh(self, name: str) -> Path:
        """An empty folder."""
        self._made += 1
        folder = self.folder / f"{name}-{self._made}"
        folder.mkdir()
        return folder

    async def site(self, kind: str, base_url: str, **groups: dict[str, float | str]) -> Site:
        """A site with an upgraded database."""
        site = Site(self.fresh("home"), self._database(kind), base_url, groups)
        await upgrade(site.settings())
        return site

    def _database(self, kind: str) -> str | None:
        if kind == "sqlite":
            return None
        if self._postgres is None:
            self._postgres = self._stack.enter_context(postgres_server(fsync="on"))
        name = f"bench_{self._made}"
        self._postgres.create_database(name)
        return self._postgres.url(name)


def start_command(
    arguments: list[str], environment: Mapping[str, str], *, quiet: bool = False
) -> subprocess.Popen[bytes]:
    """`pressroom` with these arguments, as a process."""
    program = "from pressroom.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.DEVNULL,
    )


def clean_environment() -> None:
    """No setting of the user's reaches a line."""
    for name in list(os.environ):
        if name.startswith(("PRESSROOM_", "IDEOGRAM_")):
            del os.environ[name]


async def until_live(app: App, count: int) -> None:
    """Wait until so many workers beat."""
    deadline = time.monotonic() + START_S
    while sum(one.state is WorkerState.LIVE for one in await app.workers()) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{count} workers were not there within {START_S:.0f} s")
        await asyncio.sleep(LOOK_S)
    await asyncio.sleep(1.0)  # they have said so before their engines run


async def until_ended(app: App, count: int) -> None:
    """Wait until so many jobs have ended."""
    query = sa.select(sa.func.count()).where(jobs.c.state.in_(ENDED))
    while True:
        async with app.database.read() as connection:
            if (await connection.execute(query)).scalar_one() >= count:
                return
        await asyncio.sleep(LOOK_S)


async def plain(base_url: str, folder: Path, **task: Any) -> dict[str, Any]:
    """Run the plain script in a process of its own; what it printed."""
    spec = json.dumps({"base_url": base_url, "folder": str(folder), **task})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("plain.py")),
        spec,
        stdout=subprocess.PIPE,
    )
    out, _ = await process.communicate()
    told: dict[str, Any] = json.loads(out)
    return told


__all__ = [
    "DATABASES",
    "Rig",
    "Site",
    "clean_environment",
    "open_app",
    "plain",
    "start_command",
    "until_ended",
    "until_live",
]
