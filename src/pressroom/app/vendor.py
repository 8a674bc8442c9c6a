"""Whom this process buys from: the vendor, or the embedded emulator when nothing says which vendor."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import sqlalchemy as sa

from pressroom.database import now_ms
from pressroom.errors import DatabaseUnusable
from pressroom.fleet.key_file import KeyFile
from pressroom.fleet.keys import Keys, fingerprint_of
from pressroom.ideogram import BASE_URL, Ideogram, Timeouts, validate_base_url, validate_key
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pressroom.database import Database
    from pressroom.settings import Settings

log = event_logger(__name__)

EMULATOR = "emulator"
"""Upstream of every job that the embedded emulator serves, whatever its port; also the key it is given."""

CLOCK_TOLERANCE_S = 60.0
"""Seconds that clocks may differ before a worker says so; signed addresses bear minutes, the order of jobs does not."""


class Vendor:
    """
    The upstream of this process and its keys, made on first use.

    Attributes:
        upstream: The vendor's host and port, or `emulator`.

    Raises:
        InvalidSettings: The base URL cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._keys: Keys | None = None
        self._making = asyncio.Lock()
        self._clock_checked = False
        address = validate_base_url(settings.ideogram_base_url or BASE_URL).base_url
        self.upstream = EMULATOR if settings.uses_emulator else upstream_of(address)

    def key(self) -> str:
        """
        The key that requests are made with.

        Raises:
            InvalidSettings: There is none, or it cannot be sent.
        """
        return EMULATOR if self._settings.uses_emulator else validate_key(self._settings.api_key())

    def key_fingerprint(self) -> str:
        """
        Of the key that this process buys with.

        Raises:
            InvalidSettings: There is none, or it cannot be sent.
        """
        return fingerprint_of(self.key()) if self._keys is None else self._keys.current().fingerprint

    async def keys(self) -> Keys:
        """
        The keys of this process; starts the embedded emulator where that is the upstream.

        Raises:
            InvalidSettings: The key or a time limit cannot be used.
        """
        async with self._making:
            if self._keys is None:
                make = partial(self._new_client, await self._base_url())
                self._keys = Keys(make, self.key(), rest_s=self._settings.fleet.key_look_s)
                self._stack.push_async_callback(self._keys.aclose)
            return self._keys

    async def client(self) -> Ideogram:
        """
        The client of the current key.

        Raises:
            InvalidSettings: The key or a time limit cannot be used.
        """
        return (await self.keys()).current().client

    async def key_file_or_none(self, *, on_refused: Callable[[str], Awaitable[None]]) -> KeyFile | None:
        """
        What watches the key's file; None where the key is in the environment, or the emulator's.

        Args:
            on_refused: Told, once for each, the fingerprint of a new key that the vendor refuses.
        """
        settings = self._settings
        if settings.ideogram_api_key is not None or settings.ideogram_api_key_file is None:
            return None
        return KeyFile(
            await self.keys(),
            settings.api_key,
            on_refused=on_refused,
            ask_again_s=settings.fleet.key_trial_s,
        )

    def _new_client(self, base_url: str, key: str) -> Ideogram:
        options = self._settings.client
        return Ideogram(
            key,
            base_url=base_url,
            timeouts=Timeouts(
                connect=options.connect_s,
                pool=options.pool_s,
                asynchronous=options.async_post_s,
                synchronous=options.sync_post_s,
                poll=options.poll_s,
                download_read=options.download_read_s,
                download=options.download_s,
            ),
            max_connections=options.max_connections,
        )

    async def check_clock(self, database: Database) -> None:
        """Say, once, when this machine's clock is off: object keys, signed addresses and the order of jobs follow it."""
        if self._clock_checked:
            return
        self._clock_checked = True
        seen = {"the vendor": (await (await self.client()).probe()).clock_ahead_s}
        if not database.is_sqlite:
            async with database.read() as connection:
                theirs = (await connection.execute(sa.select(now_ms()))).scalar_one()
            seen["the database"] = time.time() - theirs / 1000
        for whose, ahead_s in seen.items():
            if ahead_s is not None and abs(ahead_s) > CLOCK_TOLERANCE_S:
                log.warning(
                    "clock.off",
                    than=whose,
                    ahead_s=round(ahead_s),
                    advice="set this machine's clock (NTP); addresses and the order of jobs follow it",
                )

    async def close(self) -> None:
        """Close the clients, then the emulator."""
        await self._stack.aclose()
        self._keys = None

    async def _base_url(self) -> str:
        if not self._settings.uses_emulator:
            return self._settings.ideogram_base_url or BASE_URL
        from pressroom.emulator import BooksVersionError, EmulatorOptions, run_embedded

        options = self._settings.emulator
        embedded = EmulatorOptions(
            books=self._settings.home / "emulator.sqlite",
            inflight_limit=options.inflight_limit,
            url_life_s=options.url_life_s,
            time_scale=options.time_scale,
        )
        try:
            return await self._stack.enter_async_context(run_embedded(embedded))
        except (OSError, sqlite3.Error, BooksVersionError) as error:
            raise DatabaseUnusable(
                f"the emulator cannot keep its books in {embedded.books} ({type(error).__name__}); "
                "see that its folder can be written, or move the file away"
            ) from error


def upstream_of(address: str) -> str:
    """
    The same for every way to write one vendor's address, and another for every other one.

    Args:
        address: A checked base URL.

    Returns:
        Host, port unless it is the scheme's own, and path.
    """
    parts = urlsplit(address)
    usual = {"https": 443, "http": 80}[parts.scheme]
    port = f":{parts.port}" if parts.port not in {None, usual} else ""
    return f"{parts.hostname}{port}{parts.path}"
