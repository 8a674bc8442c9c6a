"""What follows a restore of the database from a backup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pressroom.errors import Conflict
from pressroom.generation.upkeep import restoring
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pressroom.database import Database
    from pressroom.settings import Settings

log = event_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Restored:
    """
    What `App.restored` did.

    Attributes:
        runs: Records of the engine that were given up.
        jobs: Jobs that wait for a person now, by upstream.
    """

    runs: int
    jobs: dict[str, int]


class Recovery:
    """The part of `App` that makes a restored database safe to work on."""

    settings: Settings
    database: Database

    async def restored(self, *, who: str) -> Restored:
        """
        Make a database that was restored from a backup safe to work on: hold every open job until a person has looked.

        Args:
            who: For the audit log.

        Raises:
            Conflict: A worker still beats; what it does now would be held too.
            DatabaseError: The database cannot be used.
        """
        beating = await restoring.beating(self.database, within_s=self.settings.fleet.dead_after_s)
        if beating:
            count = len(beating)
            who_beats, whom = ("1 worker beats", "it") if count == 1 else (f"{count} workers beat", "them")
            raise Conflict(
                f"{who_beats} on this database ({', '.join(beating[:3])}); stop {whom}, wait "
                f"{self.settings.fleet.dead_after_s:.0f} s, and repeat this"
            )
        from pressroom.engine import Engine

        engine = Engine(self.database, executor_id="restored", queue="", poll_s=1.0, runs=1)
        engine.connect()
        try:
            abandoned = await engine.abandon_all()
        finally:
            await engine.disconnect()
        held = await restoring.hold_open_jobs(self.database, who=who)
        log.warning("database.restored", runs=abandoned, jobs=sum(held.values()))
        return Restored(runs=abandoned, jobs=dict(held))
