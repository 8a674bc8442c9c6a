"""`pressroom db …`: the database's schema, and what follows a restore."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pressroom.cli.output import FAILED, Json, counted, print_json, say
from pressroom.errors import InvalidInput

if TYPE_CHECKING:
    from pressroom.app import App

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


@cli.command()
def restored(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needed where nobody can be asked.")] = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    After a restore from a backup, before any worker starts: hold every open job until a person has looked at it.

    Example: pressroom db restored --yes
    """
    from pressroom.audit import person
    from pressroom.cli.opening import with_app

    async def work(app: App) -> None:
        what = f"every open job in {app.database.address} will be held until somebody retries or cancels it"
        if not yes and not sys.stdin.isatty():
            raise InvalidInput(f"{what}; say --yes, since nobody can be asked here")
        if not yes and not typer.confirm(f"{what}. Go on?", err=True):
            raise typer.Exit(FAILED)
        done = await app.restored(who=person())
        if as_json:
            print_json({"runs": done.runs, "jobs": done.jobs})
            return
        for upstream, count in done.jobs.items():
            typer.echo(
                f"{counted(count, 'job')} for {upstream} {'is' if count == 1 else 'are'} held: restored"
            )
        say(
            f"{counted(done.runs, 'run')} given up. Look with `pressroom jobs list --state held`, release with"
        )
        say("`pressroom jobs retry JOB…` or `pressroom jobs retry --reason restored`.")

    asyncio.run(with_app(work))
