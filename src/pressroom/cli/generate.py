"""`pressroom generate`: a prompt becomes an image on your disk or in your bucket."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pressroom.cli.moments import moment_of
from pressroom.cli.output import DONE, FAILED, INTERRUPTED, NOT_NOW, Json, key_values, print_json, say, usd

if TYPE_CHECKING:
    from pressroom.app import App
    from pressroom.generation.views import JobView
    from pressroom.ideogram import ImageRequest

EXAMPLE = """
Example: pressroom generate "a red bicycle, studio light" --aspect-ratio 16x9 --seed 7 --tag bikes

Exit codes: 0 done, 1 failed or filtered, 2 wrong usage, 3 placeholder, held, uncertain or past the deadline.
"""


def generate(  # noqa: PLR0917 - one parameter per option
    prompt: Annotated[
        str, typer.Argument(help="What to picture, 1 to 10,000 characters; - reads standard input.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Model [default: ideogram-4-5, or the wire's own].")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Pixels, such as 1024x1024; which ones depends on the model.")
    ] = None,
    aspect_ratio: Annotated[str | None, typer.Option(help="Ratio, such as 16x9; excludes --size.")] = None,
    style: Annotated[str | None, typer.Option(help="Style type, where the model has one.")] = None,
    quality: Annotated[str | None, typer.Option(help="low, medium or high, or a rendering speed.")] = None,
    negative: Annotated[str | None, typer.Option(help="What to leave out, where the model takes it.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="0 to 2147483647; the same seed gives the same picture.")
    ] = None,
    number: Annotated[int, typer.Option("-n", help="Pictures from one request, 1 to 8.")] = 1,
    magic_prompt: Annotated[
        str | None, typer.Option(help="auto, on or off: may the vendor rewrite the prompt?")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="A word to find the image by; may be repeated.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="name=value that travels along; may be repeated.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Whose it is [default: default].")] = None,
    wire: Annotated[str | None, typer.Option(help="auto, v2, v4, v3 or legacy [default: auto].")] = None,
    fallback: Annotated[
        str | None,
        typer.Option(
            help="While the vendor cannot be asked: wait, placeholder or fail [default: the project's]."
        ),
    ] = None,
    placeholder_to: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File for the placeholder, if one is served.")
    ] = None,
    priority: Annotated[
        str,
        typer.Option(help="interactive, or batch: others go first, and the switch batch pauses it."),
    ] = "interactive",
    buy_before: Annotated[
        str | None,
        typer.Option(
            help="Cancel it if it was not sent by then: 2026-12-01T09:00Z, or a time from now such as 30m."
        ),
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(help="Seconds to wait, 0 or more; the job goes on afterwards.")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Submit, print the job's id and leave.")] = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Generate images from a prompt, and wait until they are home."""
    from pressroom.errors import InvalidRequest
    from pressroom.ideogram import ImageRequest, Wire

    if deadline is not None and not deadline >= 0:
        raise InvalidRequest("deadline", deadline, "seconds, 0 or more")
    if placeholder_to is not None and not placeholder_to.parent.is_dir():
        raise InvalidRequest("placeholder_to", str(placeholder_to), "its folder is not there")
    try:
        chosen = Wire(wire) if wire is not None else None
    except ValueError:
        raise InvalidRequest("wire", wire, "it is one of " + ", ".join(Wire)) from None
    fields: dict[str, Any] = {
        "model": model,
        "size": size,
        "aspect_ratio": aspect_ratio,
        "style": style,
        "quality": quality,
        "negative_prompt": negative,
        "seed": seed,
        "num_images": number,
        "magic_prompt": magic_prompt,
    }
    text = sys.stdin.read().rstrip("\n") if prompt == "-" else prompt
    request = ImageRequest(
        prompt=text, **{name: value for name, value in fields.items() if value is not None}
    )
    labels = {
        "tags": tag or [],
        "metadata": key_values(metadata or []),
        "project": project,
        "wire": chosen,
        "fallback": fallback,
        "priority": priority,
        "buy_before": None if buy_before is None else moment_of(buy_before, "--buy-before"),
    }
    code = asyncio.run(
        _generate(
            request,
            labels,
            deadline_s=deadline,
            wait=not no_wait,
            as_json=as_json,
            placeholder_to=placeholder_to,
        )
    )
    raise typer.Exit(code)


