"""One emulator instance: its books, what applies now, its clock and its addresses."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Final

from pressroom.emulator.books import Books
from pressroom.emulator.pictures import cached_drawing
from pressroom.emulator.script import decide, read_rules
from pressroom.emulator.settings import fingerprint, read_settings

if TYPE_CHECKING:
    from starlette.requests import Request

    from pressroom.emulator.faults import Stage
    from pressroom.emulator.generations import Generation
    from pressroom.emulator.options import EmulatorOptions
    from pressroom.emulator.script import Rule, Verdict
    from pressroom.emulator.settings import Settings

IMAGE_PATH: Final = "/api/images/ephemeral/"
"""Source: reference section 12."""


class Emulator:
    """State of one instance; everything shared is in the books."""

    def __init__(self, options: EmulatorOptions, public_base_url: str | None) -> None:
        """
        Open the books.

        Args:
            options: How this instance behaves.
            public_base_url: Start of the image addresses; None to use the host that each request named.
        """
        self.options: Final = options
        self.books: Final = Books(options.books)
        self.draw: Final = cached_drawing(options.picture_cache)
        self._public_base_url: Final = public_base_url
        self._revision = -1
        self._settings: Settings = read_settings(self.books, options)
        self._rules: tuple[Rule, ...] = ()

    def _refresh(self) -> None:
        revision = self.books.revision()
        if revision != self._revision:
            self._settings = read_settings(self.books, self.options)
            self._rules = read_rules(self.books)
            self._revision = revision

    @property
    def settings(self) -> Settings:
        """What applies now, over every instance."""
        self._refresh()
        return self._settings

    def decide(self, stage: Stage, operation: str, *, quote: bool = False) -> Verdict:
        """What the fault script does to one request."""
        self._refresh()
        seed = self.options.seed
        return decide(self.books, self._rules, stage, operation, now=time.time(), seed=seed, quote=quote)

    def told_time(self, seconds: float) -> float:
        """
        A time as the vendor's clock tells it.

        Only what is told follows `clock_offset_s`; what is decided follows this machine's clock, so that moving the
        offset neither ends generations nor brings ended ones back.
        """
        return seconds + self._settings.clock_offset_s

    def accepted_key(self, request: Request) -> str | None:
        """Fingerprint of the request's key; None when it has none or a wrong one."""
        key = request.headers.get("api-key", "")
        if not key:
            return None
        mark = fingerprint(key)
        keys = self.settings.keys
        return mark if keys is None or mark in keys else None

    def signature(self, image: str, expires: str) -> str:
        """Signature of an image address."""
        return hmac.digest(self.books.secret, f"{image}:{expires}".encode(), "sha256").hex()

    def addresses(self, request: Request) -> _Addresses:
        """Signer of image addresses for one answer."""
        host = request.headers.get("host", "127.0.0.1")
        return _Addresses(self, self._public_base_url or f"{request.url.scheme}://{host}")


class _Addresses:
    def __init__(self, emulator: Emulator, base_url: str) -> None:
        self._emulator = emulator
        self._base_url = base_url.rstrip("/")

    def __call__(self, generation: Generation, index: int) -> str:
        """Signed address of one image, good for `url_life_s` in whole seconds."""
        settings = self._emulator.settings
        start = time.time() if settings.refresh_urls else generation.ready_at
        expires = str(int(self._emulator.told_time(start) + settings.url_life_s))
        image = f"{generation.id}-{index}"
        signature = self._emulator.signature(image, expires)
        return f"{self._base_url}{IMAGE_PATH}{image}.png?exp={expires}&sig={signature}"
