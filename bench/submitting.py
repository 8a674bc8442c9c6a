"""How fast jobs are taken in: many rows in a transaction as a campaign does it, and one by one as doors do it."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench.rig import DATABASES, Rig, open_app
from bench.table import Figure, spread
from bench.work import CHUNK, seeds, submission, submit
from pressroom.database import new_id
from pressroom.generation.tables import jobs

if TYPE_CHECKING:
    from pressroom.app import App

JOBS = 10_000
SINGLE = 1_000
GOAL_S = 8.0
ROUNDS = 2


def _memory_mb() -> float:
    """The most this process has ever used."""
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


async def _campaign(app: App) -> float:
    began = time.perf_counter()
    await submit(app, [submission(seed, "auto") for seed in seeds(JOBS)])
    return time.perf_counter() - began


async def _bare(app: App) -> float:
    """The ideal: the same rows, inserted without being looked at."""
    async with app.database.read() as connection:
        found = (await connection.execute(sa.select(jobs).limit(CHUNK))).mappings()
        rows = [dict(row) for row in found]
    began = time.perf_counter()
    for _ in range(JOBS // CHUNK):
        async with app.database.write() as connection:
            await connection.execute(sa.insert(jobs), [{**row, "id": new_id("job")} for row in rows])
    return time.perf_counter() - began


async def _one_by_one(app: App) -> float:
    """Seconds for `JOBS` single submissions by 64 callers, from a part of them."""
    waiting = iter(seeds(SINGLE))

    async def work() -> None:
        for seed in waiting:
            asked = submission(seed, "auto")
            await app.submit(asked.request, wire=asked.wire)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(64)))
    return (time.perf_counter() - began) * JOBS / SINGLE


async def submitting(rig: Rig) -> list[Figure]:
    """Three figures for each database."""
    figures = []
    for kind in DATABASES:
        many, bare, single = [], [], []
        for _ in range(ROUNDS):
            async with open_app((await rig.site(kind, "http://127.0.0.1:9")).settings()) as app:
                before = _memory_mb()
                many.append(await _campaign(app))
                grown = _memory_mb() - before
                bare.append(await _bare(app))
                single.append(await _one_by_one(app))
        ideal = min(bare)
        for name, values, goal in (
            (f"{CHUNK} in a transaction (memory grew by {grown:.0f} MB)", many, GOAL_S),
            ("one by one, 64 callers", single, None),
        ):
            figures.append(
                Figure(
                    name=f"submit {JOBS} jobs, {kind}, {name}",
                    measured=spread(values, "s"),
                    goal=f"<= {goal:.0f} s" if goal else "",
                    reached=min(values) <= goal if goal else None,
                    beside=f"the same rows inserted unseen {ideal:.1f} s",
                    ratio=f"{min(values) / ideal:.1f}",
                )
            )
    return figures
