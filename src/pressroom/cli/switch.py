"""`pressroom switch …`: settings of the whole fleet that act within seconds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pressroom.cli.amounts import TakesAmount
from pressroom.cli.durations import seconds_of
from pressroom.cli.output import Json, print_json, print_table, say, shortened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pressroom.app import App
    from pressroom.audit import Entry
    from pressroom.fleet.switches import Switch

cli = typer.Typer(
    help="Settings of the whole fleet that act within seconds and leave running work alone.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@cli.command("list")
def list_switches(as_json: Annotated[bool, Json] = False) -> None:
    """
    List the switches as they act now.

    Example: pressroom switch list
    """

    async def work(app: App) -> None:
        shown = [_shown(app, switch) for switch in await app.switches()]
        if as_json:
            print_json(shown)
            return
        columns = ("switch", "value", "set_by", "reason", "set_at", "expires_at")
        print_table(
            ("switch", "value", "set by", "reason", "since", "until"),
            [[one[column] for column in columns] for one in shown],
        )

    _with_app(work)


@cli.command("set", cls=TakesAmount)
def set_switch(
    name: Annotated[str, typer.Argument(help="mode, concurrency, batch or rate_limit_mode.")],
    value: Annotated[str, typer.Argument(help="What it takes, or `default`.")],
    for_: Annotated[
        str | None, typer.Option("--for", help="How long, such as 30m or 2h; then its default acts again.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    Set a switch.

    Example: pressroom switch set mode fallback --for 2h --reason "the vendor is down"
    """
    for_s = None if for_ is None else seconds_of(for_, "--for")

    async def work(app: App) -> None:
        now = _shown(app, await app.set_switch(name, value, reason=reason, for_s=for_s))
        if as_json:
            print_json(now)
        else:
            until = f" until {now['expires_at']}" if now["expires_at"] else ""
            say(f"{name} is {now['value']}{until}, in the whole fleet of {app.upstream}")

    _with_app(work)


@cli.command()
def audit(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Lines at most.")] = 20,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    Show who changed what, newest first: switches, stops, budgets, projects.

    Example: pressroom switch audit --limit 5
    """

    async def work(app: App) -> None:
        lines = [_line(entry) for entry in await app.audit(limit=limit)]
        if as_json:
            print_json(lines)
            return
        columns = ("at", "who", "action", "subject", "before", "after", "reason")
        print_table(columns, [[shortened(line[column]) for column in columns] for line in lines])

    _with_app(work)


def _shown(app: App, switch: Switch) -> dict[str, Any]:
    value = switch.value
    if value is None:  # only concurrency has its default in the settings
        value = str(min(app.settings.fleet.concurrency, app.settings.fleet.account_limit))
    return {
        "switch": switch.name,
        "value": value,
        "set_by": switch.set_by,
        "reason": switch.reason,
        "set_at": _time(switch.set_at),
        "expires_at": _time(switch.expires_at),
    }


def _line(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": _time(entry.at),
        "who": entry.who,
        "action": entry.action,
        "subject": entry.subject,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
    }


def _time(millis: int | None) -> str | None:
    from pressroom.database import rfc3339

    return rfc3339(millis)


def _with_app(work: Callable[[App], Awaitable[None]]) -> None:
    from pressroom.cli.opening import with_app

    asyncio.run(with_app(work))
