"""How soon all places are used again after the vendor refused everything for a while, with the settings as shipped."""

from __future__ import annotations

import asyncio
import time

from bench.rig import LOOK_S, Rig, open_app, until_live
from bench.table import Figure
from bench.work import seeds, submission, submit

SLOTS = 8
JOBS = 600
BURST_S = 5.0
GOAL_S = 60.0
GIVE_UP_S = 120.0
SCALE = 0.25
"""On the emulator's 8 s: two seconds, so that enough jobs wait for as long as this may last."""


async def recovery(rig: Rig) -> list[Figure]:
    """From the last moment of the burst until the vendor sees as many in flight as before."""
    with rig.emulator(time_scale=SCALE) as emulator:
        site = await rig.site("postgres", emulator.base_url, fleet={"concurrency": SLOTS})
        async with open_app(site.settings()) as app:
            await submit(app, [submission(seed, "auto") for seed in seeds(JOBS)])
            with site.workers(2):
                await until_live(app, 2)
                await _until_full(emulator.control.totals, within_s=GIVE_UP_S)
                emulator.control.fault("429_inflight_limit", "*.generate*", window_s=BURST_S)
                await asyncio.sleep(BURST_S)
                refused = sum(rule.acted for rule in emulator.control.faults())
                emulator.control.clear_faults()
                took = await _until_full(emulator.control.totals, within_s=GIVE_UP_S)
    return [
        Figure(
            name=f"{SLOTS} in flight again after {BURST_S:.0f} s of 429 ({refused} refusals), 2 workers, settings as shipped",
            measured=f"{took:.1f} s" if took < GIVE_UP_S else f"not within {GIVE_UP_S:.0f} s",
            goal=f"< {GOAL_S:.0f} s",
            reached=took < GOAL_S,
            beside="ideal: at once",
        )
    ]


async def _until_full(totals: object, *, within_s: float) -> float:
    """Seconds until every place is taken; `within_s` when that does not happen."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < within_s:
        seen = await asyncio.to_thread(totals)  # type: ignore[arg-type]
        if seen.in_flight.now >= SLOTS:
            return passed
        await asyncio.sleep(LOOK_S)
    return within_s
