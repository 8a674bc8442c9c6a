"""Open pressroom for one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressroom.app import App, open_app
from pressroom.cli.output import say
from pressroom.settings import Settings, misspelt_names
from pressroom.telemetry import configure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def read_settings() -> Settings:
    """Read the settings once, begin to log as they say, and point out names that look misspelt."""
    settings = Settings.load()
    configure(settings.log)
    for name, meant in misspelt_names().items():
        say(f"{name} is not a setting; did you mean {meant}?")
    return settings


async def with_app(work: Callable[[App], Awaitable[None]]) -> None:
    """Read the settings, open, do `work`, close."""
    settings = read_settings()
    async with open_app(settings) as app:
        await work(app)
