"""Whether bought images survive an outage of the storage that lasts longer than their addresses live."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench.rig import Rig, open_app, plain, until_ended, until_live
from bench.table import Figure
from bench.work import hold_back, let_go, seeds, states, submission, submit

if TYPE_CHECKING:
    from pathlib import Path

JOBS = 60
LIFE_S = 3.0
AWAY_S = 10.0
AT_ONCE = 8
SCALE = 0.06
"""On the emulator's 8 s: half a second, so that about as many are bought before, during and after the outage."""


async def _goes_away(folder: Path) -> None:
    """The folder is gone for `AWAY_S` seconds, as a disk that is not mounted."""
    await asyncio.sleep(1.0)
    away = folder.with_name("away")
    folder.rename(away)
    await asyncio.sleep(AWAY_S)
    away.rename(folder)


async def _plain(rig: Rig) -> int:
    with rig.emulator(time_scale=SCALE, url_life_s=LIFE_S, refresh_urls=False) as emulator:
        folder = rig.fresh("plain")
        outage = asyncio.create_task(_goes_away(folder))
        told = await plain(emulator.base_url, folder, wire="v3", seeds=list(seeds(JOBS)), at_once=AT_ONCE)
        await outage
    return int(told["kept"])


async def _ours(rig: Rig) -> dict[str, int]:
    with rig.emulator(time_scale=SCALE, url_life_s=LIFE_S, refresh_urls=False) as emulator:
        site = await rig.site("sqlite", emulator.base_url)
        async with open_app(site.settings()) as app:
            await submit(app, [submission(seed, "v3") for seed in seeds(JOBS)])
            await hold_back(app)
            with site.workers(1):
                await until_live(app, 1)
                outage = asyncio.create_task(_goes_away(site.home / "images"))
                await let_go(app)
                await until_ended(app, JOBS)
                await outage
            return await states(app)


async def outage(rig: Rig) -> list[Figure]:
    """Images kept, ours and the plain script's."""
    ended = await _ours(rig)
    kept, peer = ended.get("completed", 0), await _plain(rig)
    return [
        Figure(
            name=f"images kept, {AWAY_S:.0f} s without storage, addresses live {LIFE_S:.0f} s, no second address",
            measured=f"{kept / JOBS:.0%} of {JOBS}",
            goal="100 %",
            reached=kept == JOBS,
            beside=f"plain script that tries on {peer / JOBS:.0%}",
            ratio=f"{kept / max(1, peer):.2f}",
        )
    ]
