"""`pressroom breaker …`: where purchases stopped because the vendor fails or refuses, and how they begin again."""

from __future__ import annotations

import asyncio
import time
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


NEXT_JOB = "with the next job"
WAITS_FOR_PROBE = "when the free probe is answered"
WAITS_FOR_KEY = "none: when a free request with the key is answered"


@cli.command("list")
def list_breakers(as_json: Annotated[bool, Json] = False) -> None:
    """
    List the breakers of families that ever failed, and the stops on key, credits and quota.

    Example: pressroom breaker list
    """

    async def work(app: App) -> None:
        probe_s = app.settings.breaker.probe_s
        broken = [_of_breaker(one, probe_s=probe_s) for one in await app.breakers()]
        shown = [*broken, *map(_of_stop, await app.stops())]
        if as_json:
            print_json(shown)
        elif not shown:
            say("nothing ever failed, and nothing is stopped")
        else:
            columns = ("name", "state", "since", "next_trial", "failures", "message")
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
        in_the_way = await app.order_trial(name)
        when = f", but not before this has ended: {', '.join(in_the_way)}" if in_the_way else ""
        say(f"the next job of {name} goes as a trial{when}")

    _with_app(work)


def _of_breaker(breaker: Breaker, *, probe_s: float) -> dict[str, Any]:
    closed = breaker.state == "closed"
    return {
        "name": breaker.family,
        "kind": "breaker",
        "state": breaker.state,
        "since": None if closed else _time(breaker.opened_at),
        "trial_at": _time(breaker.trial_at) if breaker.trial_at else None,
        "next_trial": _next_trial(breaker, probe_s=probe_s),
        "failures": breaker.failures,
        "probe_answered": breaker.probe_answered,
        "message": None if closed else breaker.message,
    }


def _next_trial(breaker: Breaker, *, probe_s: float) -> str | None:
    """When the next trial goes, or what it waits for; None while nothing stops its family."""
    if breaker.state == "closed":
        return None
    if breaker.state == "trying":
        return "on its way"
    now = _now()
    due = NEXT_JOB if breaker.trial_is_due(now, probe_s=probe_s) else WAITS_FOR_PROBE
    return _when(breaker.trial_at or 0, now, due=due)


def _when(trial_at: int, now: int, *, due: str) -> str:
    return due if trial_at <= now else str(_time(trial_at))


def _now() -> int:
    return int(time.time() * 1000)


def _of_stop(stop: Stop) -> dict[str, Any]:
    return {
        "name": stop.cause,
        "kind": "stop",
        "state": "stopped",
        "since": _time(stop.since),
        "trial_at": None if stop.of_key else _time(stop.trial_at),
        "next_trial": WAITS_FOR_KEY if stop.of_key else _when(stop.trial_at, _now(), due=NEXT_JOB),
        "failures": None,
        "probe_answered": None,
        "message": stop.message,
    }


def _time(millis: int | None) -> str | None:
    from pressroom.database import rfc3339

    return rfc3339(millis)


def _with_app(work: Callable[[App], Awaitable[None]]) -> None:
    from pressroom.cli.opening import with_app

    asyncio.run(with_app(work))
