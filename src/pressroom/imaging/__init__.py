"""Pictures that pressroom draws; usable alone."""

from __future__ import annotations

from pressroom.imaging.placeholder import LARGEST, SMALLEST, placeholder

__all__ = ["LARGEST", "SMALLEST", "placeholder"]
