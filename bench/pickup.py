"""How long the dispatcher takes to give 8 jobs to the engine with more and more of them waiting."""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench.rig import Rig, open_app
from bench.table import Figure
from bench.work import HELD_BACK_MS, submission, submit
from pressroom.database import now_ms
from pressroom.engine import Engine
from pressroom.fleet.keys import Keys
from pressroom.generation.dispatch.dispatcher import Dispatcher
from pressroom.generation.tables import jobs
from pressroom.ideogram import Ideogram
from pressroom.spend.prices import Prices
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from pressroom.app import App

SIZES = (10_000, 100_000, 1_000_000)
TURNS = 15
NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT :start UNION ALL SELECT n + 1 FROM numbers WHERE n < :stop)",
    "postgresql": "WITH numbers AS (SELECT n FROM generate_series(CAST(:start AS bigint), CAST(:stop AS bigint)) AS n)",
}
"""A table of numbers in each dialect."""


async def _fill(app: App, start: int, stop: int) -> None:
    """Copy the first job until `stop` of them wait."""
    copied = ", ".join(f'"{column.name}"' for column in jobs.columns if column.name != "id")
    async with app.database.write() as connection:
        dialect = connection.dialect.name
        numbered = "printf('job_%026d', n)" if dialect == "sqlite" else "'job_' || lpad(n::text, 26, '0')"
        first = (await connection.execute(sa.select(sa.func.max(jobs.c.id)))).scalar_one()
        statement = f"INSERT INTO jobs (id, {copied}) "
        rows = f"SELECT {numbered}, {copied} FROM numbers, jobs WHERE jobs.id = :first"
        numbers = NUMBERS[dialect]
        whole = f"{numbers} {statement}{rows}" if dialect == "postgresql" else f"{statement}{numbers} {rows}"
        await connection.execute(sa.text(whole), {"start": start, "stop": stop, "first": first})
    if not app.database.is_sqlite:
        async with app.database.write() as connection:
            await connection.execute(sa.text("ANALYZE jobs"))


async def _turn_ms(app: App, dispatcher: Dispatcher) -> tuple[float, int]:
    began = time.perf_counter()
    given = await dispatcher.dispatch()
    taken = (time.perf_counter() - began) * 1000
    async with app.database.write() as connection:  # make room for the next turn
        await connection.execute(sa.update(attempts).values(slot=None))
    return taken, given


async def _turns_ms(app: App, dispatcher: Dispatcher) -> float:
    await _turn_ms(app, dispatcher)
    return statistics.median([(await _turn_ms(app, dispatcher))[0] for _ in range(TURNS)])


async def _backing_off_ms(app: App, dispatcher: Dispatcher, count: int) -> float:
    """A turn while the `count` oldest jobs wait for their next try, as after an outage."""
    oldest = sa.select(jobs.c.id).where(jobs.c.state == "queued").order_by(jobs.c.id).limit(count)
    async with app.database.write() as connection:
        later = {"eligible_at": now_ms() + HELD_BACK_MS, "resting": True}
        await connection.execute(sa.update(jobs).where(jobs.c.id.in_(oldest)).values(**later))
    return await _turns_ms(app, dispatcher)


async def _measure(rig: Rig, kind: str) -> tuple[dict[int, float], float]:
    site = await rig.site(kind, "http://127.0.0.1:9")
    async with open_app(site.settings()) as app:
        settings = app.settings
        engine = Engine(
            app.database, executor_id="bench", queue="nobody", poll_s=settings.engine.poll_s, runs=1
        )
        await engine.start()
        engine.queue = "runs/bench"  # what is dispatched stays there: nobody listens to it
        keys = Keys(partial(Ideogram, base_url="http://127.0.0.1:9"), "bench", rest_s=1.0)
        dispatcher = Dispatcher(
            database=app.database,
            engine=engine,
            prices=Prices(keys, deadline_s=1.0, life_s=3600.0),
            settings=settings,
            upstream=app.upstream,
            keys=keys,
        )
        await submit(app, [submission(1, "v3")])
        found: dict[int, float] = {}
        filled = 1
        for size in SIZES:
            await _fill(app, filled, size)
            filled = size + 1
            found[size] = await _turns_ms(app, dispatcher)
        backing_off = await _backing_off_ms(app, dispatcher, 10_000)
        await engine.stop()
        await keys.aclose()
        return found, backing_off


async def _pickup(rig: Rig, kind: str) -> list[Figure]:
    found, backing_off = await _measure(rig, kind)
    least = found[SIZES[0]]
    figures = [
        Figure(
            name=f"dispatch 8 jobs, {kind}, {size:,} waiting",
            measured=f"{taken:.1f} ms",
            goal="flat" if size == SIZES[-1] else "",
            reached=taken <= 2 * least if size == SIZES[-1] else None,
            beside=f"{SIZES[0]:,} waiting {least:.1f} ms",
            ratio=f"{taken / least:.2f}",
        )
        for size, taken in found.items()
    ]
    return [
        *figures,
        Figure(
            name=f"dispatch 8 jobs, {kind}, {SIZES[-1]:,} waiting, the 10,000 oldest backing off",
            measured=f"{backing_off:.1f} ms",
            beside=f"{SIZES[0]:,} waiting {least:.1f} ms",
            ratio=f"{backing_off / least:.2f}",
        ),
    ]


async def pickup_sqlite(rig: Rig) -> list[Figure]:
    """On SQLite."""
    return await _pickup(rig, "sqlite")


async def pickup_postgres(rig: Rig) -> list[Figure]:
    """On Postgres."""
    return await _pickup(rig, "postgres")
