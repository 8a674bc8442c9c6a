"""The vendor's keys in this process: the current one, and replaced ones while somebody still works with them."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pressroom.ideogram import Call, Ideogram, PriceQuote


def fingerprint_of(key: str) -> str:
    """Tells a key from others without being it: 12 hex digits of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class LiveKey:
    """
    A key that can be used here.

    Attributes:
        client: Speaks to the vendor with it.
        fingerprint: Tells it from others; attempts and stops remember it.
    """

    client: Ideogram
    fingerprint: str


class Keys:
    """
    The keys of one process; there is always a current one.

    A replaced key stays until nothing uses it: closing its client under a paid request would make that one uncertain.

    Args:
        make: A client for a key.
        key: The first one.
        rest_s: Seconds that a job rests which this process cannot buy for with the key that it has.
    """

    def __init__(self, make: Callable[[str], Ideogram], key: str, *, rest_s: float) -> None:
        self._make = make
        self.rest_s = rest_s
        self.doubted = asyncio.Event()
        """Set when a key was refused here: whoever looks at keys does it now instead of at the usual time."""
        self._known: dict[str, LiveKey] = {}
        self._current = self.live(key)
        self._known[self._current.fingerprint] = self._current
        self._uses: dict[str, int] = {}
        self._stopped: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        """Fingerprints only."""
        return f"Keys(current={self._current.fingerprint}, known={sorted(self._known)})"

    def live(self, key: str) -> LiveKey:
        """A key with its client: the one that is here already, else a new one, not used before `replace`."""
        fingerprint = fingerprint_of(key)
        known = self._known.get(fingerprint)
        return known or LiveKey(client=self._make(key), fingerprint=fingerprint)

    def holds(self, key: LiveKey) -> bool:
        """Whether it is closed here when its time comes; another one its maker closes."""
        return self._known.get(key.fingerprint) is key

    def current(self) -> LiveKey:
        """The key that everything new is bought with."""
        return self._current

    def others(self, fingerprint: str) -> list[LiveKey]:
        """Every key here but that one, the current one first."""
        known = [self._current, *self._known.values()]
        return list({key.fingerprint: key for key in known if key.fingerprint != fingerprint}.values())

    def in_turn(self, fingerprint: str | None) -> list[str]:
        """Fingerprints in the order to ask about something that was bought with that key: its own, then the others."""
        own = self._known.get(fingerprint or "", self._current).fingerprint
        return [own, *(key.fingerprint for key in self.others(own))]

    @contextmanager
    def using(self, fingerprint: str | None = None) -> Iterator[LiveKey]:
        """That key, or the current one; it is not closed meanwhile."""
        key = self._known.get(fingerprint or "", self._current)
        self._uses[key.fingerprint] = self._uses.get(key.fingerprint, 0) + 1
        try:
            yield key
        finally:
            self._uses[key.fingerprint] -= 1

    async def quote(self, call: Call) -> PriceQuote:
        """
        The vendor's price, asked with the current key.

        Raises:
            InvalidRequest: The operation declares no quote.
            VendorError: None came.
        """
        with self.using() as key:
            return await key.client.quote(call)

    @property
    def may_buy(self) -> bool:
        """False while the current key is known to be refused."""
        return self._current.fingerprint not in self._stopped

    def stop(self, fingerprint: str) -> None:
        """Begin nothing with that key here: the vendor has just refused it."""
        self._stopped |= {fingerprint}
        self.doubted.set()

    def allow(self, fingerprint: str) -> None:
        """Begin purchases with that key again: the vendor takes it."""
        self._stopped -= {fingerprint}

    def doubt(self) -> None:
        """Have somebody look at keys now: none that is here was taken."""
        self.doubted.set()

    def stopped(self, fingerprints: Collection[str]) -> None:
        """Take over which keys are stopped in the whole fleet."""
        self._stopped = frozenset(fingerprints)

    def replace(self, key: LiveKey) -> LiveKey:
        """
        Buy with `key` from now on.

        Returns:
            The one before; it stays until `close_unused`.
        """
        before, self._current = self._current, key
        self._known[key.fingerprint] = key
        return before

    def replaced(self) -> list[str]:
        """Fingerprints of keys that are still here and no longer current."""
        return [fingerprint for fingerprint in self._known if fingerprint != self._current.fingerprint]

    async def close_unused(self, *, in_flight: Collection[str]) -> list[str]:
        """
        Close replaced keys that nothing uses here and that no attempt of `in_flight` was sent with.

        Returns:
            Their fingerprints.
        """
        unused = [one for one in self.replaced() if one not in in_flight and not self._uses.get(one)]
        closing = [self._known.pop(fingerprint) for fingerprint in unused]  # before anything else has a turn
        for key in closing:
            await key.client.aclose()
        return unused

    async def aclose(self) -> None:
        """Close every client."""
        for key in self._known.values():
            await key.client.aclose()
