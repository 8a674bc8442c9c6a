"""Commands that take an amount as a word: one below zero is told as such, not as an option nobody knows."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand


class TakesAmount(TyperCommand):
    """A command with an amount among its arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as ever, but for `-5`, which looks like an option."""
        below = next((word for word in args if re.fullmatch(r"-\d*\.?\d+", word)), None)
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            unknown = getattr(
                error, "option_name", None
            )  # only an option that is not there has the name of an amount
            if below is None or unknown is None or not below.startswith(unknown):
                raise
            raise typer.BadParameter(f"{below} is below zero; amounts are positive", ctx=ctx) from None
