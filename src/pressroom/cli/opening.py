"""Open pressroom for one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressroom.app import App, open_app
from pressroom.settings import Settings
from pressroom.telemetry import configure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def with_app(work: Callable[[App], Awaitable[None]]) -> None:
    """Read the settings, open, do `work`, close."""
    settings = Settings.load()
    configure(settings.log)
    async with open_app(settings) as app:
        await work(app)
