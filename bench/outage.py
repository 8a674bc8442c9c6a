"""Whether bought images survive an outage of the storage that lasts longer than their addresses live."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import httpx2
from moto.server import ThreadedMotoServer

from bench.rig import Rig, open_app, plain, until_ended, until_live
from bench.table import Figure
from bench.work import hold_back, let_go, seeds, states, submission, submit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOBS = 60
LIFE_S = 3.0
AWAY_S = 10.0
AT_ONCE = 8
BEFORE_S = 1.0
"""Seconds of work before the outage."""
SCALE = 0.06
"""On the emulator's 8 s: half a second, so that some are bought before the outage and most during it."""


@contextlib.contextmanager
def _s3() -> Iterator[str]:
    """An S3 server with a bucket; its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else it prints a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        httpx2.put(f"http://{host}:{port}/pictures", trust_env=False).raise_for_status()
        yield f"{host}:{port}"
    finally:
        server.stop()


class Line:
    """A cable to a server that can be pulled out: connections break, new ones are refused."""

    def __init__(self, server: str) -> None:
        self._host, _, port = server.partition(":")
        self._port = int(port)
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def plug_in(self) -> None:
        """Listen, on the same port each time."""
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def pull_out(self) -> None:
        """Break every connection and take no new ones."""
        assert self._listener is not None
        self._listener.close()
        for writer in self._open:
            writer.transport.abort()
        await self._listener.wait_closed()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        self._open |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._open -= {writer, far_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):  # a broken line is what this is for
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _line_goes_away(line: Line) -> None:
    await asyncio.sleep(BEFORE_S)
    await line.pull_out()
    await asyncio.sleep(AWAY_S)
    await line.plug_in()


async def _folder_goes_away(folder: Path) -> None:
    await asyncio.sleep(BEFORE_S)
    away = folder.with_name("away")
    await asyncio.to_thread(folder.rename, away)
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(away.rename, folder)


async def _plain(rig: Rig) -> int:
    with rig.emulator(time_scale=SCALE, url_life_s=LIFE_S, refresh_urls=False) as emulator:
        folder = rig.fresh("plain")
        outage = asyncio.create_task(_folder_goes_away(folder))
        told = await plain(emulator.base_url, folder, wire="v3", seeds=list(seeds(JOBS)), at_once=AT_ONCE)
        await outage
    return int(told["kept"])


async def _ours(rig: Rig) -> dict[str, int]:
    with (
        rig.emulator(time_scale=SCALE, url_life_s=LIFE_S, refresh_urls=False) as emulator,
        _s3() as server,
    ):
        line = Line(server)
        await line.plug_in()
        storage: dict[str, float | str] = {
            "endpoint": f"http://127.0.0.1:{line.port}",
            "region": "us-east-1",
            "access_key_id": "bench",
            "secret_access_key": "bench",
        }
        site = await rig.site("sqlite", emulator.base_url, storage=storage)
        site.storage_url = "s3://pictures"
        async with open_app(site.settings()) as app:
            await submit(app, [submission(seed, "v3") for seed in seeds(JOBS)])
            await hold_back(app)
            with site.workers(1):
                await until_live(app, 1)
                outage = asyncio.create_task(_line_goes_away(line))
                await let_go(app)
                await until_ended(app, JOBS)
                await outage
            ended = await states(app)
        await line.pull_out()
        return ended


async def outage(rig: Rig) -> list[Figure]:
    """Images kept, ours and the plain script's."""
    ended = await _ours(rig)
    kept, peer = ended.get("completed", 0), await _plain(rig)
    return [
        Figure(
            name=f"images kept, {AWAY_S:.0f} s without storage (S3), addresses live {LIFE_S:.0f} s",
            measured=f"{kept / JOBS:.0%} of {JOBS}",
            goal="100 %",
            reached=kept == JOBS,
            beside=f"plain script, its folder away as long, trying on: {peer / JOBS:.0%}",
            ratio=f"{kept / max(1, peer):.2f}",
        )
    ]
