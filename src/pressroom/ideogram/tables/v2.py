"""Generate operations of the v2 API for Ideogram's own models (reference 9 and 10.1)."""

from __future__ import annotations

from dataclasses import replace

from pressroom.ideogram.operations import (
    MIB,
    Api,
    Body,
    Field,
    Geometry,
    Kind,
    Mode,
    Needs,
    Operation,
    Product,
    Webhook,
    fields,
    group,
)
from pressroom.ideogram.tables import common, enums
from pressroom.ideogram.tables.enums import lower

SHARED = (
    common.PROMPT,
    common.NUM_IMAGES,
    common.SEED,
    common.flag("private"),
    common.plain("target_collection_id"),
)
_MAGIC = common.choice("magic_prompt", lower(enums.MAGIC_PROMPTS))
_SPEED = common.choice("rendering_speed", lower(enums.SPEEDS_V4))
_RATIO_3 = common.choice("aspect_ratio", ("auto", *enums.RATIOS_V3))
_SIZE_3 = common.choice("resolution", enums.SIZES_V3)
_SIZE_4 = common.choice("resolution", enums.SIZES_V4)
_STYLE_3 = common.choice("style_type", lower(enums.STYLES_V3))
_STYLE_2 = common.choice("style_type", lower(enums.STYLES_V2))
_PRESET = common.choice("style_preset", lower(enums.STYLE_PRESETS))
_PALETTE = replace(common.PALETTE, choices=lower(enums.PALETTE_NAMES))
_REFERENCES = (
    common.files("style_reference_images", 10),
    common.identifiers("style_reference_asset_identifiers", 10),
)
_REFERENCE_COLLECTION = (
    common.plain("style_reference_collection_id", common.ASSET_ID_PATTERN),
    common.plain("style_reference_collection_version_id"),
)
_BASE = (*SHARED, common.COPYRIGHT_DETECTION, _MAGIC)
_RATIO_OR_SIZE = group("aspect_ratio", "resolution")
_REFERENCE_NAMES = (
    "style_reference_images",
    "style_reference_asset_identifiers",
    "style_reference_collection_id",
)
_SOURCES = group("images", "image_asset_identifiers")
_SIZE_WITH_SOURCES = Geometry(
    step=32, shortest=256, longest=5016, ratio=6.0, least_area=256 * 256, most_area=2048 * 2048
)
"""Reference 10.1; the longest side is what area and ratio leave."""
_STYLE_RULES = (
    group(*_REFERENCE_NAMES),
    *(group(chosen, name) for chosen in ("style_preset", "style_codes") for name in _REFERENCE_NAMES),
    group("style_preset", "style_codes"),
    # stated for V3 on the older paths (reference 7); v2 has the same model behind it
    group("style_codes", "style_type"),
)


def row(
    model: str,
    *rows: Field,
    body: Body = Body.JSON,
    webhook: Webhook = Webhook.BODY,
    exclusive: tuple[frozenset[str], ...] = (),
    exactly_one: tuple[frozenset[str], ...] = (),
    together: tuple[frozenset[str], ...] = (),
    needs: tuple[Needs, ...] = (),
    products: tuple[Product, ...] = (),
) -> Operation:
    """One model's generate operation; all of them take `async` and declare `dry_run` (reference 4.4)."""
    return Operation(
        name=f"v2/generate/{model}",
        api=Api.V2,
        path=f"/v2/image/generate/{model}",
        body=body,
        mode=Mode.FLAG,
        webhook=webhook,
        dry_run=True,
        model=model,
        fields=fields(*rows),
        exclusive=exclusive,
        exactly_one=exactly_one,
        together=together,
        needs=needs,
        products=products,
    )


