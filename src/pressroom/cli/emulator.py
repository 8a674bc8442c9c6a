"""`pressroom emulator`: the stand-in for the vendor as a server of its own."""

from __future__ import annotations

import sqlite3
from typing import Annotated

import typer

from pressroom.cli.output import say


def emulator(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback.")] = 8787,
    time_scale: Annotated[
        float | None, typer.Option(min=0, help="Factor on the imitated latency; 0 answers at once.")
    ] = None,
    inflight_limit: Annotated[
        int | None, typer.Option(min=1, help="Requests in flight before it answers 429.")
    ] = None,
    url_life: Annotated[
        float | None, typer.Option(min=1, help="Seconds that a result address lives.")
    ] = None,
) -> None:
    """
    Imitate the vendor's API on loopback; keeps its books in PRESSROOM_HOME/emulator.sqlite.

    Example: pressroom emulator --port 8787 --time-scale 0.1
    """
    from pressroom.database import prepare_home
    from pressroom.emulator import BooksVersionError, EmulatorOptions, serve
    from pressroom.errors import InvalidSettings
    from pressroom.settings import Settings

    settings = Settings.load()
    prepare_home(settings.home)
    defaults = settings.emulator
    options = EmulatorOptions(
        books=settings.home / "emulator.sqlite",
        time_scale=defaults.time_scale if time_scale is None else time_scale,
        inflight_limit=inflight_limit or defaults.inflight_limit,
        url_life_s=url_life or defaults.url_life_s,
    )
    try:
        serve(
            options,
            host="127.0.0.1",
            port=port,
            on_listening=lambda url: say(f"the emulator answers at {url}, books in {options.books}"),
        )
    except OSError as error:
        raise InvalidSettings(
            f"port {port} cannot be used ({error.strerror}); give another --port"
        ) from error
    except (sqlite3.Error, BooksVersionError) as error:
        raise InvalidSettings(f"{options.books} cannot hold the books ({error}); move it away") from error
