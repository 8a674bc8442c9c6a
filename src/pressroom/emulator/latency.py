"""
How long a generation takes, before `time_scale`.

The vendor publishes nothing; third parties report 5 to 15 s an image, more for large or high quality (reference
section 3.1). The figures are ours within that range.
"""

from __future__ import annotations

from typing import Final

_BASE_S: Final[dict[str, float]] = {
    "flash": 3.0,
    "turbo": 5.0,
    "very_low": 4.0,
    "low": 5.0,
    "default": 8.0,
    "balanced": 8.0,
    "medium": 8.0,
    "auto": 12.0,
    "quality": 14.0,
    "high": 14.0,
    "very_high": 18.0,
}
"""Seconds by tier."""

_PER_FURTHER_IMAGE: Final = 0.15
"""Share of the base time that each image after the first adds."""

_LARGE_PIXELS: Final = 2048 * 2048
_LARGE_FACTOR: Final = 1.25

_JITTER: Final = 0.2
"""Largest deviation to either side, as a share. It follows from the seed, so the same request takes the same time."""


def latency_s(tier: str, pixels: int, num_images: int, seed: int) -> float:
    """Seconds from acceptance to the end of a generation at `time_scale` 1."""
    base = _BASE_S[tier] * (_LARGE_FACTOR if pixels >= _LARGE_PIXELS else 1.0)
    spread = 1.0 + _JITTER * ((seed % 1001) / 500.0 - 1.0)
    return base * (1.0 + _PER_FURTHER_IMAGE * (num_images - 1)) * spread
