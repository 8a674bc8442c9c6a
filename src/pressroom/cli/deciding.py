"""`pressroom jobs cancel|retry|resolve`: decisions about one job or many."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pressroom.cli.durations import seconds_of
from pressroom.cli.output import FAILED, Json, counted, counted_are, print_json, say
from pressroom.errors import InvalidInput, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pressroom.app import App
    from pressroom.generation.decisions import Decision, Tally

TELL_EVERY = 500
"""Jobs between two lines of progress."""

JobIds = Annotated[list[str] | None, typer.Argument(help="The ids of one or more jobs.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed where nobody can be asked.")]


def cancel(  # noqa: PLR0917 - one parameter per option
    job_ids: JobIds = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Every job that is queued or held; may be repeated.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Only jobs of this project.")] = None,
    priority: Annotated[str | None, typer.Option(help="Only interactive or batch jobs.")] = None,
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    Take jobs back that have not been sent yet.

    Example: pressroom jobs cancel --state queued --project shop --priority batch
    """
    from pressroom.generation.decisions import Decision
    from pressroom.generation.jobs import JobState, Priority

    unsent = (JobState.QUEUED, JobState.HELD)
    conditions = None
    if state or project is not None or priority is not None:
        states = [_member(unsent, "state", name) for name in state or unsent]
        chosen = None if priority is None else _member(Priority, "priority", priority)
        conditions = {"states": frozenset(states), "project": project, "priority": chosen}
    _decide(Decision.CANCEL, "cancelled", job_ids, conditions, yes=yes, as_json=as_json)


def retry(
    job_ids: JobIds = None,
    reason: Annotated[
        str | None, typer.Option(help="Every job held for this reason, such as restored.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every held job.")] = False,
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    Let held or failed jobs have another turn.

    Example: pressroom jobs retry --reason restored --yes
    """
    from pressroom.generation.decisions import Decision
    from pressroom.generation.jobs import HeldFor, JobState

    conditions = None
    if every or reason is not None:
        held_for = None if reason is None else _member(HeldFor, "reason", reason)
        conditions = {"states": frozenset({JobState.HELD}), "reason": held_for}
    _decide(Decision.RETRY, "queued again", job_ids, conditions, yes=yes, as_json=as_json)


def resolve(  # noqa: PLR0917 - one parameter per option
    job_ids: JobIds = None,
    adopt: Annotated[
        str | None, typer.Option(help="The generation id that the vendor's account shows for it.")
    ] = None,
    buy_again: Annotated[
        bool, typer.Option("--buy-again", help="Write it off as spent and buy anew.")
    ] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Write it off as spent and end the job.")
    ] = False,
    all_uncertain: Annotated[
        bool, typer.Option("--all-uncertain", help="Every uncertain job instead of ids.")
    ] = False,
    older_than: Annotated[
        str | None, typer.Option(help="Of those, the ones dispatched longer ago, such as 1h.")
    ] = None,
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """
    Say what became of uncertain jobs.

    Example: pressroom jobs resolve --all-uncertain --older-than 1h --give-up --yes
    """
    from pressroom.generation.decisions import Decision
    from pressroom.generation.jobs import JobState

    if sum((adopt is not None, buy_again, give_up)) != 1:
        raise typer.BadParameter("give exactly one of --adopt ID, --buy-again, --give-up")
    if older_than is not None and not all_uncertain:
        raise typer.BadParameter("it narrows --all-uncertain", param_hint="--older-than")
    if adopt is not None:
        if all_uncertain or len(job_ids or []) != 1:
            raise typer.BadParameter("a generation belongs to one job; name that one", param_hint="--adopt")
        asyncio.run(_adopt((job_ids or [])[0], adopt, as_json=as_json))
        return
    conditions = None
    if all_uncertain:
        age_s = None if older_than is None else seconds_of(older_than, "--older-than")
        conditions = {"states": frozenset({JobState.UNCERTAIN}), "older_than_s": age_s}
    decision, done = (
        (Decision.BUY_AGAIN, "queued again") if buy_again else (Decision.GIVE_UP, "given up and failed")
    )
    _decide(decision, done, job_ids, conditions, yes=yes, as_json=as_json)


def _member(allowed: Iterable[Any], name: str, value: str) -> Any:
    for member in allowed:
        if member == value:
            return member
    raise InvalidRequest(name, value, "it is one of " + ", ".join(allowed))


async def _adopt(job_id: str, generation_id: str, *, as_json: bool) -> None:
    from pressroom.cli.opening import with_app

    async def work(app: App) -> None:
        await app.adopt(job_id, generation_id)
        if as_json:
            print_json({"decision": "adopt", "decided": [job_id], "refused": []})
        else:
            say(f"job {job_id} is {(await app.job(job_id)).state}")

    await with_app(work)


def _decide(
    decision: Decision,
    done: str,
    job_ids: Sequence[str] | None,
    conditions: dict[str, Any] | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Carry a decision out for the jobs that are named, or for those that the conditions hold for."""
    if bool(job_ids) == (conditions is not None):
        raise typer.BadParameter("name jobs by their ids, or say with options which ones; not both")
    tallies: list[Tally] = []

    async def work(app: App) -> None:
        tallies.append(await _carry_out(app, decision, done, job_ids, conditions, yes=yes))

    from pressroom.cli.opening import with_app

    asyncio.run(with_app(work))
    [tally] = tallies
    if as_json:
        refused = [{"job": job_id, "message": message} for job_id, message in tally.refused.items()]
        print_json({"decision": decision, "decided": tally.decided, "refused": refused})
    if tally.refused:
        raise typer.Exit(FAILED)


async def _carry_out(
    app: App,
    decision: Decision,
    done: str,
    job_ids: Sequence[str] | None,
    conditions: dict[str, Any] | None,
    *,
    yes: bool,
) -> Tally:
    from pressroom.generation.selections import Selection

    if conditions is None:
        tally = await app.decisions.decide(decision, list(job_ids or []))
        for job_id in tally.decided:
            say(f"job {job_id} is {done}")
    else:
        selection = Selection(upstream=app.upstream, **conditions)
        count = await app.decisions.count(selection)
        _ask(count, app.upstream, done, yes=yes)
        tally = await app.decisions.decide(decision, selection, on_each=lambda so_far: _tell(so_far, count))
        say(f"{counted_are(len(tally.decided), 'job')} {done}")
    for message in tally.refused.values():
        say(f"pressroom: {message}")
    return tally


def _ask(count: int, upstream: str, done: str, *, yes: bool) -> None:
    what = f"{counted(count, 'job')} for {upstream} will be {done}"
    if yes or count == 0:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"{what}; say --yes, since nobody can be asked here")
    if not typer.confirm(f"{what}. Go on?", err=True):
        raise typer.Exit(FAILED)


def _tell(tally: Tally, count: int) -> None:
    if tally.count % TELL_EVERY == 0:
        say(f"{tally.count} of {count}")
