"""A worker: the loops of one process that dispatch jobs, carry out runs, and look after those of the dead."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from pressroom.engine import APPLICATION_VERSION, Engine
from pressroom.errors import PressroomError
from pressroom.fleet import workers
from pressroom.fleet.leases import Lease
from pressroom.fleet.maintenance import maintain
from pressroom.fleet.workers import Watch, WorkerState
from pressroom.generation import workflow
from pressroom.generation.dispatch.dispatcher import Dispatcher
from pressroom.generation.run.runner import Runner
from pressroom.generation.upkeep.sweep import Sweep
from pressroom.generation.waiters import within
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pressroom.database import Database
    from pressroom.generation.run.context import Parts
    from pressroom.settings import Settings
    from pressroom.spend.prices import Prices
    from pressroom.storage import Spool

log = event_logger(__name__)

TROUBLE_WAIT_S = 0.5
"""Seconds before a loop that met a database that is away looks again."""

DISPATCH_GAP_S = 0.01
"""Seconds at least between the beginnings of two looks for work."""

CANCEL_AGAIN_S = 0.5
"""Seconds before a loop that was cancelled and goes on is cancelled again."""

DRAIN_LOOK_S = 0.02
"""Seconds between two looks whether running work has ended."""


def new_worker_id() -> str:
    """Unique for ever: host and process for people, random digits because both come again."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def _is_cancelled() -> bool:
    """
    Whether this task was told to end.

    A database driver that is cancelled in the middle of something may raise an error of its own in the place of that.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel loops until each has ended: one that handled such an error of a driver goes on as if nothing had been said."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_going(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Begin a loop again that a mistake of ours has ended: a worker that only beats is worse than a dead one."""
    while True:
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - whatever it was, the other loops and the runs go on
            if _is_cancelled():
                return
            log.error("worker.loop_failed", loop=name, error=type(error).__name__)  # noqa: TRY400 - values stay out
        await asyncio.sleep(TROUBLE_WAIT_S)


