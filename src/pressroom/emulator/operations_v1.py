"""The imitated generate operations of the legacy API and of `/v1`. Source: reference sections 6, 7 and 8."""

from __future__ import annotations

from typing import Final

from pressroom.emulator import enums, rules, sizes
from pressroom.emulator.fields import Field
from pressroom.emulator.operations import Operation

MAX_SEED: Final = 2147483647
MAX_IMAGES: Final = 8

CUSTOM_MODEL_PATTERN: Final = r"model/[^/]+/version/[^/]+"
STYLE_CODE_PATTERN: Final = r"[0-9a-fA-F]{8}"

# The vendor publishes no prompt limit here; a third-party tool enforces 10,000 (reference section 11). None is imitated.
_PROMPT: Final = Field("prompt", required=True, low=1)
_SEED: Final = Field("seed", "int", low=0, high=MAX_SEED)
_IMAGES: Final = Field("num_images", "int", low=1, high=MAX_IMAGES)
_NEGATIVE: Final = Field("negative_prompt")
_MAGIC: Final = Field("magic_prompt", choices=enums.MAGIC_PROMPT)
_SPEED: Final = Field("rendering_speed", choices=enums.V3_SPEEDS)
_RATIO: Final = Field("aspect_ratio", choices=enums.V3_RATIOS)
_CUSTOM_MODEL: Final = Field("custom_model_uri", pattern=CUSTOM_MODEL_PATTERN)
_COPYRIGHT: Final = Field("enable_copyright_detection", "bool", nullable=True)

_LEGACY_FIELDS: Final = (
    _PROMPT,
    Field("model", choices=enums.LEGACY_MODELS),
    Field("aspect_ratio", choices=enums.LEGACY_RATIOS),
    Field("resolution", choices=enums.LEGACY_SIZES),
    Field("magic_prompt_option", choices=enums.MAGIC_PROMPT),
    Field("magic_prompt_version", choices=enums.MAGIC_PROMPT_VERSIONS),
    _SEED,
    Field("style_type", choices=enums.LEGACY_STYLES),
    _NEGATIVE,
    _IMAGES,
    Field("color_palette", "palette"),
)

_V1_MODELS: Final = ("V_1", "V_1_TURBO")
_V2A_MODELS: Final = ("V_2A", "V_2A_TURBO")

_LEGACY_RULES: Final = (
    rules.SIZE_OR_RATIO,
    rules.not_with("style_type", "model", _V1_MODELS),
    rules.not_with("color_palette", "model", (*_V1_MODELS, *_V2A_MODELS)),
    rules.not_with("negative_prompt", "model", (*_V2A_MODELS, "V_3", "AUTO")),
    rules.not_with("resolution", "model", (*_V1_MODELS, *_V2A_MODELS)),
)

_V3_FIELDS: Final = (
    _PROMPT,
    Field("resolution", choices=enums.V3_SIZES),
    _RATIO,
    _SPEED,
    _MAGIC,
    _NEGATIVE,
    _IMAGES,
    _SEED,
    Field("color_palette", "palette"),
    Field("style_codes", "texts", pattern=STYLE_CODE_PATTERN, low=1),
    Field("style_type", choices=enums.V3_STYLES),
    Field("style_preset", choices=enums.V3_PRESETS),
    Field("style_reference_images", "files", low=1),
    Field("character_reference_images", "files", low=1, high=1),
    Field("character_reference_images_mask", "files", low=1, high=1),
    _CUSTOM_MODEL,
    _COPYRIGHT,
)

_V3_TRANSPARENT_FIELDS: Final = (
    _PROMPT,
    _SEED,
    Field("upscale_factor", choices=enums.V3_UPSCALES),
    _RATIO,
    _SPEED,
    _MAGIC,
    _NEGATIVE,
    _IMAGES,
    _CUSTOM_MODEL,
    _COPYRIGHT,
)

_TEXT_OR_JSON: Final = (Field("text_prompt", low=1), Field("json_prompt", "json_prompt"))

_V4_FIELDS: Final = (
    *_TEXT_OR_JSON,
    Field("resolution", choices=enums.V4_SIZES),
    _SPEED,
    Field("seed", "int", low=0, high=MAX_SEED, nullable=True),
    _CUSTOM_MODEL,
    _COPYRIGHT,
)

_V4_TRANSPARENT_FIELDS: Final = (
    *_TEXT_OR_JSON,
    Field("aspect_ratio", choices=enums.V4_RATIOS),
    Field("output_resolution", choices=enums.V4_OUTPUTS),
    Field("rendering_speed", choices=("TURBO", "DEFAULT", "QUALITY")),
)

_V4_RULES: Final = (rules.exactly_one("text_prompt", "json_prompt"), rules.flash_is_not_available)


def _v4(path: str, *, transparent: bool, asynchronous: bool) -> Operation:
    return Operation(
        name=f"v4.{path.replace('/', '.')}",
        path=f"/v1/ideogram-v4/{path}",
        api="v1",
        model="ideogram-4-transparent" if transparent else "ideogram-4",
        fields=_V4_TRANSPARENT_FIELDS if transparent else _V4_FIELDS,
        size=sizes.by_tier if transparent else sizes.by_resolution,
        shape="ack" if asynchronous else "v4",
        mode="async" if asynchronous else "sync",
        multipart_body=True,
        webhook_query=asynchronous,
        transparent=transparent,
        rules=_V4_RULES,
    )


V1_OPERATIONS: Final = (
    Operation(
        name="legacy.generate",
        path="/generate",
        api="legacy",
        model="V_2",
        fields=_LEGACY_FIELDS,
        size=sizes.by_v3_ratio,
        shape="legacy",
        rules=_LEGACY_RULES,
    ),
    Operation(
        name="v3.generate",
        path="/v1/ideogram-v3/generate",
        api="v1",
        model="ideogram-3",
        fields=_V3_FIELDS,
        size=sizes.by_v3_ratio,
        shape="v3",
        multipart_body=True,
        rules=(rules.SIZE_OR_RATIO, *rules.STYLE_RULES),
    ),
    Operation(
        name="v3.generate-transparent",
        path="/v1/ideogram-v3/generate-transparent",
        api="v1",
        model="ideogram-3-transparent",
        fields=_V3_TRANSPARENT_FIELDS,
        size=sizes.by_v3_ratio,
        shape="v3",
        multipart_body=True,
        transparent=True,
        rules=(rules.flash_is_not_available,),
    ),
    _v4("generate", transparent=False, asynchronous=False),
    _v4("async/generate", transparent=False, asynchronous=True),
    _v4("generate-transparent", transparent=True, asynchronous=False),
    _v4("async/generate-transparent", transparent=True, asynchronous=True),
)
