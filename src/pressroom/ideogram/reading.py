"""Reads bytes of the vendor as JSON; every way to be malformed is a ValueError."""

from __future__ import annotations

import json
import math
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pressroom.ideogram.operations import JSON

MICROS_MAX: Final = 2**63 - 1
"""Largest amount: the vendor's type is int64 (reference 17.1)."""

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def json_object(body: bytes) -> dict[str, JSON]:
    """
    The object in a body. A NUL or half a surrogate pair in a text, which no database holds, becomes U+FFFD.

    Raises:
        ValueError: It is not JSON, or not an object. The message holds nothing of the body.
    """
    try:
        parsed = _mended(json.loads(body, parse_constant=_no_constant))
    except (ValueError, RecursionError):
        raise ValueError("the answer is not JSON") from None
    if not isinstance(parsed, dict):
        raise ValueError("the answer is not a JSON object")  # noqa: TRY004 - one type for every malformed answer
    return parsed


def mended_text(text: str) -> str:
    """The text with U+FFFD for what cannot be stored."""
    return _UNSTORABLE.sub("\ufffd", text)


def _mended(value: JSON) -> JSON:
    if isinstance(value, str):
        return mended_text(value)
    if isinstance(value, dict):
        return {mended_text(name): _mended(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_mended(inner) for inner in value]
    return value


def text_or_none(value: JSON) -> str | None:
    """A non-empty text, else None."""
    return value if isinstance(value, str) and value else None


def integer_or_none(value: JSON, *, least: int = 0, most: int = MICROS_MAX) -> int | None:
    """A whole number within bounds, else None; a boolean is no number."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        return None
    return value


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """
    Seconds that a server asks to wait: `Retry-After` as a number or an HTTP date (RFC 9110, 10.2.3).

    Args:
        headers: Names in lower case.
        now: Aware time that a date is counted from.

    Returns:
        Zero or more; None without the header or with one that cannot be read.
    """
    given = headers.get("retry-after", "").strip()
    try:
        seconds = float(given)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        when = parsedate_to_datetime(given)
        return max(0.0, (when - now).total_seconds())
    except (TypeError, ValueError):  # TypeError: a date without a zone
        return None


def date_or_none(headers: Mapping[str, str]) -> datetime | None:
    """The server's own time (`Date`, RFC 9110, 6.6.1), aware; None without one that can be read."""
    try:
        when = parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return when if when.tzinfo else None
