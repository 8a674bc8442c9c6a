"""What a comparison with the vendor's usage report came to: hours, verdicts, evidence beside uncertain attempts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from pressroom.database import rfc3339
from pressroom.spend.money import usd

if TYPE_CHECKING:
    from datetime import datetime

Suggestion = Literal["billed", "not billed", "cannot tell"]


class Verdict(StrEnum):
    """How the vendor's sum compares to ours."""

    AGREES = "agrees"
    """The vendor's sum is one that our attempts allow."""
    VENDOR_HAS_MORE = "vendor has more"
    """Billed and unknown here: lost answers, other programs with a key of this account, or prices that have changed."""
    WE_HAVE_MORE = "we have more"
    """Settled here and not billed."""
    TOO_FRESH = "too fresh to tell"
    """The report may not be complete yet."""
    CANNOT_TELL = "cannot tell"
    """The vendor bills in another currency, or no hour with purchases is old enough to be told."""


@dataclass(frozen=True, kw_only=True)
class Hour:
    """
    One hour, or the whole window; money in micro-dollars, attempts in the hour they were sent in.

    Attributes:
        start: Aware, the first moment of it.
        vendor_micros: Billed, by the vendor's report.
        bought_micros: Settled here as bought.
        written_off_micros: Given up here and counted as spent; the vendor may or may not have billed it.
        open_micros: Reserved for what is still under way.
        uncertain_micros: Reserved for what nobody knows the outcome of.
        verdict: How they compare.
    """

    start: datetime
    vendor_micros: int
    bought_micros: int
    written_off_micros: int
    open_micros: int
    uncertain_micros: int
    verdict: Verdict

    @property
    def empty(self) -> bool:
        """Whether neither the vendor nor we know of any purchase in it."""
        return not any(
            (
                self.vendor_micros,
                self.bought_micros,
                self.written_off_micros,
                self.open_micros,
                self.uncertain_micros,
            )
        )

    @property
    def difference_micros(self) -> int:
        """Vendor's sum less what is settled as bought."""
        return self.vendor_micros - self.bought_micros


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """
    What the report suggests about one uncertain attempt; a person decides.

    Attributes:
        expected_micros: What it probably cost if it was accepted.
        suggests: `not billed` when its hours hold nothing beyond what is known, `billed` when they hold enough for all
            uncertain attempts of those hours.
    """

    job_id: str
    attempt_id: str
    sent_at: datetime
    expected_micros: int
    suggests: Suggestion


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """
    The comparison.

    Attributes:
        since: Aware, the first moment of the window.
        until: Aware, where it ends: a whole hour.
        total: Over the hours that can be told; its verdict is the answer.
        hours: Oldest first.
        uncertain: Oldest first.
        vendor_by_key: The vendor's sums by the key as it shows it, to find other programs on the account.
        other_currencies: Currencies other than USD in the report.
    """

    since: datetime
    until: datetime
    total: Hour
    hours: list[Hour]
    uncertain: list[Evidence]
    vendor_by_key: dict[str, int]
    other_currencies: list[str]

    def to_json(self) -> dict[str, Any]:
        """For programs: money in US dollars, times in RFC 3339."""
        return {
            "since": rfc3339(self.since),
            "until": rfc3339(self.until),
            "verdict": self.total.verdict,
            "total": _json(self.total),
            "hours": [_json(hour) for hour in self.hours],
            "uncertain": [
                {
                    "job": one.job_id,
                    "attempt": one.attempt_id,
                    "sent_at": rfc3339(one.sent_at),
                    "expected_usd": usd(one.expected_micros),
                    "suggests": one.suggests,
                }
                for one in self.uncertain
            ],
            "vendor_by_key_usd": {key: usd(micros) for key, micros in self.vendor_by_key.items()},
            "other_currencies": self.other_currencies,
        }


def _json(hour: Hour) -> dict[str, Any]:
    return {
        "start": rfc3339(hour.start),
        "vendor_usd": usd(hour.vendor_micros),
        "bought_usd": usd(hour.bought_micros),
        "difference_usd": usd(hour.difference_micros),
        "written_off_usd": usd(hour.written_off_micros),
        "open_usd": usd(hour.open_micros),
        "uncertain_usd": usd(hour.uncertain_micros),
        "verdict": hour.verdict,
    }
