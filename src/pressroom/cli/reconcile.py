"""`pressroom spend reconcile`: the vendor's usage report beside our attempts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from pressroom.cli.output import CANNOT_TELL, NOT_NOW, Json, print_json, print_table, say
from pressroom.cli.spend import Since, Until, moment_of
from pressroom.errors import VendorError

if TYPE_CHECKING:
    from pressroom.app import App
    from pressroom.spend.reconciliation import Hour, Reconciliation


def reconcile(since: Since = None, until: Until = None, as_json: Annotated[bool, Json] = False) -> None:
    """
    Compare what the vendor billed with our attempts, hour by hour; the last day when not told otherwise.

    Exit code 0 when they agree, 3 when they differ, 4 when that cannot be told. Nothing is settled by it.

    Example: pressroom spend reconcile --since 7d
    """
    from pressroom.cli.opening import with_app

    begin, end = moment_of(since, "--since"), moment_of(until, "--until")
    found: list[Reconciliation] = []

    async def work(app: App) -> None:
        try:
            found.append(await app.reconcile(since=begin, until=end))
        except VendorError as error:
            say(f"pressroom: cannot tell: {error}")

    asyncio.run(with_app(work))
    if not found:
        raise typer.Exit(CANNOT_TELL)
    print_json(found[0].to_json()) if as_json else _print(found[0])
    raise typer.Exit(_exit_code(found[0]))


def _exit_code(found: Reconciliation) -> int:
    from pressroom.spend.reconciliation import Verdict

    codes = {Verdict.AGREES: 0, Verdict.TOO_FRESH: CANNOT_TELL, Verdict.CANNOT_TELL: CANNOT_TELL}
    return codes.get(found.total.verdict, NOT_NOW)


def _print(found: Reconciliation) -> None:
    from pressroom.database import rfc3339
    from pressroom.spend.money import dollars
    from pressroom.spend.reconciliation import Verdict

    def cells(name: str, hour: Hour) -> tuple[str, ...]:
        money = (
            hour.vendor_micros,
            hour.bought_micros,
            hour.difference_micros,
            hour.written_off_micros,
            hour.open_micros,
            hour.uncertain_micros,
        )
        return (name, *(dollars(micros) for micros in money), hour.verdict)

    say(f"from {rfc3339(found.since)} to {rfc3339(found.until)}, whole hours")
    busy = [
        hour
        for hour in found.hours
        if hour.verdict is not Verdict.AGREES or hour.vendor_micros or hour.bought_micros
    ]
    head = ("hour", "vendor", "bought", "difference", "written off", "open", "uncertain", "verdict")
    rows = [cells(str(rfc3339(hour.start)), hour) for hour in busy]
    print_table(head, [*rows, cells("told hours", found.total)])
    for one in found.uncertain:
        say(
            f"uncertain {one.job_id}, sent {rfc3339(one.sent_at)}, {dollars(one.expected_micros)}: {one.suggests}"
        )
    if found.total.verdict is Verdict.VENDOR_HAS_MORE:
        keys = ", ".join(f"{key} {dollars(micros)}" for key, micros in sorted(found.vendor_by_key.items()))
        say(f"the vendor's sums by key: {keys}; other programs on the account count too")
    if found.total.verdict is Verdict.CANNOT_TELL and not found.other_currencies:
        say(
            "every hour with purchases is too fresh: the vendor's report may be half an hour behind; ask again later"
        )
    if found.other_currencies:
        say(f"the vendor bills in {', '.join(found.other_currencies)}; only USD can be compared")