generate.__doc__ = f"{generate.__doc__}\n{EXAMPLE}"


async def _generate(
    request: ImageRequest,
    labels: dict[str, Any],
    *,
    deadline_s: float | None,
    wait: bool,
    as_json: bool,
    placeholder_to: Path | None,
) -> int:
    from pressroom.app import EMULATOR, open_app
    from pressroom.cli.opening import read_settings
    from pressroom.cli.progress import Progress

    settings = read_settings()
    async with open_app(settings) as app:
        if app.upstream == EMULATOR:
            say(
                "No key and no base URL are set: the emulator answers, nothing is bought. Set IDEOGRAM_API_KEY for real images."
            )
        await app.check_ready()
        job_id = await app.submit(request, **labels)
        if not wait:
            print_json({"id": job_id}) if as_json else typer.echo(job_id)
            say(f"Follow it with `pressroom jobs show {job_id}`; `pressroom worker` works on what waits.")
            return DONE
        with Progress(app, job_id) as progress:
            view = await _wait_or_leave(app, job_id, progress, deadline_s)
        if view is None:
            return INTERRUPTED
        if isinstance(view, TimeoutError):
            if as_json:
                print_json((await app.job(job_id)).to_json())
            say(f"The deadline passed; the job goes on with the next worker: `pressroom jobs show {job_id}`")
            return NOT_NOW
        if placeholder_to is not None and view.placeholder is not None:
            await asyncio.to_thread(_write, placeholder_to, view.placeholder.image)
        return await _report(app, view, as_json=as_json)


async def _wait_or_leave(
    app: App, job_id: str, progress: Any, deadline_s: float | None
) -> JobView | TimeoutError | None:
    """The job's end; the error when the deadline passed; None when the person left with Ctrl-C."""
    waiting = asyncio.ensure_future(
        app.wait(job_id, deadline_s=deadline_s, work=True, fallback=True, on_change=progress.show)
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, waiting.cancel)
    try:
        return await waiting
    except TimeoutError as error:
        await app.stop_worker(drain_s=0)
        return error
    except asyncio.CancelledError:
        progress.stop()
        say(f"Left. The job goes on with the next worker: `pressroom worker`, `pressroom jobs show {job_id}`")
        await app.stop_worker(drain_s=0)
        return None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _write(path: Path, content: bytes) -> None:
    from pressroom.errors import InvalidInput

    try:
        path.write_bytes(content)
    except OSError as error:
        raise InvalidInput(
            f"--placeholder-to: {path} cannot be written ({error.strerror}); the job goes on"
        ) from error


async def _report(app: App, view: JobView, *, as_json: bool) -> int:
    from pressroom.generation.jobs import JobState

    assets = [await app.asset(asset.id) for asset in view.assets]
    if as_json:
        print_json({**view.to_json(), "assets": assets})
    else:
        for asset in assets:
            typer.echo(asset["location"])
            typer.echo(
                f"  asset {asset['id']}  seed {asset['seed']}  {asset['width']}x{asset['height']}  {asset['model']}"
                f"  {usd(asset['cost_usd'])}  sha256 {asset['sha256'][:12]}"
            )
        if view.placeholder is not None:
            for name, value in view.placeholder.record.items():
                typer.echo(f"placeholder  {name:13} {str(value).lower() if value is True else value}")
        say(f"job {view.id} {view.state}, {usd(view.cost_micros / 1_000_000)}")
    if view.state is not JobState.COMPLETED and view.job.message:
        say(f"pressroom: {view.job.reason}: {view.job.message}")
    if view.state is JobState.COMPLETED:
        return DONE
    return FAILED if view.state in {JobState.FAILED, JobState.FILTERED, JobState.CANCELLED} else NOT_NOW
