"""`pressroom spend …`: budgets, where the money went, whether the books agree."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pressroom.cli.amounts import TakesAmount
from pressroom.cli.durations import seconds_of
from pressroom.cli.output import FAILED, Json, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pressroom.app import App
    from pressroom.report.spending import Sums
    from pressroom.spend.balance import Balance
    from pressroom.spend.caps import Budget

cli = typer.Typer(help="Budgets and spending.", no_args_is_help=True, rich_markup_mode=None)

Since = Annotated[str | None, typer.Option(help="From here on: a day, an ISO time with its zone, or 7d ago.")]
Until = Annotated[str | None, typer.Option(help="Up to here, in the same words [default: now].")]


@cli.callback()
def _group() -> None:
    """Budgets and spending."""


@cli.command(cls=TakesAmount)
def budget(
    scope: Annotated[
        str | None,
        typer.Argument(help="day, total, backfill, project:NAME, campaign:NAME or key:FINGERPRINT."),
    ] = None,
    amount: Annotated[str | None, typer.Argument(help="US dollars, or none for unlimited.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    List the budgets, or set one; jobs that it held and that fit go on at once.

    Example: pressroom spend budget day 25
    """
    if scope is not None and amount is None:
        raise typer.BadParameter("give an amount of US dollars, or none", param_hint="AMOUNT")

    async def work(app: App) -> None:
        if scope is not None:
            cap = None if amount == "none" else amount
            changed = [await app.set_budget(scope, cap, reason=reason)]
            print_json(changed[0].to_json()) if as_json else _print_budgets(changed)
            return
        known = await app.budgets()
        print_json([one.to_json() for one in known]) if as_json else _print_budgets(known)

    _with_app(work)


def _print_budgets(known: list[Budget]) -> None:
    from pressroom.spend.money import dollars

    def shown(micros: int | None) -> str:
        return "-" if micros is None else dollars(micros)

    rows = []
    for one in known:
        counted = one.cap_micros is not None
        rows.append(
            (
                one.name.words,
                one.period,
                shown(one.cap_micros) if counted else "none",
                shown(one.settled_micros if counted else None),
                shown(one.reserved_micros if counted else None),
                shown(one.left_micros),
                one.set_by,
            )
        )
    print_table(("budget", "period", "cap", "spent", "reserved", "left", "set by"), rows)


@cli.command()
def report(
    by: Annotated[str, typer.Option(help="Lines: day, model, project, tag or campaign.")] = "day",
    since: Since = None,
    until: Until = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    Where the money went, and what it brought; the last 30 days when not told otherwise.

    Example: pressroom spend report --by model --since 7d
    """
    begin, end = moment_of(since, "--since"), moment_of(until, "--until")

    async def work(app: App) -> None:
        found = await app.spend_report(by=by, since=begin, until=end)
        if as_json:
            print_json(found.to_json())
            return
        head = ("spent", "kept", "filtered", "failed", "written off", "reserved", "uncertain")
        lines = [(name if name is not None else "-", *_cells(sums)) for name, sums in found.rows.items()]
        print_table(
            (found.by, *head, "images", "per image", "placeholders"),
            [*lines, ("total", *_cells(found.total))],
        )
        from pressroom.spend.money import dollars

        usual = found.rate.usual_micros
        say(
            f"last hour {dollars(found.rate.last_hour_micros)}, "
            + ("too little history for a usual one" if usual is None else f"usually {dollars(usual)}")
            + (": unusual" if found.unusual else "")
        )
        _say_balance(found.balance)

    _with_app(work)


def _cells(sums: Sums) -> tuple[object, ...]:
    from pressroom.spend.money import dollars

    money = (
        sums.spent,
        sums.kept,
        sums.filtered,
        sums.failed,
        sums.written_off,
        sums.reserved,
        sums.uncertain,
    )
    each = None if sums.per_image is None else dollars(sums.per_image)
    return (*(dollars(micros) for micros in money), sums.images, each, sums.placeholders)


@cli.command()
def check(as_json: Annotated[bool, Json] = False) -> None:
    """
    Compare the counters of budgets with attempts and jobs; exit code 1 and a list when they differ.

    Example: pressroom spend check
    """
    differences: list[str] = []

    async def work(app: App) -> None:
        found = await app.spend_check()
        differences.extend(one.text for one in found)
        if as_json:
            print_json([one.to_json() for one in found])
        elif not found:
            typer.echo("the books agree")
        else:
            typer.echo("\n".join(differences))

    _with_app(work)
    if differences:
        raise typer.Exit(FAILED)


@cli.command(cls=TakesAmount)
def topup(
    amount: Annotated[str | None, typer.Argument(help="US dollars that were added.")] = None,
    balance: Annotated[
        str | None, typer.Option(help="US dollars that the account holds now, as the vendor's page shows.")
    ] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    Say that the account has money again; purchases that stopped for missing credits begin again.

    Example: pressroom spend topup --balance 120
    """

    async def work(app: App) -> None:
        found = await app.topup(amount, balance_usd=balance)
        if as_json:
            print_json(None if found is None else found.to_json())
            return
        say("noted; with more than $0, purchases that had stopped for missing credits go on")
        _say_balance(found)

    _with_app(work)


def _say_balance(found: Balance | None) -> None:
    from pressroom.database import rfc3339
    from pressroom.spend.money import dollars

    if found is None:
        say("balance not known: `pressroom spend topup --balance AMOUNT` states it")
        return
    stated_at = rfc3339(found.stated_at)
    say(
        f"estimated balance {dollars(found.estimated_micros)}: {dollars(found.stated_micros)} stated {stated_at}, "
        f"{dollars(found.spent_micros)} spent since"
    )


def moment_of(text: str | None, option: str) -> datetime | None:
    """
    A moment as people write it: `2026-11-20` (UTC), `2026-11-20T08:00+01:00`, or `7d` for so long ago.

    Raises:
        typer.BadParameter: It is none of these; names `option`.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _ago(text, option)
    if moment.tzinfo is None:
        if len(text) > len("2026-11-20"):
            raise typer.BadParameter(f"{text!r} needs its time zone, such as Z", param_hint=option)
        moment = moment.replace(tzinfo=UTC)
    return moment


def _ago(text: str, option: str) -> datetime:
    try:
        return datetime.now(UTC) - timedelta(seconds=seconds_of(text, option))
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is before the calendar begins", param_hint=option) from None
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{error.message}, or a day such as 2026-11-20", param_hint=option) from None


def _with_app(work: Callable[[App], Awaitable[None]]) -> None:
    from pressroom.cli.opening import with_app

    asyncio.run(with_app(work))
