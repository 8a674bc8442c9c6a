"""The imitated operations `/v2/image/generate/{model}`. Source: reference sections 9, 10.1 and 10.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pressroom.emulator import enums, rules, sizes
from pressroom.emulator.fields import Field
from pressroom.emulator.operations import Operation
from pressroom.emulator.operations_v1 import CUSTOM_MODEL_PATTERN, MAX_IMAGES, MAX_SEED, STYLE_CODE_PATTERN

if TYPE_CHECKING:
    from pressroom.emulator.operations import Rule, Sizer

MAX_PROMPT: Final = 10_000
"""Characters. Source: reference section 9."""

_ID22: Final = r"[A-Za-z0-9_-]{22}"

_COMMON: Final = (
    Field("prompt", required=True, low=1, high=MAX_PROMPT),
    Field("num_images", "int", low=1, high=MAX_IMAGES),
    Field("seed", "int", low=0, high=MAX_SEED),
    Field("async", "bool"),
    Field("private", "bool", nullable=True),
    Field("target_collection_id", pattern=_ID22),
)
_WEBHOOK: Final = Field("webhook_url", "url")
_MAGIC: Final = Field("magic_prompt", choices=enums.lower(enums.MAGIC_PROMPT))
_NEGATIVE: Final = Field("negative_prompt", high=MAX_PROMPT)
_SPEED: Final = Field("rendering_speed", choices=enums.V2_SPEEDS)
_IDEOGRAM: Final = (Field("enable_copyright_detection", "bool", nullable=True), _MAGIC)
_CUSTOM_MODEL: Final = Field("custom_model_uri", required=True, pattern=CUSTOM_MODEL_PATTERN, low=1, high=512)
_V3_RATIO: Final = Field("aspect_ratio", choices=("auto", *enums.V3_RATIOS))
_V3_SHAPE: Final = (_V3_RATIO, Field("resolution", choices=enums.V3_SIZES))
_V4_SIZE: Final = Field("resolution", choices=enums.V4_SIZES)
_FREE_SIZE: Final = Field("resolution", pattern=r"\d{2,5}x\d{2,5}")


def _style(*choices: str) -> Field:
    return Field("style_type", choices=choices)


def _sources(most: int) -> tuple[Field, ...]:
    return Field("images", "files", low=1, high=most), Field(
        "image_asset_identifiers", "assets", low=1, high=most
    )


_STYLE_FILES: Final = (
    Field("style_reference_images", "files", low=1, high=10),
    Field("style_reference_asset_identifiers", "assets", low=1, high=10),
)
_STYLE_COLLECTION: Final = (
    Field("style_reference_collection_id", pattern=_ID22),
    Field("style_reference_collection_version_id"),
)
_STYLE_LOOK: Final = (
    Field("style_preset", choices=enums.lower(enums.V3_PRESETS)),
    Field("style_codes", "texts", pattern=STYLE_CODE_PATTERN, low=1),
    Field("color_palette", "lower_palette"),
)
_CHARACTER: Final = (
    Field("character_reference_images", "files", low=1, high=1),
    Field("character_reference_asset_identifiers", "assets", low=1, high=1),
    Field("character_reference_collection_id", pattern=_ID22),
    Field("character_reference_collection_version_id"),
    Field("character_reference_mask", "files", low=1, high=1),
)
_V3_BASE: Final = (*_IDEOGRAM, _SPEED, *_V3_SHAPE, _NEGATIVE)
_V3_RULES: Final = (rules.SIZE_OR_RATIO, rules.STYLE_PRESET_RULE, *rules.STYLE_RULES)
_GPT_25: Final = (
    Field("aspect_ratio", pattern=r"\d{1,2}:\d{1,2}"),
    _FREE_SIZE,
    *_sources(16),
    Field("quality", choices=enums.GPT_QUALITIES),
    Field("background", choices=enums.GPT_BACKGROUNDS),
    Field("mask", "files", low=1, high=1),
)


def _v2(
    model: str,
    fields: tuple[Field, ...],
    size: Sizer,
    *checks: Rule,
    files: bool = False,
    transparent: bool = False,
    webhook: bool = True,
) -> Operation:
    return Operation(
        name=f"v2.generate.{model}",
        path=f"/v2/image/generate/{model}",
        api="v2",
        model=model,
        fields=(*_COMMON, *((_WEBHOOK,) if webhook else ()), *fields),
        size=size,
        shape="g45" if model == "ideogram-4-5" else "g",
        mode="flag",
        multipart_body=files,
        dry_run=True,
        transparent=transparent,
        rules=checks,
    )


V2_OPERATIONS: Final = (
    _v2(
        "ideogram-4-5",
        (
            *_IDEOGRAM,
            Field("quality", choices=enums.V45_QUALITIES),
            Field("size", pattern=r"auto|source|\d{2,5}x\d{2,5}", nullable=True),
            *_sources(5),
            Field("mask", "files", low=1, high=1),
        ),
        sizes.by_size,
        rules.v45_size,
        rules.v45_quality,
        rules.v45_mask,
        files=True,
    ),
    _v2("ideogram-4", (*_IDEOGRAM, _SPEED, _V4_SIZE), sizes.by_resolution),
    _v2(
        "ideogram-4-custom-model",
        (
            *_IDEOGRAM,
            _SPEED,
            _V4_SIZE,
            _CUSTOM_MODEL,
            Field("stacked_custom_models", "custom_models", low=1, high=4),
        ),
        sizes.by_resolution,
    ),
    _v2(
        "ideogram-4-transparent",
        (
            *_IDEOGRAM,
            _SPEED,
            Field("aspect_ratio", choices=enums.lower(enums.V4_RATIOS)),
            Field("output_resolution", choices=enums.lower(enums.V4_OUTPUTS)),
        ),
        sizes.by_tier,
        transparent=True,
    ),
    _v2(
        "ideogram-3",
        (*_V3_BASE, _style(*enums.lower(enums.V3_STYLES)), *_STYLE_LOOK, *_STYLE_FILES, *_STYLE_COLLECTION),
        sizes.by_v3_ratio,
        *_V3_RULES,
        files=True,
    ),
    _v2(
        "ideogram-3-character",
        (*_V3_BASE, _style(*enums.V2_CHARACTER_STYLES), *_STYLE_FILES, *_STYLE_COLLECTION, *_CHARACTER),
        sizes.by_v3_ratio,
        rules.CHARACTER_RULE,
        *_V3_RULES,
        files=True,
    ),
    _v2(
        "ideogram-3-custom-model",
        (*_V3_BASE, _CUSTOM_MODEL, *_STYLE_LOOK, *_STYLE_FILES),
        sizes.by_v3_ratio,
        *_V3_RULES,
        files=True,
    ),
    _v2(
        "ideogram-3-transparent",
        (
            *_IDEOGRAM,
            _SPEED,
            _V3_RATIO,
            _NEGATIVE,
            Field("upscale_factor", choices=enums.lower(enums.V3_UPSCALES)),
        ),
        sizes.by_v3_ratio,
        transparent=True,
    ),
    _v2(
        "ideogram-2",
        (*_IDEOGRAM, _SPEED, _V3_RATIO, _NEGATIVE, _style(*enums.V2_OLD_STYLES)),
        sizes.by_v3_ratio,
    ),
    _v2("ideogram-2a", (*_IDEOGRAM, _SPEED, _V3_RATIO, _style(*enums.V2_OLD_STYLES)), sizes.by_v3_ratio),
    _v2(
        "auto",
        (
            _MAGIC,
            _NEGATIVE,
            Field("aspect_ratio", pattern=r"auto|\d{1,2}x\d{1,2}"),
            _FREE_SIZE,
            Field("resolution_tier", choices=enums.lower(enums.NANO_TIERS)),
            Field("category_id", pattern=_ID22),
            *_sources(10),
            Field("style_reference_asset_identifiers", "assets", low=1, high=10),
        ),
        sizes.by_tier,
        rules.sides_within_limit,
        files=True,
        webhook=False,
    ),
    _v2(
        "gpt-image-2",
        (Field("aspect_ratio", pattern=r"\d{1,2}:\d{1,2}"), _FREE_SIZE, *_sources(16)),
        sizes.by_tier,
        rules.sides_within_limit,
        files=True,
    ),
    _v2("gpt-image-2-5-flare", _GPT_25, sizes.by_tier, rules.sides_within_limit, rules.gpt_size, files=True),
    _v2(
        "gpt-image-2-5-sunburst", _GPT_25, sizes.by_tier, rules.sides_within_limit, rules.gpt_size, files=True
    ),
    _v2(
        "nano-banana-2",
        (
            Field("aspect_ratio", choices=enums.NANO_2_RATIOS),
            Field("resolution_tier", choices=enums.NANO_TIERS),
            *_sources(10),
        ),
        sizes.by_tier,
        files=True,
    ),
    _v2(
        "nano-banana-pro",
        (
            Field("aspect_ratio", choices=enums.NANO_PRO_RATIOS),
            Field("resolution_tier", choices=enums.NANO_TIERS),
            *_sources(10),
        ),
        sizes.by_tier,
        files=True,
    ),
    _v2(
        "p-image-ideogram",
        (
            *_IDEOGRAM,
            Field("aspect_ratio", choices=enums.V3_RATIOS),
            Field("resolution", choices=("1k", "2k")),
            Field("custom_width", "int", low=16, high=4096),
            Field("custom_height", "int", low=16, high=4096),
            Field("quality", choices=enums.P_IMAGE_QUALITIES),
        ),
        sizes.by_tier,
        rules.custom_size,
    ),
    _v2(
        "z-image",
        (
            Field("resolution", pattern=r"\d{2,5}x\d{2,5}", nullable=True),
            Field("num_inference_steps", "int", low=1, high=128, nullable=True),
        ),
        sizes.by_tier,
        rules.sides_within_limit,
    ),
)
