"""How large the pictures of a request will probably be, before the vendor has said so."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from pressroom.errors import InvalidRequest
from pressroom.ideogram.models import find_model
from pressroom.ideogram.tables.enums import SIZES_45, SIZES_V3, SIZES_V4_1K, SIZES_V4_2K

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 8192
"""Pixels of a side (reference 5.3)."""

_TIER_PIXELS: Final = {"1k": 1024, "2k": 2048, "4k": 4096, "8k": 8192}
_TIER_LISTS: Final = {"1k": SIZES_V4_1K, "2k": SIZES_V4_2K}
_OF_FOURTH: Final = ("ideogram-4",)
_OF_THIRD: Final = ("ideogram-1", "ideogram-2", "ideogram-3", "auto")


def likely_size(request: Mapping[str, Any]) -> tuple[int, int]:
    """
    Width and height in pixels of a request's pictures.

    A size is taken at its word. For a ratio the vendor publishes no table: of the model's own list of sizes the one
    that is nearest in shape is taken; where it has none, the area is kept and both sides are multiples of 16.

    Args:
        request: An `ImageRequest` in its portable form.
    """
    if (size := _pair(request.get("size"))) is not None:
        width, height = size
    else:
        model = _canonical(str(request.get("model", "")))
        ratio = _pair(request.get("aspect_ratio")) or (1, 1)
        width, height = _of_ratio(model, ratio, request.get("output_resolution"))
    times = int(str(request.get("upscale_factor") or "x1")[1:])
    return min(LARGEST, width * times), min(LARGEST, height * times)


def _of_ratio(model: str, ratio: tuple[int, int], tier: str | None) -> tuple[int, int]:
    if model.startswith(_OF_FOURTH) and (tier is None or tier in _TIER_LISTS):
        sizes = _TIER_LISTS[tier or "2k"]
        return _nearest(tuple(set(sizes) & set(SIZES_45)) if model == "ideogram-4-5" else sizes, ratio)
    if model.startswith(_OF_THIRD):
        return _nearest(SIZES_V3, ratio)
    side = _TIER_PIXELS[tier or "1k"] / math.sqrt(ratio[0] * ratio[1])
    width, height = (max(16, round(side * part / 16) * 16) for part in ratio)
    return width, height


def _nearest(sizes: tuple[str, ...], ratio: tuple[int, int]) -> tuple[int, int]:
    """The size whose shape is nearest to the ratio, the largest of those."""
    pairs = [(int(width), int(height)) for width, height in (size.split("x") for size in sizes)]

    def distance(pair: tuple[int, int]) -> tuple[float, int]:
        return abs(math.log(pair[0] * ratio[1] / (pair[1] * ratio[0]))), -pair[0] * pair[1]

    return min(pairs, key=distance)


def _pair(value: object) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d+)x(\d+)", value) if isinstance(value, str) else None
    return (int(match[1]), int(match[2])) if match else None


def _canonical(name: str) -> str:
    try:
        return find_model(name)[0].name
    except InvalidRequest:  # a model that an older version knew
        return name
