"""
A cable to a server on this machine that a test can cut: the network between one worker and the database.

    with cable(server.port) as line:
        connect(f"127.0.0.1:{line.port}")
        line.cut("hang")     # nothing arrives any more, and nobody is told
        line.mend()          # what was on its way arrives now, late
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Cut = Literal["reset", "hang", "deaf", "lost"]
"""
What a cut does to connections that are open, and to those that are tried meanwhile:

- `reset`: they break, and new ones are refused.
- `hang`: nothing passes in either direction; new ones are taken and left without an answer. What was on its way arrives
  when the cable is mended.
- `deaf`: half-open: what is sent still arrives at the server, no answer comes back before the cable is mended.
- `lost`: as `hang`, and what was on its way is thrown away: when the cable is mended, those connections break.
"""

PIECE = 65536
START_S = 10.0


class Cable:
    """One listener that passes everything on to a server; all of it in an event loop and a thread of its own."""

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        self._to = (host, port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable")
        self._listener: asyncio.Server | None = None
        self._cut: Cut | None = None
        self._whole = asyncio.Event()
        self._joined: set[asyncio.Task[object]] = set()
        self.port = 0

    def open(self) -> None:
        """Begin to listen, on the same port each time."""
        self._thread.start()
        self._call(self._listen())

    def close(self) -> None:
        """End every connection and the thread."""
        self._call(self._break())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)
        self._loop.close()

    def cut(self, how: Cut) -> None:
        """Cut it."""
        self._call(self._set(how))

    def mend(self) -> None:
        """Let everything pass again."""
        self._call(self._set(None))

    def _call(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._whole.set()
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _break(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for task in list(self._joined):
            task.cancel()
        await asyncio.gather(*self._joined, return_exceptions=True)

    async def _set(self, how: Cut | None) -> None:
        before, self._cut = self._cut, how
        if how == "reset" or (how is None and before == "lost"):
            await self._break()
        if how is None:
            self._whole.set()
            if self._listener is None:
                await self._listen()
        else:
            self._whole.clear()

    async def _join(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._joined.add(task)
        outs = [near_out]
        try:
            if self._cut is not None:
                await self._whole.wait()
            far, far_out = await asyncio.open_connection(*self._to)
            outs.append(far_out)
            there = asyncio.create_task(self._pump(near, far_out, out=True))
            back = asyncio.create_task(self._pump(far, near_out, out=False))
            try:
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in (there, back):
                    pump.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        except (OSError, asyncio.CancelledError):  # a broken line is what this is for
            pass
        finally:
            self._joined.discard(task)
            for writer in outs:
                writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, out: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(PIECE):
                if self._cut is not None and not (out and self._cut == "deaf"):
                    await self._whole.wait()
                target.write(data)
                await target.drain()


@contextlib.contextmanager
def cable(port: int) -> Iterator[Cable]:
    """A cable to a port of this machine, whole until it is cut."""
    made = Cable(port)
    made.open()
    try:
        yield made
    finally:
        made.close()
