"""A worker's lease: a counter raised on its own thread and connection, so that a busy event loop does not stop it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom.database import now_ms
from pressroom.fleet.tables import leases, workers
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

log = event_logger(__name__)


class Lease:
    """
    The beat of one worker.

    Args:
        engine: An engine of its own, whose every connection is new (`pool=0`).
        worker_id: Whose row to raise.
        beat_s: Seconds between two beats.
    """

    def __init__(self, engine: sa.Engine, worker_id: str, *, beat_s: float) -> None:
        self._engine = engine
        self._worker_id = worker_id
        self._beat_s = beat_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pressroom-lease", daemon=True)
        self._good_at = float("-inf")

    def start(self) -> None:
        """Beat at once, then every `beat_s`; a first beat that fails is reported by the caller's next one."""
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and wait for the thread."""
        self._stopped.set()
        self._thread.join(timeout=self._beat_s + 5)
        self._engine.dispose()

    def fresh(self, within_s: float) -> bool:
        """True when the last successful beat began less than `within_s` seconds ago, by the monotonic clock."""
        return time.monotonic() - self._good_at < within_s

    def _run(self) -> None:
        while not self._stopped.wait(self._beat_s):
            self._beat()

    def _beat(self) -> None:
        began = time.monotonic()
        try:
            with self._engine.begin() as connection:
                # The write comes first: it locks the row, so that nobody can take us for dead between it and the look.
                state = connection.execute(
                    sa.update(workers)
                    .where(workers.c.id == self._worker_id)
                    .values(beat=workers.c.beat + 1, beat_at=now_ms())
                    .returning(workers.c.state)
                ).scalar_one()
                revived = state == "dead"
                if state != "live":
                    connection.execute(
                        sa.update(workers).where(workers.c.id == self._worker_id).values(state="live")
                    )
        except sa.exc.SQLAlchemyError as error:
            log.warning("worker.beat_failed", worker=self._worker_id, error=type(error).__name__)
            return
        self._good_at = began
        if revived:
            # Others took us for dead, for instance after a pause: our runs were handed on and are fenced off.
            log.warning("worker.revived", worker=self._worker_id)


async def take_lease(connection: AsyncConnection, name: str, holder: str, *, life_s: float) -> bool:
    """
    Take or keep the lease `name` for `life_s` seconds of the database's clock.

    Returns:
        False while another holder's lease runs.
    """
    life = int(life_s * 1000)
    done = await connection.execute(
        sa.update(leases)
        .where(leases.c.name == name, sa.or_(leases.c.holder == holder, leases.c.until < now_ms()))
        .values(holder=holder, until=now_ms() + life)
    )
    if done.rowcount == 1:
        return True
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    first = await connection.execute(
        insert(leases)
        .values(name=name, holder=holder, until=now_ms() + life)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(leases.c.name)
    )
    return first.first() is not None
