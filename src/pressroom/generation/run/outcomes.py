"""What each answer means for the attempt and its job: the table of design section 3, as data.

The table is total: an error that no rule names, raised after the request may have left, is uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pressroom.errors import (
    ContentRefused,
    CreditsExhausted,
    KeyRefused,
    NotSent,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    Refused,
    RequestRefused,
    VendorError,
)
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.spend.attempts import AttemptState

if TYPE_CHECKING:
    from pressroom.ideogram import Generation


class Stopping(StrEnum):
    """What a refusal says about more than its own request."""

    KEY = "key"
    """Nothing is sold to this key."""
    CREDITS = "credits"
    """Nothing is sold to this account until it has credit."""
    QUOTA = "quota"
    """Nothing is sold to this account until 00:00 UTC."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    What becomes of an attempt and its job.

    Attributes:
        attempt: State the attempt is settled in.
        job: State the job goes to; `queued` means that it waits for another turn.
        reason: One word for the job's row.
        advice: What a person should do, empty when nothing.
        counts: The vendor failed: the breaker of the operation's family counts it.
        stops: Purchases of the whole account, or with that key, stop.
        limits: Too many were in flight: the limit learns from it.
    """

    attempt: AttemptState
    job: JobState
    reason: str
    advice: str = ""
    counts: bool = False
    stops: Stopping | None = None
    limits: bool = False


MOST_RETRY_AFTER_S = 3600.0
"""Seconds. A server that asks for a longer wait is asked again after this one."""

RULES: tuple[tuple[type[VendorError], Outcome], ...] = (
    (NotSent, Outcome(attempt=AttemptState.UNSOLD, job=JobState.QUEUED, reason="vendor", counts=True)),
    (RateLimited, Outcome(attempt=AttemptState.UNSOLD, job=JobState.QUEUED, reason="limit", limits=True)),
    (
        KeyRefused,
        Outcome(
            attempt=AttemptState.UNSOLD,
            job=JobState.HELD,
            reason=HeldFor.KEY,
            advice="Set a working key; it goes on by itself",
            stops=Stopping.KEY,
        ),
    ),
    (
        CreditsExhausted,
        Outcome(
            attempt=AttemptState.UNSOLD,
            job=JobState.HELD,
            reason=HeldFor.CREDITS,
            advice="Then `pressroom spend topup` lets purchases go on; without it a trial is made now and then",
            stops=Stopping.CREDITS,
        ),
    ),
    (
        QuotaExhausted,
        Outcome(
            attempt=AttemptState.UNSOLD,
            job=JobState.HELD,
            reason=HeldFor.QUOTA,
            advice="It goes on by itself then",
            stops=Stopping.QUOTA,
        ),
    ),
    (ContentRefused, Outcome(attempt=AttemptState.UNSOLD, job=JobState.FILTERED, reason="refused")),
    (RequestRefused, Outcome(attempt=AttemptState.UNSOLD, job=JobState.FAILED, reason="refused")),
    (Refused, Outcome(attempt=AttemptState.UNSOLD, job=JobState.FAILED, reason="refused")),
    (
        OutcomeUnknown,
        Outcome(
            attempt=AttemptState.UNCERTAIN,
            job=JobState.UNCERTAIN,
            reason="lost answer",
            advice="Look for it in the vendor's account, then `pressroom jobs resolve` with --adopt ID, --buy-again or --give-up",
            counts=True,
        ),
    ),
)
"""In order: the first rule whose error class fits decides."""

_UNKNOWN = next(outcome for error, outcome in RULES if error is OutcomeUnknown)

LOST = replace(_UNKNOWN, counts=False)
"""What an attempt means that was being sent when its worker vanished, or made a mistake: nothing against the vendor."""


UNSENDABLE = Outcome(attempt=AttemptState.UNSOLD, job=JobState.FAILED, reason="request")
"""A request that this version cannot send; found before anything left."""


def outcome_of(error: VendorError) -> Outcome:
    """The outcome of a paid request that ended with `error`."""
    return next((outcome for kind, outcome in RULES if isinstance(error, kind)), _UNKNOWN)


def failed_generation(generation: Generation, *, failures: int, attempts: int) -> Outcome:
    """
    The outcome of a generation that the vendor accepted and reported as failed.

    Args:
        generation: As polled, its status `failed`.
        failures: Failed generations of this job, this one counted.
        attempts: How many are allowed.
    """
    if generation.refused_by_policy:
        return Outcome(attempt=AttemptState.UNSOLD, job=JobState.FILTERED, reason="refused")
    to = JobState.QUEUED if failures < attempts else JobState.FAILED
    return Outcome(attempt=AttemptState.UNSOLD, job=to, reason="vendor", counts=True)


def backoff_s(waits: int, *, first_s: float, most_s: float) -> float:
    """Seconds before the next try: doubles with each wait, without overflow."""
    return float(min(most_s, first_s * 2 ** min(waits, 30)))


def error_facts(error: VendorError) -> dict[str, Any]:
    """What the attempt's row keeps of an error: its kind, the status and the vendor's own words."""
    return {
        "kind": type(error).__name__,
        "message": str(error),
        "status": error.status,
        "reject_reason": error.reject_reason,
        "vendor_message": error.vendor_message,
    }
