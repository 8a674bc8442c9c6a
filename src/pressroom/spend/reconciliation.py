"""What a comparison with the vendor's usage report came to: hours, verdicts, evidence beside uncertain attempts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

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
    """The vendor bills in another currency."""


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
        total: Over the hours that can be told; its verdict is the answer.
        hours: Oldest first.
        uncertain: Oldest first.
        vendor_by_key: The vendor's sums by the key as it shows it, to find other programs on the account.
        other_currencies: Currencies other than USD in the report.
    """

    total: Hour
    hours: list[Hour]
    uncertain: list[Evidence]
    vendor_by_key: dict[str, int]
    other_currencies: list[str]

    def to_json(self) -> dict[str, Any]:
        """For programs: money in micro-dollars, times in RFC 3339."""
        return {
            "verdict": self.total.verdict,
            "total": _json(self.total),
            "hours": [_json(hour) for hour in self.hours],
            "uncertain": [
                {
                    "job": one.job_id,
                    "attempt": one.attempt_id,
                    "sent_at": one.sent_at.isoformat(),
                    "expected_micros": one.expected_micros,
                    "suggests": one.suggests,
                }
                for one in self.uncertain
            ],
            "vendor_by_key": self.vendor_by_key,
            "other_currencies": self.other_currencies,
        }


def _json(hour: Hour) -> dict[str, Any]:
    return {**hour.__dict__, "start": hour.start.isoformat(), "difference_micros": hour.difference_micros}