_NEWEST = (
    row(
        "ideogram-4-5",
        *_BASE,
        common.choice("quality", ("very_low", "low", "medium", "high")),
        replace(
            common.choice("size", ("auto", "source", *enums.SIZES_45), pattern=common.SIZE_PATTERN),
            geometry=_SIZE_WITH_SOURCES,
        ),
        common.files("images", 5),
        common.identifiers("image_asset_identifiers", 5),
        Field(name="mask", kind=Kind.FILE, limit_bytes=25 * MIB),
        body=Body.EITHER,
        exclusive=(group("mask", "size"),),
        needs=(
            Needs("quality", _SOURCES, values=frozenset({"very_low"})),
            Needs("size", _SOURCES, values=frozenset({"source"})),
            Needs("size", _SOURCES, unlisted=True),
            Needs("mask", group("images")),
        ),
    ),
    row("ideogram-4", *_BASE, _SPEED, _SIZE_4),
    row(
        "ideogram-4-custom-model",
        *_BASE,
        _SPEED,
        _SIZE_4,
        common.REQUIRED_CUSTOM_MODEL,
        Field(name="stacked_custom_models", kind=Kind.OBJECTS, minimum=1, maximum=4),
    ),
    row(
        "ideogram-4-transparent",
        *_BASE,
        _SPEED,
        common.choice("aspect_ratio", lower(enums.RATIOS_V4)),
        common.choice("output_resolution", lower(enums.OUTPUT_RESOLUTIONS)),
    ),
)

_THIRD = (
    row(
        "ideogram-3",
        *_BASE,
        _SPEED,
        _RATIO_3,
        _SIZE_3,
        common.NEGATIVE_PROMPT,
        _STYLE_3,
        _PRESET,
        common.STYLE_CODES,
        _PALETTE,
        *_REFERENCES,
        *_REFERENCE_COLLECTION,
        body=Body.EITHER,
        exclusive=(_RATIO_OR_SIZE, *_STYLE_RULES),
    ),
    row(
        "ideogram-3-character",
        *_BASE,
        _SPEED,
        _RATIO_3,
        _SIZE_3,
        common.NEGATIVE_PROMPT,
        common.choice("style_type", lower(enums.STYLES_CHARACTER)),
        *_REFERENCES,
        *_REFERENCE_COLLECTION,
        common.files("character_reference_images", 1),
        common.identifiers("character_reference_asset_identifiers", 1),
        common.plain("character_reference_collection_id", common.ASSET_ID_PATTERN),
        common.plain("character_reference_collection_version_id"),
        Field(name="character_reference_mask", kind=Kind.FILE, limit_bytes=25 * MIB),
        body=Body.EITHER,
        exclusive=(_RATIO_OR_SIZE, group(*_REFERENCE_NAMES)),
        exactly_one=(
            group(
                "character_reference_images",
                "character_reference_asset_identifiers",
                "character_reference_collection_id",
            ),
        ),
        needs=(Needs("character_reference_mask", group("character_reference_images")),),
    ),
    row(
        "ideogram-3-custom-model",
        *_BASE,
        _SPEED,
        _RATIO_3,
        _SIZE_3,
        common.NEGATIVE_PROMPT,
        _PRESET,
        common.STYLE_CODES,
        _PALETTE,
        *_REFERENCES,
        common.REQUIRED_CUSTOM_MODEL,
        body=Body.EITHER,
        exclusive=(_RATIO_OR_SIZE, *_STYLE_RULES),
    ),
    row(
        "ideogram-3-transparent",
        *_BASE,
        _SPEED,
        _RATIO_3,
        common.NEGATIVE_PROMPT,
        common.choice("upscale_factor", lower(enums.UPSCALE_FACTORS)),
    ),
)

_SECOND = (
    row("ideogram-2", *_BASE, _SPEED, _RATIO_3, common.NEGATIVE_PROMPT, _STYLE_2),
    row("ideogram-2a", *_BASE, _SPEED, _RATIO_3, _STYLE_2),
)

ROWS = (*_NEWEST, *_THIRD, *_SECOND)
