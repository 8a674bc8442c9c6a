"""The free probe: does the vendor answer, and does it take the key?"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final, Literal

from pressroom.errors import VendorError
from pressroom.ideogram.failures import Cost
from pressroom.ideogram.reading import date_or_none
from pressroom.ideogram.wire import poll_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pressroom.ideogram.exchange import Exchange

UNKNOWN_GENERATION: Final = "pressroom-probe-00000A"
"""A well-formed id (22 characters of URL-safe base64 that decode to 16 bytes) that no generation has."""

Verdict = Literal["accepted", "refused", "unknown"]


@dataclass(frozen=True)
class Probe:
    """
    What the probe saw.

    Attributes:
        key: `accepted` when the vendor looked the id up (404), `refused` on 401 and 403, else `unknown`.
        reachable: Whether any answer came.
        latency_ms: Milliseconds until the answer or the failure.
        detail: One sentence for a person, without secrets.
        status: HTTP status, None without an answer.
        clock_ahead_s: Seconds that this machine's clock is ahead of the vendor's (its `Date`, whole seconds); None
            without one.
    """

    key: Verdict
    reachable: bool
    latency_ms: float
    detail: str
    status: int | None = None
    clock_ahead_s: float | None = None

    @property
    def failing(self) -> bool:
        """Whether the vendor did not answer, or answered that it cannot (5xx)."""
        return self.status is None or self.status >= 500


async def probe_with(exchange: Exchange, base_url: str, headers: Mapping[str, str], within_s: float) -> Probe:
    """Read a generation that does not exist. Never raises for what the vendor does."""
    outgoing = poll_target("v2", UNKNOWN_GENERATION)
    began = perf_counter()
    try:
        answered = await exchange.ask(
            outgoing.method, base_url + outgoing.target, headers, b"", cost=Cost.POLL, within_s=within_s
        )
    except VendorError as error:
        reached = error.status is not None
        return Probe("unknown", reached, _since_ms(began), error.message, error.status)
    verdict, detail = _verdict(answered.status)
    date = date_or_none(answered.headers)
    return Probe(
        verdict,
        True,
        _since_ms(began),
        f"HTTP {answered.status}: {detail}",
        answered.status,
        None if date is None else (answered.at - date).total_seconds(),
    )


def _verdict(status: int) -> tuple[Verdict, str]:
    if status in {401, 403}:
        return "refused", "the key was refused"
    if status == 404 or 200 <= status < 300:
        return "accepted", "the key was accepted"
    if status == 429:
        return "unknown", "the vendor asks for fewer polls"
    if status >= 500:
        return "unknown", "the vendor is failing"
    return "unknown", "an answer that tells nothing about the key"


def _since_ms(began: float) -> float:
    return round((perf_counter() - began) * 1000, 3)
