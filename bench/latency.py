"""What pressroom adds to one generation, on a wire that answers at once, beside the plain script in the same run."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from bench.rig import DATABASES, Rig, open_app, plain
from bench.table import Figure, percentile
from bench.work import seeds, submission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pressroom.app import App

WIRE = "v3"
SCALE = 0.375
"""On the emulator's 8 s: generations of 3 s, a fifth more or less by seed. The vendor takes 5 to 15 s; with 64 in flight
this asks for 21 jobs/s, well within the throughput, so that what is seen is delay and not a queue."""

PAUSE_S = 0.05
"""Seconds at most between two requests of one caller, at random: back to back they would fall in step with the queue's poll."""


async def _ours(app: App, wanted: Sequence[int], at_once: int, stagger_s: float) -> dict[int, float]:
    """Seconds from submitting to knowing the end, by seed, with so many callers who wait."""
    waiting = iter(wanted)
    taken: dict[int, float] = {}
    chance = random.Random(len(wanted))

    async def work(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        for seed in waiting:
            asked = submission(seed, WIRE)
            await asyncio.sleep(chance.uniform(0, PAUSE_S))
            began = time.perf_counter()
            job_id = await app.submit(asked.request, wire=asked.wire)
            await app.wait(job_id)
            taken[seed] = time.perf_counter() - began

    await asyncio.gather(*(work(stagger_s * place / at_once) for place in range(at_once)))
    return taken


async def _added(
    rig: Rig, kind: str, at_once: int, *, count: int, scale: float
) -> tuple[list[float], list[float]]:
    """What is added to each generation (same seed, same latency), and what the plain script takes, milliseconds."""
    stagger_s = 8.0 * scale
    with rig.emulator(time_scale=scale) as emulator:
        limit = max(at_once, 8)
        site = await rig.site(kind, emulator.base_url, fleet={"concurrency": limit, "account_limit": limit})
        wanted = list(seeds(count))
        told = await plain(
            emulator.base_url,
            rig.fresh("plain"),
            wire=WIRE,
            seeds=wanted,
            at_once=at_once,
            stagger_s=stagger_s,
        )
        peer = dict(told["taken"])
        async with open_app(site.settings()) as app:
            await app.start_worker()
            await _ours(app, list(seeds(10, start=500_000)), 1, 0.0)
            ours = await _ours(app, wanted, at_once, stagger_s)
    return [(ours[seed] - peer[seed]) * 1000 for seed in wanted], [taken * 1000 for taken in peer.values()]


async def latency(rig: Rig) -> list[Figure]:
    """One figure for each database, at 1 and at 64 in flight."""
    figures = []
    for kind in DATABASES:
        for at_once, count, scale, goals in ((1, 120, 0.0, (40.0, 150.0)), (64, 128, SCALE, (None, 400.0))):
            added, peer = await _added(rig, kind, at_once, count=count, scale=scale)
            half, most = percentile(added, 0.5), percentile(added, 0.99)
            wanted_half, wanted_most = goals
            lengths = "no latency" if not scale else f"generations of {8 * scale:.0f} s"
            figures.append(
                Figure(
                    name=f"added to one generation, {kind}, {at_once} in flight, {lengths}",
                    measured=f"p50 {half:.0f} ms, p99 {most:.0f} ms",
                    goal=(f"p50 <= {wanted_half:.0f} ms, " if wanted_half else "")
                    + f"p99 <= {wanted_most:.0f} ms",
                    reached=(wanted_half is None or half <= wanted_half) and most <= wanted_most,
                    beside=f"plain script p50 {percentile(peer, 0.5):.0f} ms, p99 {percentile(peer, 0.99):.0f} ms",
                    ratio=f"{1 + half / percentile(peer, 0.5):.2f}",
                )
            )
    return figures
