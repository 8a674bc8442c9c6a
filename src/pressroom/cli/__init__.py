"""The command line. Commands import what they need when they run, so that `--help` answers at once."""

from __future__ import annotations

import sys

import typer

from pressroom.cli import (
    assets,
    breaker,
    db,
    emulator,
    generate,
    jobs,
    project,
    reconcile,
    spend,
    switch,
    worker,
)
from pressroom.cli.output import fail_politely, open_missing_streams

cli = typer.Typer(
    name="pressroom",
    help="Run Ideogram image generation in production: pay once, bring the image home, keep it findable.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.command("generate")(generate.generate)
cli.command("emulator")(emulator.emulator)
cli.add_typer(jobs.cli, name="jobs")
cli.add_typer(assets.cli, name="assets")
cli.add_typer(worker.cli, name="worker")
cli.add_typer(spend.cli, name="spend")
spend.cli.command("reconcile")(reconcile.reconcile)
cli.add_typer(project.cli, name="project")
cli.add_typer(db.cli, name="db")
cli.add_typer(switch.cli, name="switch")
cli.add_typer(breaker.cli, name="breaker")


@cli.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Say the version and stop."),
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"pressroom {installed('pressroom')}")
        raise typer.Exit


def main() -> None:
    """Entry point of `pressroom`: errors of ours become one line and an exit code."""
    open_missing_streams()
    with fail_politely():
        cli(args=sys.argv[1:])
