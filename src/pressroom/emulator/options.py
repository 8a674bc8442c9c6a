"""How one emulator instance behaves."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

UsageCost = Literal["variable", "always", "never"]

DEFAULT_INFLIGHT_LIMIT = 10
"""Requests in flight at once. Source: the vendor's documents (reference section 2)."""

DEFAULT_URL_LIFE_S = 3600.0
"""Seconds. The vendor publishes no figure; others report about an hour (reference section 12)."""


@dataclass(frozen=True)
class EmulatorOptions:
    """
    Options of one instance.

    A setting posted on the control path overrides the option of the same name for every instance on the same books.

    Attributes:
        books: The SQLite file of the books, created when missing. Its folder must exist.
        api_keys: Keys that are accepted; None accepts any non-empty key.
        inflight_limit: Accepted generations that may be in flight at once, over all instances on the books.
        url_life_s: Seconds that an image address stays good.
        time_scale: Factor on every latency; 0 answers at once, 1 is about as slow as the vendor is said to be.
        bill_unsafe: Whether an unsafe image costs as much as a safe one. The vendor does not say.
        refresh_urls: Whether every poll signs new addresses (else they live from the end of the generation on).
        poll_limit_per_s: Polls per second before 429, None for no limit. The vendor has one and does not publish it.
        usage_cost: Which completed generations carry `usage_cost_usd_micros` when polled.
        seed: Start of every random draw: seeds of images, rates of faults.
        picture_cache: Pictures kept in memory by one instance.
    """

    books: Path
    _: KW_ONLY
    api_keys: frozenset[str] | None = field(default=None, repr=False)
    inflight_limit: int = DEFAULT_INFLIGHT_LIMIT
    url_life_s: float = DEFAULT_URL_LIFE_S
    time_scale: float = 1.0
    bill_unsafe: bool = True
    refresh_urls: bool = True
    poll_limit_per_s: int | None = None
    usage_cost: UsageCost = "variable"
    seed: int = 0
    picture_cache: int = 64

    def __post_init__(self) -> None:
        if self.inflight_limit < 1:
            raise ValueError("inflight_limit must be at least 1")
        if self.url_life_s < 0 or self.time_scale < 0:
            raise ValueError("url_life_s and time_scale must not be negative")
        if self.poll_limit_per_s is not None and self.poll_limit_per_s < 1:
            raise ValueError("poll_limit_per_s must be at least 1, or None for no limit")
        if self.picture_cache < 1:
            raise ValueError("picture_cache must be at least 1")
