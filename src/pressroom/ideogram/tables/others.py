"""Generate operations of the v2 API for models of other makers, and the automatic choice (reference 10.1, 10.2)."""

from __future__ import annotations

from dataclasses import replace

from pressroom.ideogram.operations import MIB, Body, Field, Geometry, Kind, Needs, Product, Webhook, group
from pressroom.ideogram.tables import common, enums
from pressroom.ideogram.tables.enums import lower
from pressroom.ideogram.tables.v2 import SHARED, row

_MAGIC = common.choice("magic_prompt", lower(enums.MAGIC_PROMPTS))
_COLON_RATIO = replace(common.plain("aspect_ratio", r"[1-9]\d*:[1-9]\d*", 21), separator=":")
_GPT_25_SIZE = Geometry(
    step=16, shortest=16, longest=3840, ratio=3.0, least_area=655_360, most_area=8_294_400
)
_FREE_SIZE = common.plain("resolution", common.SIZE_PATTERN)
_PIXELS_MAX = 4_194_304
"""Largest product of custom_width and custom_height of p-image-ideogram (reference 8.3)."""


def _sources(most: int) -> tuple[Field, Field]:
    return common.files("images", most), common.identifiers("image_asset_identifiers", most)


def _side(name: str) -> Field:
    return Field(name=name, kind=Kind.INTEGER, minimum=16, maximum=4096, step=16)


_GPT_25_FIELDS = (
    *SHARED,
    _COLON_RATIO,
    replace(_FREE_SIZE, geometry=_GPT_25_SIZE),
    common.choice("quality", ("auto", "low", "medium", "high")),
    common.choice("background", ("auto", "transparent", "opaque")),
    *_sources(16),
    Field(name="mask", kind=Kind.FILE, limit_bytes=25 * MIB),
)
_GPT_25_NEEDS = (Needs("mask", group("images")),)
_RATIO_OR_SIZE = (group("aspect_ratio", "resolution"),)

ROWS = (
    row(
        "auto",
        *SHARED,
        _MAGIC,
        common.NEGATIVE_PROMPT,
        common.choice("aspect_ratio", ("auto",), pattern=r"[1-9]\d{0,2}x[1-9]\d{0,2}"),
        _FREE_SIZE,
        common.choice("resolution_tier", ("1k", "2k", "4k")),
        common.plain("category_id", common.ASSET_ID_PATTERN),
        *_sources(10),
        common.identifiers("style_reference_asset_identifiers", 10),
        body=Body.EITHER,
        webhook=Webhook.NONE,
        exclusive=(
            group("negative_prompt", "images"),
            group("negative_prompt", "image_asset_identifiers"),
        ),
    ),
    row(
        "gpt-image-2",
        *SHARED,
        _COLON_RATIO,
        _FREE_SIZE,
        *_sources(16),
        body=Body.EITHER,
        exclusive=_RATIO_OR_SIZE,
    ),
    row(
        "gpt-image-2-5-flare",
        *_GPT_25_FIELDS,
        body=Body.EITHER,
        exclusive=_RATIO_OR_SIZE,
        needs=_GPT_25_NEEDS,
    ),
    row(
        "gpt-image-2-5-sunburst",
        *_GPT_25_FIELDS,
        body=Body.EITHER,
        exclusive=_RATIO_OR_SIZE,
        needs=_GPT_25_NEEDS,
    ),
    row(
        "nano-banana-2",
        *SHARED,
        common.choice("aspect_ratio", enums.RATIOS_NANO),
        common.choice("resolution_tier", ("1K", "2K", "4K")),
        *_sources(10),
        body=Body.EITHER,
    ),
    row(
        "nano-banana-pro",
        *SHARED,
        common.choice("aspect_ratio", enums.RATIOS_NANO_PRO),
        common.choice("resolution_tier", ("1K", "2K", "4K")),
        *_sources(10),
        body=Body.EITHER,
    ),
    row(
        "p-image-ideogram",
        *SHARED,
        common.COPYRIGHT_DETECTION,
        _MAGIC,
        common.choice("aspect_ratio", enums.RATIOS_V3),
        common.choice("resolution", ("1k", "2k")),
        _side("custom_width"),
        _side("custom_height"),
        common.choice("quality", ("very_low", "low", "medium", "high", "very_high")),
        exclusive=(
            group("custom_width", "aspect_ratio"),
            group("custom_width", "resolution"),
        ),
        together=(group("custom_width", "custom_height"),),
        products=(Product("custom_width", "custom_height", _PIXELS_MAX),),
    ),
    row(
        "z-image",
        *SHARED,
        _FREE_SIZE,
        Field(name="num_inference_steps", kind=Kind.INTEGER, minimum=1, maximum=128),
    ),
)
