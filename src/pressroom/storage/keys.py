"""Names of objects, and which names are allowed at all."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pressroom.errors import InvalidInput

CACHE_CONTROL = "public, max-age=31536000, immutable"
"""Sent with every object: a year, never revalidated. Right because a key is written once. Source: spec row G5."""

MAX_SEED = 2_147_483_647
"""Largest seed of every operation. Source: the vendor's API reference, section 6.1."""

MAX_KEY_LENGTH = 512
"""Characters. Half of what S3 takes (1,024 bytes), which leaves the other half to the store's prefix."""

NO_SEED = "noseed"
"""Stands in a key for an image whose answer named no seed (background removal, for instance)."""

_ASSET_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


def object_key(*, created_at: datetime, seed: int | None, asset_id: str, extension: str) -> str:
    """
    The key of an asset: `{yyyy}/{mm}/{dd}/{seed}-{timestamp}-{asset id}.{ext}`.

    Day and timestamp are UTC; the timestamp has milliseconds (`20260131T235959123Z`). Different asset ids give
    different keys, also for the same seed at the same instant. Keys sort by day.

    Args:
        created_at: When the generation ended; with a time zone.
        seed: The image's own seed, 0 to 2,147,483,647; None when the answer named none (`noseed` in the key).
        asset_id: 1 to 64 letters, digits, `_` or `-`, starting with a letter or digit.
        extension: 1 to 8 lower-case letters or digits, without the dot.

    Raises:
        InvalidInput: A naive datetime, or a part that could not stand in a path on every store.
    """
    if created_at.tzinfo is None or created_at.utcoffset() is None:
        raise InvalidInput("an object key needs created_at with a time zone; give it in UTC")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise InvalidInput(f"an object key needs a seed between 0 and {MAX_SEED}, or None")
    if not _ASSET_ID.fullmatch(asset_id):
        raise InvalidInput("an object key needs an asset id of 1 to 64 letters, digits, '_' or '-'")
    if not _EXTENSION.fullmatch(extension):
        raise InvalidInput("an object key needs an extension of 1 to 8 lower-case letters or digits, no dot")
    at = created_at.astimezone(UTC)
    day = f"{at.year:04d}/{at.month:02d}/{at.day:02d}"
    stamp = f"{at.year:04d}{at:%m%dT%H%M%S}{at.microsecond // 1000:03d}Z"
    return f"{day}/{NO_SEED if seed is None else seed}-{stamp}-{asset_id}.{extension}"


def checked_key(key: str) -> str:
    """
    Return `key` if every store can hold it and it cannot leave the store's folder.

    Segments are letters, digits, `.`, `_` and `-`, never empty and never starting with a dot or a dash.

    Raises:
        InvalidInput: Anything else, absolute paths, `..` and backslashes among it.
    """
    if len(key) > MAX_KEY_LENGTH or not all(_SEGMENT.fullmatch(part) for part in key.split("/")):
        raise InvalidInput(
            "an object key is a relative path of letters, digits, '.', '_' and '-', "
            f"at most {MAX_KEY_LENGTH} characters, no segment starting with a dot"
        )
    return key
