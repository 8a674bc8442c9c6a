"""`pressroom jobs …`: look at jobs and decide about them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from pressroom.cli.output import FAILED, Json, print_json, print_table, say, usd
from pressroom.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pressroom.app import App
    from pressroom.generation.decisions import Decisions

cli = typer.Typer(help="Look at jobs and decide about them.", no_args_is_help=True, rich_markup_mode=None)

JobId = Annotated[str, typer.Argument(help="The job's id.", show_default=False)]
JobIds = Annotated[list[str], typer.Argument(help="The ids of one or more jobs.", show_default=False)]


@cli.command("list")
def list_jobs(
    state: Annotated[list[str] | None, typer.Option(help="Only jobs in this state; may be repeated.")] = None,
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
        views = await app.jobs(states=states, limit=limit, before=before)
        if as_json:
            print_json([view.to_json() for view in views])
            return
        rows = [
            (
                view.id,
                view.state,
                view.job.reason,
                view.stage,
                len(view.assets),
                usd(view.cost_micros / 1e6),
                view.job.upstream,
            )
            for view in views
        ]
        print_table(("job", "state", "reason", "stage", "images", "cost", "upstream"), rows)

    _with_app(work)


@cli.command()
def show(job_id: JobId, as_json: Annotated[bool, Json] = False) -> None:
    """
    Show one job with its attempts and assets.

    Example: pressroom jobs show job_06g2k… --json
    """

    async def work(app: App) -> None:
        view = await app.job(job_id)
        if as_json:
            print_json(view.to_json())
            return
        shown = view.to_json()
        for name in (
            "id",
            "state",
            "reason",
            "message",
            "stage",
            "upstream",
            "project",
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
            typer.echo(
                f"asset {asset.id} {asset.width}x{asset.height} {app.store.location(asset.stored_path)}"
            )
        for lost in view.job.missing:
            typer.echo(f"missing: {lost['reason']}")

    _with_app(work)


@cli.command()
def cancel(job_ids: JobIds) -> None:
    """
    Take jobs back that have not been sent yet.

    Example: pressroom jobs cancel job_06g2k…
    """
    _decide(job_ids, "cancelled", lambda decisions, job_id: decisions.cancel(job_id))


@cli.command()
def retry(job_ids: JobIds) -> None:
    """
    Let held or failed jobs have another turn.

    Example: pressroom jobs retry job_06g2k…
    """
    _decide(job_ids, "queued again", lambda decisions, job_id: decisions.retry(job_id))


@cli.command()
def resolve(
    job_id: JobId,
    adopt: Annotated[
        str | None, typer.Option(help="The generation id that the vendor's account shows for it.")
    ] = None,
    buy_again: Annotated[
        bool, typer.Option("--buy-again", help="Write it off as spent and buy anew.")
    ] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Write it off as spent and end the job.")
    ] = False,
) -> None:
    """
    Say what became of an uncertain job.

    Example: pressroom jobs resolve job_06g2k… --adopt 9BHkWC5QTV-YRq5uM1zN3A
    """
    if sum((adopt is not None, buy_again, give_up)) != 1:
        raise typer.BadParameter("give exactly one of --adopt ID, --buy-again, --give-up")

    async def work(app: App) -> None:
        if adopt is not None:
            await app.adopt(job_id, adopt)
        elif buy_again:
            await app.decisions.buy_again(job_id)
        else:
            await app.decisions.give_up(job_id)
        say(f"job {job_id} is {(await app.job(job_id)).state}")

    _with_app(work)


def _decide(job_ids: list[str], done: str, decision: Callable[[Decisions, str], Awaitable[None]]) -> None:
    refused: list[str] = []

    async def work(app: App) -> None:
        for job_id in job_ids:
            try:
                await decision(app.decisions, job_id)
            except (Conflict, NotFound) as error:  # the others are decided all the same
                refused.append(job_id)
                say(f"pressroom: {error}")
            else:
                say(f"job {job_id} is {done}")

    _with_app(work)
    if refused:
        raise typer.Exit(FAILED)


def _with_app(work: Callable[[App], Awaitable[None]]) -> None:
    from pressroom.cli.opening import with_app

    asyncio.run(with_app(work))