class Worker:
    """
    One worker; start it once per process.

    Args:
        database: Shared by the fleet.
        settings: Everything.
        upstream: Whose jobs it takes; never another's.
        prices: What to reserve.
        worker_id: From `new_worker_id`.
    """

    def __init__(
        self, *, database: Database, settings: Settings, upstream: str, prices: Prices, worker_id: str
    ) -> None:
        self.id = worker_id
        self._database = database
        self._settings = settings
        self._upstream = upstream
        self._prices = prices
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: Runner | None = None
        self._stopping = False
        fleet = settings.fleet
        self._lease = Lease(database.sync_engine(pool=0), worker_id, beat_s=fleet.beat_s)
        self._engine = Engine(
            database,
            executor_id=worker_id,
            queue=f"runs/{upstream}",
            poll_s=settings.engine.poll_s,
            runs=fleet.runs_per_worker,
        )

    def lease_is_fresh(self) -> bool:
        """Whether this worker may begin a purchase; one that is stopping may not."""
        return not self._stopping and self._lease.fresh(self._settings.fleet.fresh_s)

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    async def start(
        self,
        parts: Parts,
        *,
        chores: Mapping[str, Callable[[], Awaitable[None]]],
        loops: Mapping[str, Callable[[], Awaitable[None]]],
    ) -> None:
        """
        Announce the worker and begin.

        Args:
            parts: What its runs work with.
            chores: Tasks for the maintenance loop beside the spine's own, by name.
            loops: What every worker does all the time beside the spine's own, by name.

        Raises:
            DatabaseError: The database cannot be used.
        """
        async with self._database.write() as connection:
            await workers.register(connection, self.id, upstream=self._upstream, version=APPLICATION_VERSION)
        self._lease.start()
        self._runner = Runner(parts, worker_id=self.id, on_end=self.wake)
        workflow.bind(self._runner)
        try:
            await self._engine.start()
        except BaseException:  # also Ctrl-C: else others would wait for a worker that beats and takes nothing
            await self._resign()
            raise
        for name, loop in {**self._loops(parts, chores), **loops}.items():
            self._tasks.append(asyncio.create_task(_keep_going(name, loop), name=f"pressroom-{name}"))
        log.info("worker.started", worker=self.id, upstream=self._upstream)

    def _loops(
        self, parts: Parts, chores: Mapping[str, Callable[[], Awaitable[None]]]
    ) -> dict[str, Callable[[], Awaitable[None]]]:
        dispatcher = Dispatcher(
            database=self._database,
            engine=self._engine,
            prices=self._prices,
            settings=self._settings,
            upstream=self._upstream,
            keys=parts.keys,
        )
        sweep = Sweep(
            database=self._database, engine=self._engine, settings=self._settings, upstream=self._upstream
        )
        maintenance = partial(
            maintain,
            self._database,
            lease=f"maintenance/{self._upstream}",
            holder=self.id,
            every_s=self._settings.fleet.beat_s,
            tasks={**sweep.tasks(), **chores},
        )
        return {
            "dispatch": partial(self._dispatch, dispatcher),
            "watch": self._watch,
            "tidy": partial(self._tidy, sweep, parts.spool),
            "maintenance": maintenance,
        }

    async def stop(self, *, drain_s: float) -> None:
        """
        Begin nothing new, let running work end for `drain_s` seconds, hand the rest to other workers.

        A paid request on its way gets the whole drain time of the settings, whatever `drain_s` says. The order
        matters: the lease beats until nothing of ours runs any more.
        """
        self._stopping = True
        await _end(self._tasks)
        if self._runner is not None:
            await self._drain(self._runner, drain_s)
        with contextlib.suppress(PressroomError):  # the database is away: others will find us silent instead
            await self._engine.stop()
        await self._resign()
        log.info("worker.stopped", worker=self.id)

    async def _resign(self) -> None:
        await asyncio.to_thread(self._lease.stop)
        with contextlib.suppress(PressroomError):
            async with self._database.write() as connection:
                await workers.mark_stopped(connection, self.id)

    async def _drain(self, runner: Runner, seconds: float) -> None:
        began = time.monotonic()

        def goes_on() -> bool:
            passed = time.monotonic() - began
            return bool(runner.active and passed < seconds) or bool(
                runner.posting and passed < self._settings.fleet.drain_s
            )

        while goes_on():  # noqa: ASYNC110 - two conditions and a clock
            await asyncio.sleep(DRAIN_LOOK_S)
        if runner.active:
            log.warning("worker.drain_ended", worker=self.id, runs=runner.active)
            runner.cancel_all()
            await asyncio.sleep(DRAIN_LOOK_S)

    async def _dispatch(self, dispatcher: Dispatcher) -> None:
        while True:
            began = time.monotonic()
            try:
                given = await dispatcher.dispatch() if self.lease_is_fresh() else 0
            except PressroomError as error:
                log.warning("dispatch.failed", error=type(error).__name__)
                await asyncio.sleep(TROUBLE_WAIT_S)
                continue
            if not given:
                await within(self._wake, self._settings.fleet.dispatch_every_s)
            # Slots that come free one shortly after the other are filled by one look, not by one each.
            await asyncio.sleep(max(0.0, began + DISPATCH_GAP_S - time.monotonic()))

    async def _tidy(self, sweep: Sweep, spool: Spool) -> None:
        while True:
            try:
                await sweep.tidy_spool(spool)
            except PressroomError as error:
                log.warning("spool.untidy", error=type(error).__name__)
            await asyncio.sleep(self._settings.fleet.tidy_s)

    async def _watch(self) -> None:
        """Declare workers dead whose counters stand still, as far as we can tell ourselves."""
        watch = Watch(dead_after_s=self._settings.fleet.dead_after_s)
        while True:
            await asyncio.sleep(self._settings.fleet.beat_s)
            try:
                async with self._database.read() as connection:
                    known = await workers.all_workers(connection)
            except PressroomError as error:
                log.warning("watch.failed", error=type(error).__name__)
                watch.silent([], now=time.monotonic(), we_beat=False)
                continue
            others = [one for one in known if one.state is WorkerState.LIVE and one.id != self.id]
            for silent in watch.silent(others, now=time.monotonic(), we_beat=self.lease_is_fresh()):
                await self._bury(silent)

    async def _bury(self, silent: workers.Worker) -> None:
        try:
            async with self._database.write() as connection:
                died = await workers.mark_dead(connection, silent)
        except PressroomError as error:
            log.warning("watch.failed", error=type(error).__name__)
            return
        if died:
            log.warning("worker.died", worker=silent.id)
