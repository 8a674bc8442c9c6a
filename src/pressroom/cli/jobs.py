"""`pressroom jobs …`: look at jobs and decide about them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from pressroom.cli import deciding
from pressroom.cli.durations import about
from pressroom.cli.output import Json, print_json, print_table, usd

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pressroom.app import App
    from pressroom.generation.views import JobView

cli = typer.Typer(help="Look at jobs and decide about them.", no_args_is_help=True, rich_markup_mode=None)
cli.command()(deciding.cancel)
cli.command()(deciding.retry)
cli.command()(deciding.resolve)

COLUMNS = ("job", "state", "reason", "stage", "project", "priority", "age", "images", "cost", "upstream")

JobId = Annotated[str, typer.Argument(help="The job's id.", show_default=False)]


@cli.command("list")
def list_jobs(  # noqa: PLR0917 - one parameter per option
    state: Annotated[list[str] | None, typer.Option(help="Only jobs in this state; may be repeated.")] = None,
    project: Annotated[str | None, typer.Option(help="Only jobs of this project.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only jobs in their state for this reason, such as credits.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Jobs at most.")] = 20,
    before: Annotated[str | None, typer.Option(help="Continue after the last id of the page before.")] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    List jobs, newest first.

    Example: pressroom jobs list --state held --state uncertain
    """
    from pressroom.errors import InvalidRequest
    from pressroom.generation.jobs import JobState

    try:
        states = [JobState(name) for name in state or []]
    except ValueError:
        raise InvalidRequest("state", ", ".join(state or []), "it is one of " + ", ".join(JobState)) from None

    async def work(app: App) -> None:
        views = await app.jobs(states=states, project=project, reason=reason, limit=limit, before=before)
        if as_json:
            print_json([view.to_json() for view in views])
            return
        print_table(COLUMNS, [_row(view) for view in views])

    _with_app(work)


def _row(view: JobView) -> tuple[object, ...]:
    return (
        view.id,
        view.state,
        view.job.reason,
        view.stage,
        view.job.project,
        view.job.priority,
        about(time.time() - view.job.created_at / 1000),
        len(view.assets),
        usd(view.cost_micros / 1e6),
        view.job.upstream,
    )


@cli.command()
def show(job_id: JobId, as_json: Annotated[bool, Json] = False) -> None:
    """
    Show one job with its attempts and assets.

    Example: pressroom jobs show job_06g2k… --json
    """
    from pressroom.cli.progress import in_the_queue
    from pressroom.generation.jobs import JobState

    async def work(app: App) -> None:
        view = await app.job(job_id)
        if as_json:
            print_json(view.to_json())
            return
        _print(app, view)
        if view.state is JobState.QUEUED:
            typer.echo(in_the_queue(view, await app.outlook(view)))

    _with_app(work)


def _print(app: App, view: JobView) -> None:
    shown = view.to_json()
    for name in (
        "id",
        "state",
        "reason",
        "message",
        "stage",
        "upstream",
        "project",
        "priority",
        "buy_before",
        "operation",
        "created_at",
        "ended_at",
    ):
        if shown[name] is not None:
            typer.echo(f"{name:11} {shown[name]}")
    typer.echo(f"{'cost':11} {usd(shown['cost_usd'])}")
    for field, value in shown["request"].items():
        if value not in (None, {}, []):
            typer.echo(f"  {field:16} {value}")
    for attempt in shown["attempts"]:
        settled_well = attempt["outcome"] == "bought"  # what went wrong before is in --json
        error = attempt["error"]["message"] if attempt["error"] and not settled_well else ""
        typer.echo(
            f"attempt {attempt['id']} {attempt['outcome']} {usd(attempt['cost_usd'])} "
            f"generation {attempt['generation_id'] or '-'} {error}".rstrip()
        )
    for asset in view.assets:
        typer.echo(f"asset {asset.id} {asset.width}x{asset.height} {app.store.location(asset.stored_path)}")
    for lost in view.job.missing:
        typer.echo(f"missing: {lost['reason']}")
    if shown["placeholder"] is not None:
        typer.echo(f"placeholder served {shown['placeholder']['served_at']}; no picture yet")


def _with_app(work: Callable[[App], Awaitable[None]]) -> None:
    from pressroom.cli.opening import with_app

    asyncio.run(with_app(work))
