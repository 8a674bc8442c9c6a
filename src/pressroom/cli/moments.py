"""Moments as people write them on a command line."""

from __future__ import annotations

from datetime import datetime, timedelta

import typer

from pressroom.cli.durations import seconds_of


def moment_of(text: str, option: str) -> datetime | timedelta:
    """
    A moment such as `2026-12-01T09:00+01:00` or `…Z`, or a time from now such as `30m`.

    Raises:
        typer.BadParameter: It is neither, or the moment says no time zone; names `option`.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return timedelta(seconds=seconds_of(text, option))
        except typer.BadParameter as error:
            words = f"{error.message}, or a moment such as 2026-12-01T09:00Z"
            raise typer.BadParameter(words, param_hint=option) from None
    if moment.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} says no time zone; write {moment.isoformat()}Z, or a time from now such as 30m",
            param_hint=option,
        )
    return moment
