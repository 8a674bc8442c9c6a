"""
The size of a picture, from the fields of a request.

Where the vendor publishes no table of sizes for a ratio (reference section 21), the sizes here are entries of its own
list of sizes with that shape; for models without a list the area is held and both sides are multiples of 16.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

Size = tuple[int, int]
Sizer = "Callable[[Mapping[str, object]], Size]"

MAX_SIDE: Final = 8192
"""Pixels. Largest side of a transparent V4 picture (8K, reference section 5.3) and of anything the emulator draws."""

_TIERS: Final = {"1k": 1024, "2k": 2048, "4k": 4096, "8k": 8192}

_V3_BY_RATIO: Final = {
    "1x3": (512, 1536),
    "1x2": (704, 1408),
    "9x16": (736, 1312),
    "10x16": (800, 1280),
    "2x3": (832, 1248),
    "3x4": (864, 1152),
    "4x5": (896, 1120),
    "1x1": (1024, 1024),
}
"""Width and height of the upright ratios; lying ones mirror them."""


def parse_size(text: str) -> Size | None:
    """Width and height of `WxH`, `W_H` or `W:H`; None when the text is something else."""
    match = re.fullmatch(r"(?:[A-Z]+_)?(\d{1,5})[x_:](\d{1,5})", text)
    return (int(match[1]), int(match[2])) if match else None


def _text(values: Mapping[str, object], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) else None


def scaled(ratio: Size, side: int) -> Size:
    """A size of about `side` squared pixels in a ratio, both sides multiples of 16."""
    width, height = ratio
    factor = side / math.sqrt(width * height)
    return max(16, round(width * factor / 16) * 16), max(16, round(height * factor / 16) * 16)


def by_v3_ratio(values: Mapping[str, object]) -> Size:
    """Size from `resolution`, else `aspect_ratio`, of the legacy, 2.0 and 3.0 models; 1024x1024 by default."""
    if size := parse_size(_text(values, "resolution") or ""):
        return size
    ratio = parse_size(_text(values, "aspect_ratio") or "") or (1, 1)
    upright = _V3_BY_RATIO[f"{min(ratio)}x{max(ratio)}"]
    return upright if ratio[0] <= ratio[1] else (upright[1], upright[0])


def by_resolution(values: Mapping[str, object]) -> Size:
    """Size from `resolution` of the 4.0 models; 2048x2048 when left out (the vendor would choose from the prompt)."""
    return parse_size(_text(values, "resolution") or "") or (2048, 2048)


def by_size(values: Mapping[str, object]) -> Size:
    """Size from `size` of 4.5; `auto` and `source` make 2048x2048."""
    return parse_size(_text(values, "size") or "") or (2048, 2048)


def by_tier(values: Mapping[str, object]) -> Size:
    """Size of the models that take an explicit size, or a ratio and a tier of 1K, 2K, 4K or 8K."""
    custom = values.get("custom_width"), values.get("custom_height")
    if isinstance(custom[0], int) and isinstance(custom[1], int):
        return custom[0], custom[1]
    resolution = _text(values, "resolution")
    if size := parse_size(resolution or ""):
        return size
    tier = _text(values, "resolution_tier") or _text(values, "output_resolution") or resolution or "1k"
    ratio = parse_size(_text(values, "aspect_ratio") or "") or (1, 1)
    return scaled(ratio, _TIERS[tier.lower()])


def upscaled(size: Size, factor: object) -> Size:
    """Size after an `upscale_factor` of X1, X2 or X4 in either case."""
    times = int(str(factor or "x1")[1:])
    return size[0] * times, size[1] * times
