"""`pressroom worker`: a process that dispatches and works until it is stopped."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from pressroom.cli.output import Json, print_json, print_table, say

if TYPE_CHECKING:
    from pressroom.app import App

cli = typer.Typer(rich_markup_mode=None)


@cli.callback(invoke_without_command=True)
def worker(context: typer.Context) -> None:
    """
    Work on waiting jobs until stopped; SIGTERM or Ctrl-C lets running work end for up to 30 s.

    Example: pressroom worker
    """
    if context.invoked_subcommand is None:
        from pressroom.cli.opening import with_app

        asyncio.run(with_app(_work))


async def _work(app: App) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    started = await app.start_worker()
    gc.collect()
    gc.freeze()  # what is loaded by now stays; the collector need not look through it again and again
    say(f"worker {started.id} works for {app.upstream} on {app.database.address}; Ctrl-C stops it")
    say("A request whose answer is lost will wait for a person: the vendor offers no way to look it up.")
    await stop.wait()
    say("stopping: running work gets its time to end")
    await app.stop_worker()


@cli.command("list")
def list_workers(as_json: Annotated[bool, Json] = False) -> None:
    """
    List the workers of this database.

    Example: pressroom worker list
    """
    from pressroom.cli.opening import with_app
    from pressroom.database import rfc3339

    async def work(app: App) -> None:
        known = await app.workers()
        rows = [
            (
                one.id,
                one.state,
                one.upstream,
                one.host,
                one.pid,
                rfc3339(one.beat_at),
            )
            for one in known
        ]
        head = ("id", "state", "upstream", "host", "pid", "beat_at")
        if as_json:
            print_json([dict(zip(head, row, strict=True)) for row in rows])
        else:
            print_table(head, rows)

    asyncio.run(with_app(work))
