"""One process's pressroom: what it offers, and how it is built and closed."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pressroom.app import schema
from pressroom.app.controls import Controls
from pressroom.app.looking import Looking
from pressroom.app.money import Money
from pressroom.app.projects import Projects
from pressroom.app.recovery import Recovery
from pressroom.app.submitting import Submitting
from pressroom.app.vendor import Vendor
from pressroom.app.working import Working
from pressroom.catalog import assets as catalog
from pressroom.database import Database, DatabaseAddress, prepare_home
from pressroom.errors import Conflict, InvalidSettings, NotFound
from pressroom.fleet import variables, workers
from pressroom.fleet.gate import GateCache
from pressroom.generation.decisions import Decisions
from pressroom.generation.fallback import Fallback
from pressroom.generation.jobs import Priority
from pressroom.generation.waiters import Waiters
from pressroom.ideogram import (
    Ideogram,
    ImageRequest,
    Wire,
    polling_api,
)
from pressroom.settings import Settings
from pressroom.spend.reconcile import reconcile
from pressroom.storage import ObjectStore, StoreOptions
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

    from pressroom.generation.views import JobView
    from pressroom.generation.worker import Worker
    from pressroom.spend.reconciliation import Reconciliation

log = event_logger(__name__)


class App(Controls, Looking, Money, Projects, Recovery, Submitting):
    """
    One process's pressroom; get it from `open_app`.

    Attributes:
        settings: Read once, at the start.
        database: Shared by every process that has the same address.
        store: Where images are kept.
        upstream: The vendor's host, or `emulator`: whose jobs this process submits and works on.
        decisions: Cancel, retry and resolve.
    """

    def __init__(self, settings: Settings, database: Database, store: ObjectStore, vendor: Vendor) -> None:
        self.settings = settings
        self.database = database
        self.store = store
        self.upstream = vendor.upstream
        self._vendor = vendor
        self.decisions = Decisions(database)
        self._gates = GateCache(
            vendor.upstream, settings, fingerprint=_fingerprint_of(vendor), of_workers=True
        )
        self._fallback = Fallback(database, settings=settings.fallback, gates=self._gates)
        self._waiters = Waiters()
        self._working = Working(
            settings=settings, database=database, store=store, vendor=vendor, waiters=self._waiters
        )

    async def generate(
        self,
        prompt: str,
        *,
        wire: Wire | str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        project: str | None = None,
        priority: Priority | str = Priority.INTERACTIVE,
        fallback: str | None = None,
        buy_before: datetime | timedelta | None = None,
        deadline_s: float | None = None,
        **fields: Any,
    ) -> JobView:
        """
        Ask for pictures and wait for them; works on the job itself when no live worker does.

        Args:
            prompt: 1 to 10,000 characters.
            wire: Generation of the vendor's API; default: the setting.
            tags: Words to find the assets by.
            metadata: Names and values that travel with the job.
            project: Whose it is; default: the setting.
            priority: `interactive`, or `batch` when nobody waits for it.
            fallback: What to return while the vendor cannot be asked: `wait`, `placeholder` or `fail`; default: the project's.
            buy_before: An aware moment, or a time from now; what was not sent by then is cancelled.
            deadline_s: Seconds to wait at most; the job goes on afterwards.
            fields: Further fields of `pressroom.ideogram.ImageRequest`.

        Returns:
            The job in whatever state it reached, with its assets.

        Raises:
            InvalidRequest: The request cannot be sent as it is; nothing was written.
            Busy: It would have to wait, and the switch `rate_limit_mode` says reject; nothing was written.
            TimeoutError: The deadline passed; the job is still under way.
        """
        request = ImageRequest(prompt=prompt, **fields)
        await self.check_ready()
        job_id = await self.submit(
            request,
            wire=wire,
            tags=tags,
            metadata=metadata,
            project=project,
            priority=priority,
            fallback=fallback,
            buy_before=buy_before,
        )
        return await self.wait(job_id, deadline_s=deadline_s, work=True, fallback=True)

    async def asset(self, asset_id: str) -> dict[str, Any]:
        """
        An asset's record, with where it is and an address minted now.

        Raises:
            NotFound: There is none with that id.
        """
        async with self.database.read() as connection:
            found = await catalog.get_one_or_none(connection, asset_id)
        if found is None:
            raise NotFound(f"no asset {asset_id}; `pressroom jobs show JOB` lists a job's assets")
        life = timedelta(seconds=self.settings.storage.address_life_s)
        return {
            **found.to_json(),
            "location": self.store.location(found.stored_path),
            "address": await self.store.address(found.stored_path, life=life),
        }

    async def adopt(self, job_id: str, generation_id: str) -> None:
        """
        Say which generation an uncertain job became, after asking the vendor whether it knows it.

        Raises:
            NotFound, Conflict: No such job, or it is not uncertain.
            GenerationNotFound: The vendor does not know that id.
        """
        view = await self.job(job_id)
        if view.job.upstream != self.upstream:
            raise Conflict(
                f"job {job_id} is for {view.job.upstream} and this process speaks to {self.upstream}; "
                "set the key and base URL that it was submitted with"
            )
        client = await self.client()
        await client.poll(generation_id, api=polling_api(view.job.call["operation"]))
        await self.decisions.adopt(job_id, generation_id)

    async def reconcile(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Reconciliation:
        """
        Compare what the vendor billed with our attempts, hour by hour; settles nothing.

        Args:
            since: Aware; default: a day before `until`.
            until: Aware; default: now.

        Raises:
            InvalidRequest: A time without a zone, or a window that cannot be compared.
            VendorError: The vendor does not tell, for instance because the key's owner is no administrator.
        """
        return await reconcile(self.database, await self.client(), self.upstream, since=since, until=until)

    async def workers(self) -> list[workers.Worker]:
        """Every worker that is remembered, oldest first."""
        async with self.database.read() as connection:
            return await workers.all_workers(connection)

    async def check_ready(self) -> None:
        """
        See that a picture could be bought and kept, before anything is asked for.

        Raises:
            InvalidSettings: There is no usable key.
            StorageError: The store or the spool cannot be used, and what to do.
        """
        await self._working.check_ready()

    async def client(self) -> Ideogram:
        """The vendor's client of this process; starts the embedded emulator where that is the upstream."""
        return await self._vendor.client()

    async def start_worker(self) -> Worker:
        """
        Make this process a worker too; the same one when it is already.

        Raises:
            InvalidSettings: The key or the vendor's address cannot be used.
            DatabaseError: The database cannot be used.
        """
        return await self._working.start()

    async def stop_worker(self, *, drain_s: float | None = None) -> None:
        """Let running work end for `drain_s` seconds (default: the setting) and hand the rest on."""
        await self._working.stop(drain_s=drain_s)

    async def close(self) -> None:
        """Stop the worker, then the client, the emulator and the database."""
        try:
            await self.stop_worker()
        finally:
            await self._vendor.close()
            await self.database.close()


