"""Serving the emulator: inside a running event loop, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pressroom.emulator.app import create_app
from pressroom.emulator.playing import TRANSPORT_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from pressroom.emulator.options import EmulatorOptions

_KEEP_ALIVE_S: Final = 75
"""Seconds that an idle connection stays open, above what clients keep them for, so that the client closes first."""


class _Protocol(H11Protocol):
    """uvicorn's protocol, which hands its transport to the application and logs nothing about single requests."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = logging.getLogger("pressroom.emulator")
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the application so that each request's scope holds this connection's transport."""
        super().connection_made(transport)
        served = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope[TRANSPORT_KEY] = transport
            await served(scope, receive, send)

        self.app = app


class _Server(uvicorn.Server):
    """A server that ends at once: a request that still waits then is cut off, as by a vendor that goes away."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut off what still waits, then shut down."""
        for connection in list(self.server_state.connections):
            protocol = cast("H11Protocol", connection)
            if protocol.cycle is not None and not protocol.cycle.response_complete:
                protocol.transport.abort()
        await super().shutdown(sockets)


class _AloneServer(_Server):
    """The same as a process of its own, which says when it answers."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started and sockets and self._on_listening is not None:
            self._on_listening(_base_url(sockets[0]))


class _EmbeddedServer(_Server):
    """The same inside somebody else's event loop: signals stay with the host."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.accepting.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave every signal handler as it is."""
        yield


def _config(options: EmulatorOptions) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(options),
        http=_Protocol,
        ws="none",
        lifespan="on",
        loop="asyncio",
        log_config=None,
        log_level=None,
        timeout_keep_alive=_KEEP_ALIVE_S,
        server_header=False,
        date_header=False,  # the application's own: it may tell another time
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off only where the protocol is named; 0 would cost 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except BaseException:
        listener.close()
        raise
    return listener


def _base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def run_embedded(
    options: EmulatorOptions, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """
    Run an emulator inside the running event loop for as long as the context lasts.

    Args:
        options: How it behaves.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.

    Yields:
        Its base URL, without a trailing slash.

    Raises:
        OSError: The port is taken.
        sqlite3.Error: The books cannot be opened.
        BooksVersionError: The books have another schema.
    """
    listener = _listen(host, port)
    with contextlib.closing(listener):
        server = _EmbeddedServer(_config(options))
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="emulator")
        serving.add_done_callback(lambda _: server.accepting.set())
        try:
            await server.accepting.wait()
            if serving.done():
                serving.result()
            yield _base_url(listener)
        finally:
            server.should_exit = True
            await serving


def serve(
    options: EmulatorOptions,
    host: str = "127.0.0.1",
    port: int = 8787,
    *,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """
    Run an emulator until SIGINT or SIGTERM.

    Args:
        options: How it behaves.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        on_listening: Called with its base URL once it answers.

    Raises:
        OSError: The port is taken.
        sqlite3.Error: The books cannot be opened.
        BooksVersionError: The books have another schema.
    """
    # uvicorn raises the signals it has handled once more when it is done.
    with contextlib.closing(_listen(host, port)) as listener, contextlib.suppress(KeyboardInterrupt):
        _AloneServer(_config(options), on_listening).run(sockets=[listener])
