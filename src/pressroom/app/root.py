"""One process's pressroom: what it offers, and how it is built and closed."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pressroom.app import schema
from pressroom.app.vendor import Vendor
from pressroom.app.working import Working
from pressroom.catalog import assets as catalog
from pressroom.database import Database, DatabaseAddress, prepare_home
from pressroom.errors import Conflict, InvalidRequest, NotFound
from pressroom.fleet import workers
from pressroom.generation import jobs
from pressroom.generation.admission import Submission, admit
from pressroom.generation.decisions import Decisions
from pressroom.generation.estimate import seconds_until_done, usual_seconds_or_none
from pressroom.generation.views import JobView, views_of
from pressroom.generation.waiters import Waiters, within
from pressroom.ideogram import (
    Ideogram,
    ImageRequest,
    Wire,
    polling_api,
)
from pressroom.settings import Settings
from pressroom.storage import ObjectStore, StoreOptions
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    from pressroom.generation.jobs import JobState
    from pressroom.generation.worker import Worker

log = event_logger(__name__)

T = TypeVar("T")

AT_ONCE = 500
"""Jobs written in one transaction; a few hundred keep both the memory and other writers' waits small."""

LOOK_AGAIN_S = 0.25
"""Seconds between two looks at a job that another process may have moved."""

WORKER_LOOK_S = 2.0
"""Seconds between two looks whether any worker is there for a job that somebody waits for."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """
    A waiting job's prospects.

    Attributes:
        ahead: Jobs that have their turn before it.
        seconds: Until it is done, estimated from what was seen lately; None while nothing was seen.
    """

    ahead: int
    seconds: float | None


class App:
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
            deadline_s: Seconds to wait at most; the job goes on afterwards.
            fields: Further fields of `pressroom.ideogram.ImageRequest`.

        Returns:
            The job in whatever state it reached, with its assets.

        Raises:
            InvalidRequest: The request cannot be sent as it is; nothing was written.
            TimeoutError: The deadline passed; the job is still under way.
        """
        request = ImageRequest(prompt=prompt, **fields)
        await self.check_ready()
        job_id = await self.submit(request, wire=wire, tags=tags, metadata=metadata, project=project)
        return await self.wait(job_id, deadline_s=deadline_s, work=True)

    async def submit(
        self,
        request: ImageRequest,
        *,
        wire: Wire | str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        project: str | None = None,
    ) -> str:
        """
        Write a job for `request` and return its id at once.

        Raises:
            InvalidRequest: The request cannot be sent as it is; nothing was written.
            DatabaseError: It could not be written.
        """
        ids = await self.submit_many([request], wire=wire, tags=tags, metadata=metadata, project=project)
        return ids[0]

    async def submit_many(
        self,
        requests: Iterable[ImageRequest],
        *,
        wire: Wire | str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        project: str | None = None,
    ) -> list[str]:
        """
        Write a job for each request; thousands a second.

        Args:
            requests: What is asked for; all are looked at before the first is written.
            wire: As in `generate`, for all of them; so are the others.
            tags: Words to find the assets by.
            metadata: Names and values that travel with each job.
            project: Whose they are.

        Returns:
            The jobs' ids in the same order.

        Raises:
            InvalidRequest: One cannot be sent as it is; nothing was written.
            DatabaseError: They could not be written; those of earlier transactions (`AT_ONCE` jobs each) are there.
        """
        labels: dict[str, Any] = {
            "wire": _wire(wire or self.settings.generation.wire),
            "tags": tags,
            "metadata": metadata or {},
            "project": project or self.settings.project,
        }
        asked = [Submission(request=request, **labels) for request in requests]
        wanted = [(submission, submission.call()) for submission in asked]
        job_ids: list[str] = []
        for some in _batched(wanted, AT_ONCE):
            async with self.database.write() as connection:
                job_ids += await admit(connection, some, upstream=self.upstream)
            self._working.wake()
        log.info("jobs.submitted", count=len(job_ids), first=job_ids[0] if job_ids else None)
        return job_ids

    async def job(self, job_id: str) -> JobView:
        """
        One job with its attempts and assets.

        Raises:
            NotFound: There is none with that id.
        """
        async with self.database.read() as connection:
            found = await jobs.get_one_or_none(connection, job_id)
            if found is None:
                raise NotFound(f"no job {job_id}; `pressroom jobs list` shows what there is")
            return (await views_of(connection, [found]))[0]

    async def jobs(
        self, *, states: Sequence[JobState] = (), limit: int = 20, before: str | None = None
    ) -> list[JobView]:
        """
        Jobs, newest first; `before` is the last id of the page before.

        Raises:
            InvalidRequest: `limit` is below 1.
        """
        if limit < 1:
            raise InvalidRequest("limit", limit, "1 or more")
        async with self.database.read() as connection:
            return await views_of(
                connection, await jobs.newest(connection, states=states, limit=limit, before=before)
            )

    async def outlook(self, view: JobView) -> Outlook:
        """Where a waiting job stands and when it will probably be done."""
        fleet = self.settings.fleet
        async with self.database.read() as connection:
            ahead = await jobs.ahead_of(connection, view.job)
            usual_s = await usual_seconds_or_none(connection, view.job.upstream, view.job.call["operation"])
        limit = min(fleet.concurrency, fleet.account_limit)
        seconds = None if usual_s is None else seconds_until_done(ahead=ahead, limit=limit, usual_s=usual_s)
        return Outlook(ahead=ahead, seconds=seconds)

    async def wait(
        self,
        job_id: str,
        *,
        deadline_s: float | None = None,
        work: bool = False,
        on_change: Callable[[JobView], Any] | None = None,
    ) -> JobView:
        """
        Wait until nothing more happens to a job without a person.

        Args:
            job_id: Which.
            deadline_s: Seconds to wait at most; None for ever.
            work: Work on it in this process whenever no live worker of the same upstream is there.
            on_change: Called with the job at each look; may be asynchronous.

        Raises:
            NotFound: There is no such job.
            TimeoutError: The deadline passed.
        """
        async with asyncio.timeout(deadline_s):
            looked_for_worker = float("-inf")
            with self._waiters.waiting_for(job_id) as moved:
                while True:
                    view = await self.job(job_id)
                    if on_change is not None:
                        told = on_change(view)
                        if asyncio.iscoroutine(told):
                            await told
                    if view.job.waits_for_nobody:
                        return view
                    if work and time.monotonic() - looked_for_worker > WORKER_LOOK_S:
                        await self._working.see_that_someone_works()
                        looked_for_worker = time.monotonic()
                    await within(moved, LOOK_AGAIN_S)

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


def _batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _wire(name: Wire | str) -> Wire:
    try:
        return Wire(name)
    except ValueError:
        raise InvalidRequest("wire", name, f"it is one of {', '.join(Wire)}") from None


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