def _fingerprint_of(vendor: Vendor) -> Callable[[], str | None]:
    def fingerprint() -> str | None:
        try:
            return vendor.key_fingerprint()
        except InvalidSettings:  # without a key nothing is bought here, and every stop counts
            return None

    return fingerprint


@asynccontextmanager
async def open_app(settings: Settings | None = None) -> AsyncIterator[App]:
    """
    Open pressroom in this process.

    Args:
        settings: Default: read from the environment and `pressroom.toml`.

    Raises:
        InvalidSettings: A setting cannot be used.
        DatabaseError: The database cannot be used.
        StorageError: The local store cannot be made.
    """
    settings = settings or Settings.load()
    vendor = Vendor(settings)
    address = DatabaseAddress.parse(settings)
    prepare_home(settings.home)
    database = Database(address, settings.database)
    app: App | None = None
    try:
        await schema.check(settings, database)
        await variables.apply(database, vendor.upstream, settings)
        store = ObjectStore.open(
            settings.storage_url or "file:",
            options=_store_options(settings),
            home=settings.home,
            create=not await _holds_assets(database),
        )
        app = App(settings, database, store, vendor)
        yield app
    finally:
        await (app.close() if app is not None else database.close())


async def _holds_assets(database: Database) -> bool:
    async with database.read() as connection:
        return await catalog.holds_any(connection)


def _store_options(settings: Settings) -> StoreOptions:
    storage = settings.storage
    return StoreOptions(**{name: getattr(storage, name) for name in StoreOptions.__dataclass_fields__})
