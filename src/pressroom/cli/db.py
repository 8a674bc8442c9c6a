"""`pressroom db …`: the database's schema."""

from __future__ import annotations

import asyncio

import typer

cli = typer.Typer(help="The database.", no_args_is_help=True, rich_markup_mode=None)


@cli.callback()
def _group() -> None:
    """The database."""


@cli.command()
def upgrade() -> None:
    """
    Create the tables or bring them to this version; safe to repeat, needed on Postgres before the first start.

    Example: PRESSROOM_DATABASE_URL=postgresql://me@db/pressroom pressroom db upgrade
    """
    from pressroom import app
    from pressroom.database import DatabaseAddress, prepare_home
    from pressroom.settings import Settings

    settings = Settings.load()
    prepare_home(settings.home)
    step = asyncio.run(app.upgrade(settings))
    typer.echo(f"{DatabaseAddress.parse(settings)} is at step {step}")
