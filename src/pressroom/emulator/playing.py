"""
Playing a fault to the client: statuses, spoiled answers, and connections that break.

Resets and closes need the transport below the HTTP protocol. `server.py` puts it into the scope, under
`TRANSPORT_KEY`; an app served by anything else cannot play them and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    Act = Callable[[Scope, Receive, Send], Awaitable[None]]

TRANSPORT_KEY: Final = "pressroom.emulator.transport"


class Played(Response):
    """An answer that a fault plays in place of an ordinary one."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Play it."""
        await self._act(scope, receive, send)


async def gone(receive: Receive) -> None:
    """Wait until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def stays(receive: Receive, seconds: float) -> bool:
    """Let time pass; whether the client is still there afterwards."""
    if seconds <= 0:
        return True
    with contextlib.suppress(TimeoutError):  # the time is over, as it should be
        async with asyncio.timeout(seconds):
            await gone(receive)
        return False
    return True


def _transport(scope: Scope) -> asyncio.Transport:
    if TRANSPORT_KEY not in scope:
        raise RuntimeError(
            "faults of the connection need the emulator's own server: run_embedded() or serve()"
        )
    transport: asyncio.Transport = scope[TRANSPORT_KEY]
    return transport


async def _reset(scope: Scope, receive: Receive, _: Send) -> None:
    transport = _transport(scope)
    connection: socket.socket = transport.get_extra_info("socket")
    # Lingering for zero seconds makes the kernel send RST in place of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await gone(receive)


async def _close(scope: Scope, receive: Receive, _: Send) -> None:
    _transport(scope).close()
    await gone(receive)


def reset() -> Response:
    """A TCP reset."""
    return Played(_reset)


def close() -> Response:
    """An orderly close without a byte."""
    return Played(_close)


def hang(seconds: float) -> Response:
    """Silence, then an orderly close."""

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if await stays(receive, seconds):
            await _close(scope, receive, send)

    return Played(act)


def _start(answer: Response) -> dict[str, object]:
    return {"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers}


def _piece(data: bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def truncated(answer: Response) -> Response:
    """The whole length declared, half of it sent, then an orderly close."""

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        body = bytes(answer.body)
        await send(_start(answer))
        await send(_piece(body[: len(body) // 2], more=True))
        await _close(scope, receive, send)

    return Played(act)


def dripped(answer: Response, pieces: int, seconds: float) -> Response:
    """The answer in pieces of so many bytes, so many seconds apart."""

    async def act(_: Scope, receive: Receive, send: Send) -> None:
        body = bytes(answer.body)
        await send(_start(answer))
        for start in range(0, len(body), pieces):
            await send(_piece(body[start : start + pieces], more=start + pieces < len(body)))
            if not await stays(receive, seconds):
                return

    return Played(act)


def streamed(head: bytes, total: int, *, declared: bool) -> Response:
    """A body of so many bytes that begins with `head` and goes on in zeros, sent as image/png."""
    block = bytes(256 * 1024)
    headers = [(b"content-type", b"image/png")]
    if declared:
        headers.append((b"content-length", str(total).encode()))

    async def act(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(_piece(head, more=True))
        for left in range(total - len(head), 0, -len(block)):
            await send(_piece(block[:left], more=True))
        await send(_piece(b"", more=False))

    return Played(act)


def malformed(answer: Response) -> Response:
    """The answer with its JSON broken off and closed wrongly, at a matching length."""
    body = bytes(answer.body)
    return Response(body[: len(body) * 2 // 3] + b",,]", answer.status_code, media_type="application/json")


def spoil(manner: str, answer: Response, params: Mapping[str, object]) -> Response:
    """An answer spoiled in the manner of a fault."""
    seconds = float(str(params.get("seconds") or 0))
    if manner == "reset":
        return reset()
    if manner == "close":
        return close()
    if manner == "hang":
        return hang(seconds)
    if manner == "truncate":
        return truncated(answer)
    if manner == "drip":
        return dripped(answer, max(1, int(str(params["bytes"]))), seconds)
    if manner == "malformed":
        return malformed(answer)
    raise ValueError(f"no manner {manner!r}")
