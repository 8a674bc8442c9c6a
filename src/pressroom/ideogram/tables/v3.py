"""Generate operations of the V3 API (reference 7)."""

from __future__ import annotations

from pressroom.ideogram.operations import Api, Body, Mode, Needs, Operation, fields, group
from pressroom.ideogram.tables import common, enums

_SHARED = (
    common.PROMPT,
    common.choice("aspect_ratio", enums.RATIOS_V3),
    common.choice("magic_prompt", enums.MAGIC_PROMPTS),
    common.NEGATIVE_PROMPT,
    common.NUM_IMAGES,
    common.SEED,
    common.CUSTOM_MODEL,
    common.COPYRIGHT_DETECTION,
)

ROWS = (
    Operation(
        name="v3/generate",
        api=Api.V1,
        path="/v1/ideogram-v3/generate",
        body=Body.EITHER,
        mode=Mode.SYNC,
        model="ideogram-3",
        fields=fields(
            *_SHARED,
            common.choice("resolution", enums.SIZES_V3),
            common.choice("rendering_speed", enums.SPEEDS_V3),
            common.PALETTE,
            common.STYLE_CODES,
            common.choice("style_type", enums.STYLES_V3),
            common.choice("style_preset", enums.STYLE_PRESETS),
            # 25 MB a file is the newer of two published limits; how many references V3 takes is not published
            common.files("style_reference_images", 10),
            common.files("character_reference_images", 1),
            common.files("character_reference_images_mask", 1),
        ),
        exclusive=(
            group("aspect_ratio", "resolution"),
            group("style_codes", "style_reference_images"),
            group("style_codes", "style_type"),
        ),
        needs=(Needs("character_reference_images_mask", group("character_reference_images")),),
    ),
    Operation(
        name="v3/generate-transparent",
        api=Api.V1,
        path="/v1/ideogram-v3/generate-transparent",
        body=Body.EITHER,
        mode=Mode.SYNC,
        model="ideogram-3-transparent",
        fields=fields(
            *_SHARED,
            # FLASH is in the schema and answers 400 (reference 7)
            common.choice("rendering_speed", tuple(speed for speed in enums.SPEEDS_V3 if speed != "FLASH")),
            common.choice("upscale_factor", enums.UPSCALE_FACTORS),
        ),
    ),
)
