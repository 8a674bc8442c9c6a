"""End to end durable jobs per second, the emulator without latency, beside the plain script and the ideal."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench.rig import Rig, open_app, plain, until_ended, until_live
from bench.table import Figure, percentile, spread
from bench.work import hold_back, let_go, seconds_of, seeds, submission, submit

if TYPE_CHECKING:
    from bench.rig import Site

ROUNDS = 3
JOBS = 300
PEER_AT_ONCE = 64
CASES = (("sqlite", 1, 64, 70.0), ("postgres", 2, 100, 150.0))
"""Database, worker processes, in-flight limit, goal in jobs per second."""


async def _once(site: Site, workers: int, wire: str) -> float:
    """Jobs per second over `JOBS` jobs that wait when the workers begin."""
    async with open_app(site.settings()) as app:
        await submit(app, [submission(seed, wire) for seed in seeds(JOBS)])
        await hold_back(app)
        with site.workers(workers):
            await until_live(app, workers)
            await let_go(app)
            await until_ended(app, JOBS)
            return JOBS / await seconds_of(app)


async def throughput(rig: Rig) -> list[Figure]:
    """One figure for each database."""
    figures = []
    with rig.emulator(time_scale=0.0) as emulator:
        peers, ideals = [], []
        for _ in range(ROUNDS):
            wanted = list(seeds(JOBS))
            told = await plain(
                emulator.base_url, rig.fresh("plain"), wire="v3", seeds=wanted, at_once=PEER_AT_ONCE
            )
            peers.append(JOBS / told["seconds"])
            alone = await plain(
                emulator.base_url, rig.fresh("plain"), wire="v3", seeds=wanted[:50], at_once=1
            )
            ideals.append(PEER_AT_ONCE / percentile([taken for _, taken in alone["taken"]], 0.5))
        peer, ideal = statistics.median(peers), statistics.median(ideals)
        for kind, workers, slots, goal in CASES:
            rates = []
            for _ in range(ROUNDS):
                site = await rig.site(
                    kind,
                    emulator.base_url,
                    fleet={"concurrency": slots, "account_limit": slots},
                )
                rates.append(await _once(site, workers, "v3"))
            figures.append(
                Figure(
                    name=f"durable jobs end to end, {kind}, {workers} worker process(es), {slots} slots, no latency",
                    measured=spread(rates, "jobs/s"),
                    goal=f">= {goal:.0f} jobs/s",
                    reached=statistics.median(rates) >= goal,
                    beside=f"plain script {peer:.0f}/s; {PEER_AT_ONCE} / its latency alone {ideal:.0f}/s",
                    ratio=f"{statistics.median(rates) / peer:.2f}; {statistics.median(rates) / ideal:.2f}",
                )
            )
    return figures
