"""Workers: who is there, and who has died."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.fleet.tables import workers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncConnection


class WorkerState(StrEnum):
    """What is known about one worker process."""

    LIVE = "live"
    """It beats, or has not been silent for long enough to say otherwise."""
    STOPPED = "stopped"
    """It ended in order."""
    DEAD = "dead"
    """Others saw its counter stand still; its runs go to whoever is there."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One worker process; `beat` is the counter that it raises."""

    id: str
    upstream: str
    host: str
    pid: int
    version: str
    state: WorkerState
    beat: int
    beat_at: int
    started_at: int
    key_fingerprint: str | None = None


async def register(connection: AsyncConnection, worker_id: str, *, upstream: str, version: str) -> None:
    """Announce a new worker, before it takes anything."""
    await connection.execute(
        sa.insert(workers).values(
            id=worker_id,
            upstream=upstream,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version,
            state=WorkerState.LIVE,
            beat=0,
            beat_at=now_ms(),
            started_at=now_ms(),
        )
    )


async def get_one_or_none(connection: AsyncConnection, worker_id: str) -> Worker | None:
    """The worker with this id."""
    found = await connection.execute(sa.select(workers).where(workers.c.id == worker_id))
    row = found.mappings().one_or_none()
    return None if row is None else _worker(row)


async def all_workers(connection: AsyncConnection, *, upstream: str | None = None) -> list[Worker]:
    """Every worker that is remembered, oldest first."""
    query = sa.select(workers).order_by(workers.c.started_at, workers.c.id)
    if upstream is not None:
        query = query.where(workers.c.upstream == upstream)
    found = await connection.execute(query)
    return [_worker(row) for row in found.mappings()]


async def beating(connection: AsyncConnection, upstream: str, *, within_s: float) -> bool:
    """True when some worker of this upstream has beaten within `within_s` seconds of the database's clock."""
    found = await connection.execute(
        sa.select(workers.c.id)
        .where(
            workers.c.upstream == upstream,
            workers.c.state == WorkerState.LIVE,
            workers.c.beat_at > now_ms() - int(within_s * 1000),
        )
        .limit(1)
    )
    return found.first() is not None


async def note_key(connection: AsyncConnection, worker_id: str, fingerprint: str) -> None:
    """Say which key it buys with from now on."""
    await connection.execute(
        sa.update(workers).where(workers.c.id == worker_id).values(key_fingerprint=fingerprint)
    )


async def keys_in_use(connection: AsyncConnection, upstream: str, *, within_s: float) -> frozenset[str]:
    """Fingerprints of the keys that workers buy with which have beaten within `within_s` seconds of the database's clock."""
    found = await connection.execute(
        sa.select(workers.c.key_fingerprint).where(
            workers.c.upstream == upstream,
            workers.c.state == WorkerState.LIVE,
            workers.c.beat_at > now_ms() - int(within_s * 1000),
            workers.c.key_fingerprint.is_not(None),
        )
    )
    return frozenset(found.scalars())


async def mark_dead(connection: AsyncConnection, worker: Worker) -> bool:
    """Say that it died, unless it has beaten since it was read."""
    done = await connection.execute(
        sa.update(workers)
        .where(workers.c.id == worker.id, workers.c.state == WorkerState.LIVE, workers.c.beat == worker.beat)
        .values(state=WorkerState.DEAD)
    )
    return done.rowcount == 1


async def mark_stopped(connection: AsyncConnection, worker_id: str) -> None:
    """Say that it ended in order."""
    await connection.execute(
        sa.update(workers).where(workers.c.id == worker_id).values(state=WorkerState.STOPPED)
    )


async def forget(connection: AsyncConnection, *, after_s: float) -> None:
    """Drop workers that ended more than `after_s` seconds ago."""
    await connection.execute(
        sa.delete(workers).where(
            workers.c.state != WorkerState.LIVE, workers.c.beat_at < now_ms() - int(after_s * 1000)
        )
    )


def _worker(row: Any) -> Worker:
    return Worker(**{**row, "state": WorkerState(row["state"])})


@dataclass
class Watch:
    """
    Sees who died: a counter that stood still for `dead_after_s` seconds of our own monotonic clock.

    Time in which our own beats failed does not count, so neither a clock step nor a database outage looks like
    everybody's death.
    """

    dead_after_s: float
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def silent(self, seen: Iterable[Worker], *, now: float, we_beat: bool) -> list[Worker]:
        """
        Workers to be declared dead.

        Args:
            seen: Live workers as just read, ourselves left out.
            now: Monotonic seconds.
            we_beat: Whether our own lease is fresh; False forgets everything seen so far.
        """
        if not we_beat:
            self._seen.clear()
            return []
        before, self._seen = self._seen, {}
        silent = []
        for worker in seen:
            beat, since = before.get(worker.id, (worker.beat, now))
            if beat != worker.beat:
                since = now
            elif now - since >= self.dead_after_s:
                silent.append(worker)
            self._seen[worker.id] = (worker.beat, since)
        return silent
