"""The `Date` of every answer, by the clock that the emulator tells."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Dated:
    """
    Adds `Date` where the server was told to add none.

    Args:
        app: What answers.
        told: Unix seconds that the emulator tells now.
    """

    def __init__(self, app: ASGIApp, told: Callable[[], float]) -> None:
        self._app = app
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with a date on the answer's head."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._told(), usegmt=True).encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"date", date)]}
            await send(message)

        await self._app(scope, receive, dated)
