"""Fields that several operations share, so that each limit stands in one place."""

from __future__ import annotations

from dataclasses import replace

from pressroom.ideogram.operations import MIB, Field, Kind
from pressroom.ideogram.tables import enums

SEED_MAX = 2_147_483_647
"""Largest seed, on every operation (reference 11)."""
PROMPT_MAX = 10_000
"""Characters. Published for v2 (reference 9); applied to the older APIs too, which publish none."""
NUM_IMAGES_MAX = 8
CUSTOM_MODEL_PATTERN = r"model/[^/]+/version/[^/]+"
ASSET_ID_PATTERN = r"[A-Za-z0-9_-]{22}"
SIZE_PATTERN = r"\d{2,5}x\d{2,5}"


def text(name: str, *, required: bool = False, minimum: int | None = None) -> Field:
    """A text field that is prompt material: never shown."""
    return Field(
        name=name, kind=Kind.TEXT, required=required, minimum=minimum, maximum=PROMPT_MAX, secret=True
    )


def choice(
    name: str, values: tuple[str, ...], *, required: bool = False, pattern: str | None = None
) -> Field:
    """A field with listed values; `pattern` admits further ones."""
    return Field(name=name, kind=Kind.CHOICE, choices=values, required=required, pattern=pattern)


def flag(name: str) -> Field:
    """A boolean field."""
    return Field(name=name, kind=Kind.BOOLEAN)


def files(name: str, most: int, limit_bytes: int = 25 * MIB) -> Field:
    """Several files under one name."""
    return Field(name=name, kind=Kind.FILES, minimum=1, maximum=most, limit_bytes=limit_bytes)


def identifiers(name: str, most: int) -> Field:
    """Assets that the vendor already has."""
    return Field(name=name, kind=Kind.OBJECTS, minimum=1, maximum=most)


def plain(name: str, pattern: str | None = None, maximum: int | None = None) -> Field:
    """A text field that holds no prompt."""
    return Field(name=name, kind=Kind.TEXT, pattern=pattern, minimum=1, maximum=maximum)


PROMPT = text("prompt", required=True, minimum=1)
NEGATIVE_PROMPT = text("negative_prompt")
SEED = Field(name="seed", kind=Kind.INTEGER, minimum=0, maximum=SEED_MAX)
NUM_IMAGES = Field(name="num_images", kind=Kind.INTEGER, minimum=1, maximum=NUM_IMAGES_MAX)
PALETTE = Field(name="color_palette", kind=Kind.PALETTE, choices=enums.PALETTE_NAMES)
STYLE_CODES = Field(name="style_codes", kind=Kind.TEXTS, minimum=1, pattern=r"[0-9a-fA-F]{8}")
CUSTOM_MODEL = Field(
    name="custom_model_uri", kind=Kind.TEXT, minimum=1, maximum=512, pattern=CUSTOM_MODEL_PATTERN
)
REQUIRED_CUSTOM_MODEL = replace(CUSTOM_MODEL, required=True)
COPYRIGHT_DETECTION = flag("enable_copyright_detection")
STRUCTURED_PROMPT = Field(name="json_prompt", kind=Kind.STRUCTURED_PROMPT, secret=True)
