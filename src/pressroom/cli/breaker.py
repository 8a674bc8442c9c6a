"""`pressroom breaker …`: where purchases stopped because the vendor fails or refuses, and how they begin again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pressroom.cli.output import Json, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pressroom.app import App
    from pressroom.fleet.breakers import Breaker
    from pressroom.fleet.stops import Stop

cli = typer.Typer(
    help="Where purchases stopped because the vendor fails or refuses, and how they begin again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@cli.command("list")
def list_breakers(as_json: Annotated[bool, Json] = False) -> None:
    """
    List the breakers of families that ever failed, and the stops on key, credits and quota.

    Example: pressroom breaker list
    """

    async def work(app: App) -> None:
        shown = [*map(_of_breaker, await app.breakers()), *map(_of_stop, await app.stops())]
        if as_json:
            print_json(shown)
        elif not shown:
            say("nothing ever failed, and nothing is stopped")
        else:
            columns = ("name", "state", "since", "trial_at", "failures", "message")
            print_table(
                ("breaker or stop", "state", "since", "next trial", "failures in a row", "because"),
                [[one[column] for column in columns] for one in shown],
            )

    _with_app(work)


@cli.command("try")
def order_trial(
    name: Annotated[str, typer.Argument(help="A family such as v2/generate, or credits, quota, key:….")],
) -> None:
    """
    Let the next job go as a trial now; what it buys shows whether the rest may follow.

    Example: pressroom breaker try v2/generate
    """

    async def work(app: App) -> None:
        await app.order_trial(name)
        say(f"the next job of {name} goes as a trial")

    _with_app(work)


def _of_breaker(breaker: Breaker) -> dict[str, Any]:
    closed = breaker.state == "closed"
    return {
        "name": breaker.family,
        "kind": "breaker",
        "state": breaker.state,
        "since": None if closed else _time(breaker.opened_at),
        "trial_at": _time(breaker.trial_at) if breaker.trial_at else None,
        "failures": breaker.failures,
        "probe_answered": breaker.probe_answered,
        "message": None if closed else breaker.message,
    }


def _of_stop(stop: Stop) -> dict[str, Any]:
    return {
        "name": stop.cause,
        "kind": "stop",
        "state": "stopped",
        "since": _time(stop.since),
        "trial_at": _time(stop.trial_at),
        "failures": None,
        "probe_answered": None,
        "message": stop.message,
    }


def _time(millis: int | None) -> str | None:
    from pressroom.database import at

    return None if millis is None else at(millis).isoformat(timespec="seconds")


def _with_app(work: Callable[[App], Awaitable[None]]) -> None:
    from pressroom.cli.opening import with_app

    asyncio.run(with_app(work))
