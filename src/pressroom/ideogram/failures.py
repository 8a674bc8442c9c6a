"""
What an answer, or its absence, means: one error of `pressroom.errors` for every case.

Whether a repeat can buy twice decides. After the first byte of a paid request may have left, only a 4xx other than 408
is a refusal; all else is `OutcomeUnknown`. Messages never hold the vendor's words: those may quote the request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import httpx2

from pressroom.errors import (
    ContentRefused,
    CreditsExhausted,
    GenerationNotFound,
    InflightLimit,
    KeyRefused,
    NotSent,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    RequestRefused,
    Unavailable,
    VendorError,
)
from pressroom.ideogram.reading import (
    integer_or_none,
    json_object,
    mended_text,
    retry_after_s,
    text_or_none,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pressroom.ideogram.operations import JSON


class Cost(StrEnum):
    """What sending a request again could cost; a poll is a free request about one generation."""

    PAID = "paid"
    FREE = "free"
    POLL = "poll"


BY_REASON: Final[Mapping[str, type[VendorError]]] = {
    "insufficient_funds": CreditsExhausted,
    "daily_limit": QuotaExhausted,
    "inflight_limit": InflightLimit,
    "feature_limit": RequestRefused,
    "subscription_required": RequestRefused,
    "priority_credit_required": RequestRefused,
}
"""The vendor's `reject_reason` on 402 and 429, which goes before the status (reference 2)."""

NOT_SENT: Final[tuple[type[Exception], ...]] = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)
"""Failures that come before the first byte: address, name, connection, TLS, waiting for a free connection."""

QUEUES: Final = frozenset({"fast", "slow"})
"""The vendor's queues (reference 3): a name that is none of them is not remembered."""
INFLIGHT_MAX: Final = 1_000_000
"""Largest in-flight limit that is believed; more says nothing, and would not fit where limits are kept."""

ADVICE: Final[Mapping[type[VendorError], str]] = {
    KeyRefused: "the key was refused; check IDEOGRAM_API_KEY or make a new key in the vendor's dashboard",
    CreditsExhausted: "the account has no credit left; top it up in the vendor's dashboard",
    QuotaExhausted: "the account's daily quota is used up; it opens again at 00:00 UTC",
    ContentRefused: "the vendor's safety check refused the prompt or an image; change it",
    InflightLimit: "too many requests are in flight on this account; wait until one has ended",
    RateLimited: "the vendor asks for fewer requests; wait before the next one",
    RequestRefused: "the request was refused; repeated unchanged it will be refused again",
    GenerationNotFound: "the vendor does not know that generation id",
    OutcomeUnknown: "the request may have been accepted and billed; do not repeat it before its outcome is known",
    Unavailable: "the vendor could not answer; repeating this request costs nothing",
    NotSent: "nothing was sent; repeating this request cannot buy twice",
}
_RATE_HEADER = re.compile(r"(?:x-)?ratelimit-.*|retry-after")
_PLAIN_REASON = re.compile(r"[a-z][a-z_]{0,39}")


@dataclass(frozen=True)
class Answered:
    """
    What the vendor answered.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: The bytes that came, perhaps cut.
        at: When it came, aware.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime


def classify(
    status: int, reject_reason: str | None, cost: Cost, key_refusals: frozenset[int] = frozenset({401})
) -> type[VendorError]:
    """
    The kind of error that an answer means. Total: every status and reason gives one; a 2xx means a broken body.

    Args:
        status: HTTP status, or the `status_code` inside a 200 that is an error.
        reject_reason: As the body gave it.
        cost: What repeating could cost.
        key_refusals: Statuses that mean the key on this operation.
    """
    if not 400 <= status < 500 or status == 408:
        return OutcomeUnknown if cost is Cost.PAID else Unavailable
    if status in key_refusals:
        return KeyRefused
    if status in {402, 429}:
        by_status = CreditsExhausted if status == 402 else RateLimited
        return BY_REASON.get(reject_reason or "", by_status)
    if status == 422:
        return ContentRefused
    if status == 404 and cost is Cost.POLL:
        return GenerationNotFound
    return RequestRefused


def answer_error(
    answered: Answered,
    cost: Cost,
    *,
    key_refusals: frozenset[int] = frozenset({401}),
    secrets: tuple[str, ...] = (),
) -> VendorError:
    """
    The error that an answer means.

    Args:
        answered: Any answer that is not a readable success; an error inside a 200 is read by its `status_code`.
        cost: What repeating could cost.
        key_refusals: Statuses that mean the key on this operation.
        secrets: Texts that are masked in the vendor's words.
    """
    body = _object_or_empty(answered.body)
    status = answered.status
    if 200 <= status < 300:
        status = integer_or_none(body.get("status_code"), least=400, most=599) or status
    reason = text_or_none(body.get("reject_reason"))
    kind = classify(status, reason, cost, key_refusals)
    words = _words(body, answered.body)
    for secret in secrets:
        words = words.replace(secret, "***")
    known = f", {reason}" if reason is not None and _PLAIN_REASON.fullmatch(reason) else ""
    error = kind(
        f"HTTP {answered.status}{known}: {ADVICE[kind]}",
        status=status,
        vendor_message=words,
        reject_reason=reason,
        retry_after=retry_after_s(answered.headers, answered.at),
        headers={name: value for name, value in answered.headers.items() if _RATE_HEADER.fullmatch(name)},
    )
    if isinstance(error, InflightLimit):
        error.max_inflight = integer_or_none(body.get("max_inflight_requests"), least=1, most=INFLIGHT_MAX)
        queue = text_or_none(body.get("task_completion_speed"))
        error.queue = queue if queue in QUEUES else None
    return error


def transport_error(error: Exception, cost: Cost, *, may_have_left: bool) -> VendorError:
    """
    The error that a failure without a whole answer means. Total over every exception.

    Args:
        error: What the HTTP library raised.
        cost: What repeating could cost.
        may_have_left: Whether sending had begun when it was raised.
    """
    if isinstance(error, NOT_SENT) and not may_have_left:
        kind: type[VendorError] = NotSent
    else:
        kind = OutcomeUnknown if cost is Cost.PAID else Unavailable
    return kind(f"{type(error).__name__}: {ADVICE[kind]}")


def deadline_error(cost: Cost, seconds: float, *, may_have_left: bool) -> VendorError:
    """The error of a request whose total time is up."""
    if not may_have_left:
        kind: type[VendorError] = NotSent
    else:
        kind = OutcomeUnknown if cost is Cost.PAID else Unavailable
    return kind(f"no answer within {seconds:g} s: {ADVICE[kind]}")


def holds_error(answer: Mapping[str, JSON]) -> bool:
    """Whether a 2xx is an error in disguise: `error` is set and no pictures came (reference 10.6)."""
    return bool(answer.get("error")) and not answer.get("data")


def _object_or_empty(body: bytes) -> dict[str, JSON]:
    try:
        return json_object(body)
    except ValueError:
        return {}


def _words(parsed: Mapping[str, JSON], body: bytes) -> str:
    for name in ("message", "error", "detail"):
        value = parsed.get(name)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value:
            return value
    return mended_text(body.decode(errors="replace"))
