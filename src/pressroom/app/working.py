"""What makes this process a worker: built when it is first needed, one at a time."""

from __future__ import annotations

import asyncio
from functools import cached_property, partial
from typing import TYPE_CHECKING

from pressroom.app.chores import chores
from pressroom.app.money import set_default_cap
from pressroom.errors import StorageError
from pressroom.fleet import workers
from pressroom.generation.run.keeping import Keeping
from pressroom.storage import Spool
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pressroom.app.vendor import Vendor
    from pressroom.database import Database
    from pressroom.fleet.keys import Keys
    from pressroom.generation.run.context import Parts
    from pressroom.generation.upkeep.key_watch import KeyWatch
    from pressroom.generation.waiters import Waiters
    from pressroom.generation.worker import Worker
    from pressroom.settings import Settings
    from pressroom.storage import ObjectStore

log = event_logger(__name__)


class Working:
    """
    The worker of this process, when there is one, and what it needs.

    Args:
        settings: Everything.
        database: Where jobs wait.
        store: Where images go.
        vendor: Whom to buy from.
        waiters: Whom to tell in this process.
    """

    def __init__(
        self, *, settings: Settings, database: Database, store: ObjectStore, vendor: Vendor, waiters: Waiters
    ) -> None:
        self.settings = settings
        self.database = database
        self.store = store
        self._vendor = vendor
        self._waiters = waiters
        self._worker: Worker | None = None
        self._starting = asyncio.Lock()

    def wake(self) -> None:
        """Look for work now, if this process works."""
        if self._worker is not None:
            self._worker.wake()

    async def check_ready(self) -> None:
        """
        See that a picture could be bought and kept, before anything is asked for.

        Raises:
            InvalidSettings: There is no usable key.
            StorageError: The store or the spool cannot be used, and what to do.
        """
        self._vendor.key()
        await self._vendor.check_clock(self.database)
        await self._keeping.check(images=1)
        await self._keeping.check_store()

    async def start(self) -> Worker:
        """
        Make this process a worker too; the same one when it is already.

        Raises:
            InvalidSettings: The key or the vendor's address cannot be used.
            DatabaseError: The database cannot be used.
        """
        async with self._starting:
            if self._worker is None:
                self._worker = await self._new_worker()
            return self._worker

    async def _new_worker(self) -> Worker:
        from pressroom.generation.worker import Worker, new_worker_id
        from pressroom.spend.prices import Prices

        keys = await self._vendor.keys()
        await self._vendor.check_clock(self.database)
        await self._look_at_the_store()
        await set_default_cap(self.database, self.settings, self._vendor.upstream)
        generation = self.settings.generation
        worker = Worker(
            database=self.database,
            settings=self.settings,
            upstream=self._vendor.upstream,
            prices=Prices(
                keys,
                deadline_s=generation.quote_s,
                life_s=generation.quote_life_s,
                table_margin=self.settings.spend.table_margin,
            ),
            worker_id=new_worker_id(),
        )
        parts = await self._parts(keys, worker)
        watch = await self._key_watch(keys, worker)
        await worker.start(parts, chores=chores(parts, self.settings), loops={"keys": watch.watch})
        log.info("key.in_use", worker=worker.id, fingerprint=keys.current().fingerprint)
        return worker

    async def _parts(self, keys: Keys, worker: Worker) -> Parts:
        from pressroom.generation.run.context import Parts
        from pressroom.generation.run.durations import Durations

        generation = self.settings.generation
        return Parts(
            database=self.database,
            keys=keys,
            store=self.store,
            spool=self._spool,
            spool_id=await asyncio.to_thread(self._spool.identity),
            keeping=self._keeping,
            settings=generation,
            all_settings=self.settings,
            client_settings=self.settings.client,
            durations=Durations(
                first_s=generation.poll_first_s, every_s=generation.poll_every_s, most_s=generation.poll_max_s
            ),
            waiters=self._waiters,
            upstream=self._vendor.upstream,
            lease_is_fresh=worker.lease_is_fresh,
            fresh_s=self.settings.fleet.fresh_s,
        )

    async def _key_watch(self, keys: Keys, worker: Worker) -> KeyWatch:
        from pressroom.generation.upkeep.key_watch import KeyWatch, tell_refused

        upstream = self._vendor.upstream
        return KeyWatch(
            database=self.database,
            upstream=upstream,
            keys=keys,
            file=await self._vendor.key_file_or_none(
                on_refused=partial(tell_refused, self.database, upstream)
            ),
            settings=self.settings.fleet,
            holder=worker.id,
        )

    async def _look_at_the_store(self) -> None:
        """A store that cannot be used stops purchases, not a worker: what is bought already must come home."""
        try:
            await self._keeping.check_store()
        except StorageError as error:
            log.warning("store.refused", error=type(error).__name__, message=error.message)

    async def stop(self, *, drain_s: float | None = None) -> None:
        """Let running work end for `drain_s` seconds (default: the setting) and hand the rest on."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await worker.stop(drain_s=self.settings.fleet.drain_s if drain_s is None else drain_s)

    async def see_that_someone_works(self) -> None:
        """Work in this process when no worker of the same upstream is beating anywhere."""
        if self._worker is not None:
            return
        async with self.database.read() as connection:
            beating = await workers.beating(
                connection, self._vendor.upstream, within_s=self.settings.fleet.dead_after_s
            )
        if not beating:
            await self.start()

    @cached_property
    def _spool(self) -> Spool:
        return Spool(self.settings.home / "spool", reserve_bytes=self.settings.storage.spool_reserve_bytes)

    @cached_property
    def _keeping(self) -> Keeping:
        return Keeping(database=self.database, store=self.store, spool=self._spool)
