"""What a worker does about keys by itself: takes a new one, tries refused ones for free, lets waiting jobs go on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.errors import PressroomError
from pressroom.fleet import stops, workers
from pressroom.fleet.leases import take_lease
from pressroom.fleet.stops import key_cause
from pressroom.fleet.tables import stops as stop_rows
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.generation.tables import jobs
from pressroom.generation.upkeep.releases import release_held
from pressroom.generation.waiters import within
from pressroom.notify import outbox
from pressroom.spend.tables import attempts
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pressroom.database import Database
    from pressroom.fleet.key_file import KeyFile
    from pressroom.fleet.keys import Keys
    from pressroom.settings import FleetSettings

log = event_logger(__name__)

BATCH = 500
"""Jobs that one transaction lets go on."""

TOLD_FOR_S = 3600.0
"""Seconds in which people are told once that a new key is refused, however many workers see it."""


async def tell_refused(database: Database, upstream: str, fingerprint: str) -> None:
    """Have people told that the vendor refuses a new key; once for all workers that see it."""
    async with database.write() as connection:
        await outbox.tell(
            connection,
            upstream=upstream,
            kind="key.refused",
            severity="P1",
            text=f"the vendor refuses the new key {fingerprint} in IDEOGRAM_API_KEY_FILE; the one before it stays in "
            "use: put a working key into the file",
            facts={"fingerprint": fingerprint},
            once_in_s=TOLD_FOR_S,
        )


class KeyWatch:
    """
    The loop of one worker that looks after keys.

    Args:
        database: Where stops and held jobs are.
        upstream: Whose.
        keys: The keys of this process.
        file: Where a new one appears; None where the key is fixed.
        settings: How often.
        holder: This worker, for what one of the fleet does at a time.
    """

    def __init__(
        self,
        *,
        database: Database,
        upstream: str,
        keys: Keys,
        file: KeyFile | None,
        settings: FleetSettings,
        holder: str,
    ) -> None:
        self._database = database
        self._upstream = upstream
        self._keys = keys
        self._file = file
        self._settings = settings
        self._holder = holder
        self._welcome_due = False
        self._noted: str | None = None
        self._try_at: dict[str, float] = {}
        self._heal_at = 0.0
        self._probe_at = 0.0

    async def watch(self) -> None:
        """Look every `key_look_s`, and at once when a key was refused here; until cancelled."""
        doubted = False
        while True:
            try:
                await self.look(doubted=doubted)
            except PressroomError as error:
                log.warning("keys.failed", error=type(error).__name__)
            doubted = await within(self._keys.doubted, self._settings.key_look_s)

    async def look(self, *, doubted: bool = False) -> None:
        """
        Do once whatever is due.

        Raises:
            DatabaseError: What was not done is due the next time.
        """
        if self._file is not None and await self._file.look():
            self._welcome_due = True
        await self._note()
        due = await self._read_stops()
        if self._welcome_due:
            await self._go_on(self._keys.current().fingerprint)
            self._welcome_due = False
        for fingerprint in due:
            await self._try(fingerprint)
        await self._heal(doubted=doubted)
        await self._close_replaced()

    async def _note(self) -> None:
        """Have the fleet know which key is bought with here: callers go by the keys of workers."""
        fingerprint = self._keys.current().fingerprint
        if fingerprint != self._noted:
            async with self._database.write() as connection:
                await workers.note_key(connection, self._holder, fingerprint)
            self._noted = fingerprint

    async def _read_stops(self) -> list[str]:
        """Learn which keys are stopped; those that are here and were stopped long enough ago to be tried."""
        long_ago = now_ms() - int(self._settings.key_trial_s * 1000)
        async with self._database.read() as connection:
            found = await connection.execute(
                sa.select(stop_rows.c.cause, (stop_rows.c.since <= long_ago).label("due")).where(
                    stop_rows.c.upstream == self._upstream, stop_rows.c.cause.startswith(key_cause(""))
                )
            )
            stopped = {row.cause.removeprefix(key_cause("")): bool(row.due) for row in found}
        self._keys.stopped(stopped)
        here = {self._keys.current().fingerprint, *self._keys.replaced()}
        return [fingerprint for fingerprint, due in stopped.items() if due and fingerprint in here]

    async def _try(self, fingerprint: str) -> None:
        """Ask the vendor, one worker of those that have it at a time, whether it takes a stopped key again."""
        now = time.monotonic()
        if now < self._try_at.get(fingerprint, now):
            return
        self._try_at[fingerprint] = now + self._settings.key_trial_s
        if await self._is_ours(fingerprint) and await self._verdict(fingerprint) == "accepted":
            await self._go_on(fingerprint)

    async def _verdict(self, fingerprint: str) -> str:
        with self._keys.using(fingerprint) as key:
            probe = await key.client.probe()
        log.info("key.tried", fingerprint=key.fingerprint, verdict=probe.key)
        return probe.key

    async def _go_on(self, fingerprint: str) -> None:
        """The vendor takes that key: begin purchases with it again, and let go on what waits for any key."""
        async with self._database.write() as connection:
            await stops.lift(
                connection, self._upstream, key_cause(fingerprint), reason="a free request was answered"
            )
        self._keys.allow(fingerprint)
        count, released = BATCH, 0
        while count == BATCH:
            async with self._database.write() as connection:
                count = await release_held(connection, self._upstream, HeldFor.KEY, limit=BATCH)
            released += count
        if released:
            log.info("key.jobs_released", fingerprint=fingerprint, count=released)

    async def _heal(self, *, doubted: bool) -> None:
        """
        Let jobs go on that are held for a key although the current one is not stopped.

        They come from polls that no key was taken for, from a crash between a lift and its release, from a worker
        with another key, and from before a restart.
        """
        now = time.monotonic()
        if now < (self._probe_at if doubted else self._heal_at) or not self._keys.may_buy:
            return
        self._heal_at = now + self._settings.key_trial_s
        if not await self._any_held() or not await self._is_ours("held"):
            return
        self._probe_at = self._heal_at
        fingerprint = self._keys.current().fingerprint
        verdict = await self._verdict(fingerprint)
        if verdict == "accepted":
            await self._go_on(fingerprint)
        elif verdict == "refused":
            await self._stop(fingerprint)

    async def _stop(self, fingerprint: str) -> None:
        self._keys.stop(fingerprint)
        async with self._database.write() as connection:
            await stops.stop(
                connection,
                self._upstream,
                key_cause(fingerprint),
                trial_in_s=self._settings.refused_trial_s,
                message=f"the vendor refuses the key {fingerprint} on a free request",
            )

    async def _any_held(self) -> bool:
        query = sa.select(jobs.c.id).where(
            jobs.c.upstream == self._upstream, jobs.c.state == JobState.HELD, jobs.c.reason == HeldFor.KEY
        )
        async with self._database.read() as connection:
            return (await connection.execute(query.limit(1))).first() is not None

    async def _is_ours(self, what: str) -> bool:
        lease = f"keys/{self._upstream}/{what}"
        async with self._database.write() as connection:
            return await take_lease(connection, lease, self._holder, life_s=self._settings.key_trial_s)

    async def _close_replaced(self) -> None:
        if not self._keys.replaced():
            return
        query = sa.select(attempts.c.key_fingerprint).where(
            attempts.c.upstream == self._upstream, attempts.c.slot.is_not(None)
        )
        async with self._database.read() as connection:
            in_flight = set((await connection.execute(query)).scalars())
        for fingerprint in await self._keys.close_unused(in_flight=in_flight):
            log.info("key.closed", fingerprint=fingerprint)
