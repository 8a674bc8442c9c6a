"""Jobs in bulk, held back until a line lets them go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.generation.admission import Submission, admit
from pressroom.generation.tables import jobs
from pressroom.ideogram import ImageRequest, Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pressroom.app import App

CHUNK = 500
"""Jobs admitted in one transaction."""

HELD_BACK_MS = 3_600_000
"""Milliseconds; long after every line has ended."""


def submission(seed: int, wire: str, **fields: Any) -> Submission:
    """One request like many others."""
    request = ImageRequest(prompt="a letterpress studio", seed=seed, **fields)
    return Submission(request=request, wire=Wire(wire))


async def submit(app: App, wanted: Sequence[Submission]) -> None:
    """Admit them as a campaign does: validated and routed one by one, many rows in a transaction."""
    for start in range(0, len(wanted), CHUNK):
        async with app.database.write() as connection:
            part = [(one, one.call()) for one in wanted[start : start + CHUNK]]
            await admit(connection, part, upstream=app.upstream)


async def hold_back(app: App) -> None:
    """No waiting job may be dispatched yet."""
    async with app.database.write() as connection:
        await connection.execute(sa.update(jobs).values(eligible_at=now_ms() + HELD_BACK_MS, resting=True))


async def let_go(app: App) -> None:
    """All of them may."""
    async with app.database.write() as connection:
        await connection.execute(sa.update(jobs).values(eligible_at=now_ms(), resting=False))


async def seconds_of(app: App) -> float:
    """From the first dispatch to the last job's end, by the database's clock."""
    query = sa.select(sa.func.max(jobs.c.ended_at) - sa.func.min(jobs.c.dispatched_at))
    async with app.database.read() as connection:
        return float((await connection.execute(query)).scalar_one()) / 1000


async def states(app: App) -> dict[str, int]:
    """How many jobs are in each state."""
    query = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
    async with app.database.read() as connection:
        return {row[0]: row[1] for row in await connection.execute(query)}


def seeds(count: int, start: int = 1) -> Iterable[int]:
    """So many seeds, far apart so that the emulator's latencies differ."""
    return [(start + number) * 7919 % 1_000_003 for number in range(count)]
