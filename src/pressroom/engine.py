"""The durable engine (DBOS): it distributes runs to workers, starts them, and hands a dead worker's runs on.

Only this file and modules named `workflow.py` import it. Its records name a run by ids in portable JSON; what a run
has done is in our rows alone, so any version of the code can continue any run (`APPLICATION_VERSION`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer

from pressroom.errors import DatabaseUnavailable, DatabaseUnusable
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database, DatabaseAddress

log = event_logger(__name__)

APPLICATION_VERSION = "2"
"""Raised by hand when an older worker must not start a newer worker's runs. Runs left by a version that no live worker
has are given back to the dispatcher, which starts them anew under this one: rows, not code, are the checkpoint.

2: attempts stand on budget counters, which a worker of 1 would not settle."""

APPLICATION_NAME = "pressroom"
PRIORITY = 1
"""Engine priority of every run: unset would be 0 and beat it. Order is the dispatcher's business, not the engine's."""


ABANDONED_AT_ONCE = 500
"""Records given up in one call, when all of them are."""


@dataclass(frozen=True)
class Owed:
    """A run that the engine owes: its id, who has begun it, and which version of the code may."""

    workflow_id: str
    executor_id: str | None
    version: str | None


def migrate(address: DatabaseAddress) -> None:
    """
    Create or upgrade the engine's tables.

    Raises:
        DatabaseUnavailable: The database does not answer.
    """
    url = address.url if address.is_sqlite else address.url.set(drivername="postgresql")
    try:
        DBOS.migrate(url.render_as_string(hide_password=False))
    except Exception as error:  # the library raises whatever its driver raises
        raise DatabaseUnavailable(
            f"database {address}: the engine's tables could not be prepared ({type(error).__name__})"
        ) from error


class Engine:
    """
    The engine of this process; one per process, and it adopts the event loop that starts it.

    Args:
        database: Where its records are, beside ours.
        executor_id: This worker's id, unique for ever.
        queue: The queue this process takes runs from and puts them into; one for each upstream.
        poll_s: Seconds between two looks into the queue.
        runs: Runs at the same time in this process, at most.
    """

    def __init__(self, database: Database, *, executor_id: str, queue: str, poll_s: float, runs: int) -> None:
        self.queue = queue
        self.executor_id = executor_id
        self._database = database
        self._poll_s = poll_s
        self._runs = runs
        self._engines: list[sa.Engine] = []
        self._client: DBOSClient | None = None

    def connect(self) -> DBOSClient:
        """Be able to owe runs and to look at them, without taking any; a part of `start`."""
        self._client = DBOSClient(
            system_database_engine=self._open(pool=1 if self._database.is_sqlite else 2),
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION_NAME,
            lazy=True,
            retry_connection_errors=False,
        )
        return self._client

    async def disconnect(self) -> None:
        """Undo `connect`; of an engine that was not started."""
        await self._close()

    async def start(self) -> None:
        """
        Start taking runs.

        Raises:
            DatabaseUnusable: The engine's tables are missing or older than this library.
        """
        pool = 2 if self._database.is_sqlite else self._database.settings.engine_pool
        client = self.connect()
        DBOS(
            config={
                "name": APPLICATION_NAME,
                "system_database_engine": self._open(pool=pool),
                "serializer": DBOSPortableJSONSerializer(),
                "executor_id": self.executor_id,
                "application_version": APPLICATION_VERSION,
                "run_migrations": False,
                "log_level": "ERROR",
                "use_listen_notify": False,
                "enable_otlp": False,
            }
        )
        try:
            await asyncio.to_thread(
                client.register_queue,
                self.queue,
                worker_concurrency=self._runs,
                polling_interval_sec=self._poll_s,
                on_conflict="always_update",
            )
            DBOS.listen_queues([self.queue])
            DBOS.launch()
        except (
            BaseException
        ) as error:  # the library raises its own and its driver's; a start may be cancelled
            # Else the process keeps this one, with its executor id and its connections, for the next start.
            await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
            await self._close()
            if not isinstance(error, Exception):
                raise
            raise DatabaseUnusable(
                f"database {self._database.address}: the engine cannot start ({type(error).__name__}); run `pressroom db upgrade`"
            ) from error

    async def enqueue(
        self, connection: AsyncConnection, workflow: str, workflow_id: str, *arguments: str | int
    ) -> None:
        """Owe a run, in the caller's transaction: it is owed exactly when that commits."""
        client = self._running()

        def enqueue(sync: sa.Connection) -> None:
            client.enqueue_in_transaction(
                sync,
                {
                    "workflow_name": workflow,
                    "workflow_id": workflow_id,
                    "queue_name": self.queue,
                    "app_version": APPLICATION_VERSION,
                    "priority": PRIORITY,
                },
                *arguments,
            )

        await connection.run_sync(enqueue)

    async def under_way(self) -> list[Owed]:
        """The runs that some executor has begun and not ended."""
        return await self._owed(status="PENDING")

    async def all_owed(self) -> list[Owed]:
        """The runs that are begun or wait to be."""
        return await self._owed(status=["PENDING", "ENQUEUED"])

    async def owed(self, workflow_ids: list[str]) -> set[str]:
        """Those of `workflow_ids` that the engine still owes a run."""
        if not workflow_ids:
            return set()
        found = await self._owed(status=["PENDING", "ENQUEUED"], workflow_ids=workflow_ids)
        return {run.workflow_id for run in found}

    async def hand_on(self, workflow_ids: list[str]) -> None:
        """Let any executor begin these runs anew; safe to repeat."""
        if workflow_ids:
            await self._call("resume_workflows", workflow_ids, queue_name=self.queue)

    async def abandon(self, workflow_ids: list[str]) -> None:
        """Owe these runs no more; safe to repeat."""
        if workflow_ids:
            await self._call("cancel_workflows", workflow_ids)

    async def abandon_all(self) -> int:
        """Owe nobody any run of any queue any more, as after a restore from a backup; safe to repeat. How many there were."""
        count = 0
        while owed := await self._call(
            "list_workflows",
            status=["PENDING", "ENQUEUED", "DELAYED"],
            limit=ABANDONED_AT_ONCE,
            load_input=False,
            load_output=False,
        ):
            await self.abandon([flow.workflow_id for flow in owed])
            count += len(owed)
        return count

    async def stop(self) -> None:
        """
        Take no more runs and hand on what this process was owed and has not finished.

        The caller has waited for the runs under way. What the engine took in the last moment, and outcomes that it had
        no time to write, are runs again elsewhere; the rows tell them that there is nothing left to do.
        """
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
        begun_here = [
            run.workflow_id for run in await self.under_way() if run.executor_id == self.executor_id
        ]
        await self.hand_on(begun_here)
        await self._close()

    async def _owed(self, **conditions: Any) -> list[Owed]:
        found = await self._call(
            "list_workflows", queue_name=self.queue, load_input=False, load_output=False, **conditions
        )
        return [Owed(flow.workflow_id, flow.executor_id, flow.app_version) for flow in found]

    async def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """One call of the library in a thread; whatever its driver raises becomes `DatabaseUnavailable`."""
        try:
            return await asyncio.to_thread(getattr(self._running(), method), *arguments, **options)
        except Exception as error:  # the library's own, the driver's, or SQLAlchemy's
            raise DatabaseUnavailable(
                f"database {self._database.address} does not answer ({type(error).__name__})"
            ) from error

    def _running(self) -> DBOSClient:
        if self._client is None:
            raise RuntimeError("the engine is not started")
        return self._client

    def _open(self, *, pool: int) -> sa.Engine:
        engine = self._database.sync_engine(pool=pool)
        self._engines.append(engine)
        return engine

    async def _close(self) -> None:
        if self._client is not None:
            await asyncio.to_thread(self._client.destroy)
            self._client = None
        for engine in self._engines:
            await asyncio.to_thread(engine.dispose)
        self._engines.clear()
