"""How soon the jobs of a worker that was killed go on elsewhere, with the settings as shipped."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench.rig import LOOK_S, Rig, open_app, until_live
from bench.table import Figure, percentile
from bench.work import seeds, submission, submit
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from pressroom.app import App

JOBS = 8
GOAL_S = 30.0
SCALE = 15.0
"""On the emulator's 8 s: two minutes, so that every job is under way when its worker dies."""


async def _owners(app: App) -> dict[str, str]:
    """Who works on each accepted attempt."""
    query = sa.select(attempts.c.id, attempts.c.owner).where(attempts.c.generation_id.is_not(None))
    async with app.database.read() as connection:
        found = await connection.execute(query)
        return {row.id: row.owner.partition("/")[0] for row in found}


async def _until_accepted(app: App) -> dict[str, str]:
    while True:
        owners = await _owners(app)
        if len(owners) == JOBS:
            return owners
        await asyncio.sleep(LOOK_S)


async def takeover(rig: Rig) -> list[Figure]:
    """Kill a worker while another one lives; time until each of its jobs has a new owner."""
    with rig.emulator(time_scale=SCALE) as emulator:
        site = await rig.site("sqlite", emulator.base_url)
        async with open_app(site.settings()) as app:
            with site.workers(1) as (doomed,):
                await until_live(app, 1)
                await submit(app, [submission(seed, "auto") for seed in seeds(JOBS)])
                before = await _until_accepted(app)
                with site.workers(1) as (heir,):
                    await until_live(app, 2)
                    killed = time.monotonic()
                    doomed.kill()
                    taken: dict[str, float] = {}
                    while len(taken) < JOBS:
                        await asyncio.sleep(LOOK_S)
                        for attempt, owner in (await _owners(app)).items():
                            if owner != before[attempt]:
                                taken.setdefault(attempt, time.monotonic() - killed)
                    heir.kill()
            ideal = app.settings.fleet.dead_after_s
    most = max(taken.values())
    return [
        Figure(
            name=f"kill -9 of a worker until its {JOBS} jobs go on, settings as shipped",
            measured=f"p50 {percentile(list(taken.values()), 0.5):.1f} s, last {most:.1f} s",
            goal=f"< {GOAL_S:.0f} s",
            reached=most < GOAL_S,
            beside=f"silence that counts as death {ideal:.0f} s",
            ratio=f"{most / ideal:.2f}",
        )
    ]
