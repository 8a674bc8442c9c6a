"""`pressroom assets …`: the catalog."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from pressroom.cli.output import Json, print_json, usd

if TYPE_CHECKING:
    from pressroom.app import App

cli = typer.Typer(help="The catalog of stored images.", no_args_is_help=True, rich_markup_mode=None)


@cli.callback()
def _group() -> None:
    """The catalog of stored images."""


@cli.command()
def show(
    asset_id: Annotated[str, typer.Argument(help="The asset's id.", show_default=False)],
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    Show one image's record, with where it is and an address minted now.

    Example: pressroom assets show as_06g2k… --json
    """

    async def work(app: App) -> None:
        record = await app.asset(asset_id)
        if as_json:
            print_json(record)
            return
        record["cost"] = usd(record.pop("cost_usd"))
        for name, value in record.items():
            if value not in (None, [], {}):
                typer.echo(f"{name:16} {value}")

    from pressroom.cli.opening import with_app

    asyncio.run(with_app(work))
