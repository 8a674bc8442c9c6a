"""Lengths of time as people write them on a command line."""

from __future__ import annotations

import re

import typer

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str, option: str) -> float:
    """
    `90s`, `30m`, `2h` or `7d` in seconds; a number alone is seconds.

    Raises:
        typer.BadParameter: It is none of these; names `option`.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd]?)", text.strip().lower())
    if match is None:
        raise typer.BadParameter(
            f"{text!r} is not a length of time; write 90s, 30m, 2h or 7d", param_hint=option
        )
    return float(match[1]) * _SECONDS[match[2] or "s"]


def about(seconds: float) -> str:
    """A length of time in its largest whole unit, such as `45s`, `3m`, `2h` or `7d`; nothing is below none."""
    unit = next((unit for unit in reversed(_SECONDS) if seconds >= _SECONDS[unit]), "s")
    return f"{max(0, int(seconds // _SECONDS[unit]))}{unit}"
