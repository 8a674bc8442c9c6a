"""A real loopback server that plays the vendor from a script, byte by byte."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

KEY = "test-key-3141592653"
Reply = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Vendor:
    port: int = 0
    received: list[Received] = field(default_factory=list)
    script: list[Reply] = field(default_factory=list)
    busy: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def posts(self) -> int:
        return sum(request.method == "POST" for request in self.received)

    def answer(self, status=200, body=b"", headers=None, *, declared=None) -> None:
        """One whole answer; `declared` is a false Content-Length, after which the connection ends."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content) if declared is None else declared}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + content

        async def reply(_reader, writer):
            writer.write(raw)
            await writer.drain()
            if declared is not None:
                writer.close()

        self.script.append(reply)

    def hang_up(self, *, reset=False, first=b"") -> None:
        """End the connection without a whole answer."""

        async def reply(_reader, writer):
            writer.write(first)
            await writer.drain()
            if reset:
                await asyncio.sleep(0.02)  # lets what was written arrive: a reset discards it
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()

        self.script.append(reply)

    def stay_silent(self, first=b"") -> None:
        async def reply(reader, writer):
            writer.write(first)
            await writer.drain()
            await reader.read()

        self.script.append(reply)

    async def serve(self, reader, writer) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines if line)}
                method, target, _ = first.split(" ")
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.received.append(Received(method, target, headers, body))
                self.busy.set()
                await self.script.pop(0)(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    playing = Vendor()
    server = await asyncio.start_server(playing.serve, "127.0.0.1", 0)
    playing.port = server.sockets[0].getsockname()[1]
    yield playing
    server.close()


@pytest.fixture
def key() -> str:
    return KEY
