"""
A process with a started engine, driven by lines on its standard input and telling what happens on its standard output.

Runs whose job id begins with `hang` never end; the others end at once. It says `started`, then `run JOB NUMBER` for
each run that begins. `stop` stops the engine in order; the end of the input kills nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.rows import engine_of

import pressroom
from pressroom import engine as engine_module
from pressroom.database import Database, DatabaseAddress
from pressroom.generation import workflow
from pressroom.settings import Settings

SAY_S = 60.0
"""Seconds within which an executor must say what is expected of it."""


class Told:
    """Takes the place of the runner: says which run began."""

    def __init__(self) -> None:
        self.active: set[asyncio.Task[object]] = set()

    async def run(self, job_id: str, number: int) -> str:
        print("run", job_id, number, flush=True)  # noqa: T201 - its protocol
        if job_id.startswith("hang"):
            await asyncio.Event().wait()
        return "done"


async def main(spec: dict[str, str]) -> None:
    if "version" in spec:
        engine_module.APPLICATION_VERSION = spec["version"]
    settings = Settings.load(home=spec["home"], database_url=spec["database_url"])
    database = Database(DatabaseAddress.parse(settings), settings.database)
    workflow.bind(Told())  # type: ignore[arg-type]
    engine = engine_of(database, executor_id=spec["executor_id"])
    await engine.start()
    print("started", flush=True)  # noqa: T201 - its protocol
    while (line := await asyncio.to_thread(sys.stdin.readline)) and line != "stop\n":
        pass
    await engine.stop()
    await database.close()
    print("stopped", flush=True)  # noqa: T201 - its protocol
    os._exit(0)  # runs that hang are left as a killed process leaves them


class Executor:
    """One such process, as a test drives it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.heard: list[str] = []

    async def says(self, line: str) -> None:
        """Read lines until this one comes."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SAY_S):
            while raw := await self.process.stdout.readline():
                self.heard.append(raw.decode().strip())
                if self.heard[-1] == line:
                    return
        raise AssertionError(f"it ended and never said {line!r}, only {self.heard}")

    async def stop(self) -> None:
        """End it in order."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"stop\n")
        await self.says("stopped")
        await self.process.wait()

    async def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def executor(settings: Settings, executor_id: str, **options: str):
    """A started executor on the database of `settings`."""
    root = Path(pressroom.__file__).parents[2]
    url = settings.database_url
    spec = {
        "home": str(settings.home),
        "database_url": None if url is None else url.get_secret_value(),
        "executor_id": executor_id,
        **options,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        json.dumps(spec),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
    )
    made = Executor(process)
    try:
        await made.says("started")
        yield made
    finally:
        if process.returncode is None:
            await made.kill()
        process._transport.close()  # type: ignore[attr-defined]  # else it warns when the loop has ended


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
