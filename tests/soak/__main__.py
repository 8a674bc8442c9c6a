"""
`make soak`: three workers under kills, pauses, refusals and outages, until everything has ended and the books agree.

`SOAK_S` is its length in seconds (600), `SOAK_SEED` makes the same plan again, `SOAK_DATABASE` is `postgres` or `sqlite`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fault.rig import Rig
from tests.soak.ending import come_to_rest, findings_of
from tests.soak.plan import Event, plan
from tests.soak.stage import LIMIT, Stage
from tests.support.emulator import emulator_process
from tests.support.place import Place
from tests.support.postgres import postgres_server
from tests.support.processes import Spares, Workers
from tests.support.storage_server import storage_server

from pressroom.app import upgrade
from pressroom.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = 600.0
BUCKET = "pictures"
TEND_S = 0.1
TIME_SCALE = 0.05
"""On the emulator's 5 to 14 s."""


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def opened(stack: ExitStack, folder: Path, *, postgres: bool) -> tuple[Stage, dict[str, str]]:
    """Vendor, store, database and workers; and what the store's objects are read with."""
    server = stack.enter_context(postgres_server()) if postgres else None
    if server is not None:
        server.create_database("soak")
    store = stack.enter_context(storage_server())
    store.make_bucket(BUCKET)
    emulator = stack.enter_context(
        emulator_process(folder / "books.sqlite", time_scale=TIME_SCALE, inflight_limit=10)
    )
    place = Place(
        folder / "home",
        base_url=emulator.base_url,
        values={
            "storage_url": f"s3://{BUCKET}/soak",
            "storage": store.options(),
            "fleet": {"concurrency": LIMIT, "key_trial_s": 1.0},
            "log": {"level": "info"},
        },
        database=server.url("soak") if server is not None else None,
    )
    place.home.mkdir()
    asyncio.run(upgrade(Settings.load(**place.settings_by_name())))
    workers = stack.enter_context(Workers(stack.enter_context(Spares(2))))
    stage = Stage(Rig(emulator=emulator, workers=workers, place=place), server, store, stack)
    return stage, {"bucket": BUCKET, "prefix": "soak"}


def carry_out(stage: Stage, events: Sequence[Event]) -> None:
    """Do everything when its time has come, as far as this machine is fast enough."""
    began = time.monotonic()
    for event in events:
        while time.monotonic() < began + event.at_s:
            stage.tend()
            time.sleep(TEND_S)
        stage.do(event.what, **event.facts)


def soak(seconds: float, seed: int, *, postgres: bool) -> list[str]:
    """Run it; what is wrong in the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pressroom-soak-")))
        stage, where = opened(stack, folder, postgres=postgres)
        stage.begin()
        carry_out(stage, plan(seed, seconds, postgres=postgres))
        say("everything is whole again; waiting until all has ended")
        findings = come_to_rest(stage) or findings_of(stage, stage.objects(**where))
        for name, count in sorted(stage.counts.items()):
            say(f"{count:8} {name}")
        if findings:
            say(stage.rig.place.logs())
        return findings


def main() -> int:
    """Read the environment, run, and tell."""
    seconds = float(os.environ.get("SOAK_S") or SECONDS)
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    database = os.environ.get("SOAK_DATABASE") or "postgres"
    say(f"soak: {seconds:.0f} s on {database}; the same again with SOAK_SEED={seed}")
    for name in [name for name in os.environ if name.startswith(("PRESSROOM_", "IDEOGRAM_"))]:
        del os.environ[name]
    findings = soak(seconds, seed, postgres=database == "postgres")
    for finding in findings:
        say(f"WRONG: {finding}")
    say("soak: " + (f"{len(findings)} findings with SOAK_SEED={seed}" if findings else "the books agree"))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
