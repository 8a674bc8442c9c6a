"""The file that holds the key: a new key in it is proven by a free probe before anything is bought with it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pressroom.errors import InvalidSettings
from pressroom.fleet.keys import fingerprint_of
from pressroom.ideogram import validate_key
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pressroom.fleet.keys import Keys, LiveKey

log = event_logger(__name__)


@dataclass
class _Refused:
    """A key of the file that the vendor refused, and when to ask for it again (monotonic seconds)."""

    fingerprint: str
    ask_at: float
    told: bool = False


class KeyFile:
    """
    Looks at the key's file by its content: mounted secrets swap a symbolic link and may keep the time of change.

    Args:
        keys: Where a proven key becomes the current one.
        read: The file's content, stripped; raises `InvalidSettings` while there is none to be read.
        on_refused: Told, once for each, the fingerprint of a new key that the vendor refuses.
        ask_again_s: Seconds before a refused one is asked for again.
    """

    def __init__(
        self,
        keys: Keys,
        read: Callable[[], str],
        *,
        on_refused: Callable[[str], Awaitable[None]],
        ask_again_s: float,
    ) -> None:
        self._keys = keys
        self._read = read
        self._on_refused = on_refused
        self._ask_again_s = ask_again_s
        self._readable = True
        self._refused: _Refused | None = None
        self._unproven = ""

    async def look(self) -> bool:
        """
        Look once; a file that cannot be read leaves the key in use as it is.

        Returns:
            True when there is a new current key.
        """
        try:
            content = validate_key(await asyncio.to_thread(self._read))
        except InvalidSettings as error:
            if self._readable:
                log.warning("key.unreadable", in_use=self._keys.current().fingerprint, message=error.message)
            self._readable = False
            return False
        self._readable = True
        fingerprint = fingerprint_of(content)
        if fingerprint == self._keys.current().fingerprint:
            self._refused = None
            return False
        asked = self._refused
        if asked is not None and asked.fingerprint == fingerprint and time.monotonic() < asked.ask_at:
            return False
        return await self._prove(self._keys.live(content))

    async def _prove(self, key: LiveKey) -> bool:
        taken = False
        try:
            probe = await key.client.probe()
            if probe.key == "accepted":
                before = self._keys.replace(key)
                taken = True
                self._refused, self._unproven = None, ""
                log.warning("key.changed", before=before.fingerprint, now=key.fingerprint)
            elif probe.key == "refused":
                await self._refuse(key.fingerprint)
            elif self._unproven != key.fingerprint:
                self._unproven = key.fingerprint
                log.info("key.unproven", fingerprint=key.fingerprint, message=probe.detail)
        finally:
            if not self._keys.holds(key):
                await key.client.aclose()
        return taken

    async def _refuse(self, fingerprint: str) -> None:
        """Tell of it when two looks in a row found it refused: the first may have met a file that was half written."""
        if self._refused is None or self._refused.fingerprint != fingerprint:
            self._refused = _Refused(fingerprint, ask_at=0.0)
            return
        self._refused.ask_at = time.monotonic() + self._ask_again_s
        if not self._refused.told:
            await self._on_refused(fingerprint)
            self._refused.told = True
            log.warning("key.refused", fingerprint=fingerprint, in_use=self._keys.current().fingerprint)
