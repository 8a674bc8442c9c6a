"""`pressroom project …`: what share of the fleet each project gets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pressroom.cli.output import Json, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pressroom.app import App

cli = typer.Typer(
    help="What share of the fleet each project gets.", no_args_is_help=True, rich_markup_mode=None
)

NONE, DEFAULT = "none", "default"
"""How a command line says that there is no limit, and that the setting decides."""


@cli.command("list")
def list_projects(as_json: Annotated[bool, Json] = False) -> None:
    """
    List the projects that were set or have had jobs; all others have weight 1 and no limit of their own.

    Example: pressroom project list
    """

    async def work(app: App) -> None:
        shown = [project.to_json() for project in await app.projects()]
        if as_json:
            print_json(shown)
            return
        columns = ("name", "weight", "max_inflight", "fallback")
        rows = [[one[column] for column in columns] for one in shown]
        print_table(("project", "weight", "in flight at most", "fallback"), rows)

    _with_app(work)


@cli.command("set")
def set_project(  # noqa: PLR0917 - one parameter per option
    name: Annotated[str, typer.Argument(help="The project's name; it need not have jobs yet.")],
    weight: Annotated[
        float | None, typer.Option(help="Turns for each turn of a project of weight 1 while both wait.")
    ] = None,
    max_inflight: Annotated[
        str | None, typer.Option(help="Purchases in flight at most, or none for no limit of its own.")
    ] = None,
    fallback: Annotated[
        str | None,
        typer.Option(
            help="While the vendor cannot be asked: wait, placeholder, fail, or default for the setting's."
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    Set what a project gets; what is not given stays as it is.

    Example: pressroom project set shop --weight 3 --max-inflight 4
    """
    given: dict[str, Any] = {}
    if weight is not None:
        given["weight"] = weight
    if max_inflight is not None:
        given["max_inflight"] = _count_or_none(max_inflight)
    if fallback is not None:
        given["fallback"] = None if fallback == DEFAULT else fallback
    if not given:
        raise typer.BadParameter("give --weight, --max-inflight or --fallback")

    async def work(app: App) -> None:
        project = await app.set_project(name, reason=reason, **given)
        if as_json:
            print_json(project.to_json())
            return
        most = "no limit of its own" if project.max_inflight is None else f"{project.max_inflight} in flight"
        say(f"project {name}: weight {project.weight:g}, {most}, fallback {project.fallback or DEFAULT}")

    _with_app(work)


def _count_or_none(text: str) -> int | None:
    if text == NONE:
        return None
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a whole number; write one, or {NONE}", param_hint="--max-inflight"
        ) from None


def _with_app(work: Callable[[App], Awaitable[None]]) -> None:
    from pressroom.cli.opening import with_app

    asyncio.run(with_app(work))
