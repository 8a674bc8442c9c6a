"""Rules across fields, each a function from the fields to a sentence, or to None when they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pressroom.emulator.enums import V45_SIZES
from pressroom.emulator.prices import has_sources
from pressroom.emulator.sizes import MAX_SIDE, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Rule = Callable[[Mapping[str, object]], str | None]

_STYLE_REFERENCES: Final = (
    "style_reference_images",
    "style_reference_asset_identifiers",
    "style_reference_collection_id",
)
_CHARACTER_REFERENCES: Final = (
    "character_reference_images",
    "character_reference_asset_identifiers",
    "character_reference_collection_id",
)


def at_most_one(*names: str) -> Rule:
    """At most one of these fields."""

    def rule(values: Mapping[str, object]) -> str | None:
        given = [name for name in names if values.get(name) is not None]
        return f"{' and '.join(given)} cannot be used together" if len(given) > 1 else None

    return rule


def exactly_one(*names: str) -> Rule:
    """Exactly one of these fields."""

    def rule(values: Mapping[str, object]) -> str | None:
        given = [name for name in names if values.get(name) is not None]
        return None if len(given) == 1 else f"exactly one of {' and '.join(names)} is needed"

    return rule


def excludes(name: str, *others: str) -> Rule:
    """One field rules out each of the others."""

    def rule(values: Mapping[str, object]) -> str | None:
        if values.get(name) is None:
            return None
        clash = [other for other in others if values.get(other) is not None]
        return f"{name} cannot be used together with {', '.join(clash)}" if clash else None

    return rule


def not_with(name: str, other: str, banned: tuple[str, ...]) -> Rule:
    """A field that some values of another field rule out."""

    def rule(values: Mapping[str, object]) -> str | None:
        chosen = values.get(other)
        return (
            f"{name} is not supported with {other} {chosen}"
            if values.get(name) and chosen in banned
            else None
        )

    return rule


def flash_is_not_available(values: Mapping[str, object]) -> str | None:
    """`FLASH` stands in the enumeration and is refused (reference sections 5.3 and 7)."""
    flash = values.get("rendering_speed") == "FLASH"
    return "rendering_speed FLASH is not available for this operation yet" if flash else None


def sides_within_limit(values: Mapping[str, object]) -> str | None:
    """A free size is one that can be drawn."""
    size = parse_size(str(values.get("resolution") or ""))
    if size and not all(16 <= side <= MAX_SIDE for side in size):
        return f"each side of resolution must lie between 16 and {MAX_SIDE} pixels"
    ratio = parse_size(str(values.get("aspect_ratio") or ""))
    if ratio and (0 in ratio or max(ratio) > 8 * min(ratio)):
        return "aspect_ratio must lie between 1:8 and 8:1"
    return None


def gpt_size(values: Mapping[str, object]) -> str | None:
    """Sizes of GPT Image 2.5 (reference section 10.2)."""
    size = parse_size(str(values.get("resolution") or ""))
    if size is None:
        return None
    width, height = size
    fine = (
        width % 16 == height % 16 == 0
        and 0 < max(size) <= 3840
        and max(size) <= 3 * min(size)
        and 655_360 <= width * height <= 8_294_400
    )
    return (
        None
        if fine
        else "resolution needs sides in steps of 16, up to 3840, up to 3:1, 655360 to 8294400 pixels"
    )


def custom_size(values: Mapping[str, object]) -> str | None:
    """`custom_width` and `custom_height` of P-Image come together, in steps of 16 (reference section 8.3)."""
    width, height = values.get("custom_width"), values.get("custom_height")
    if width is None and height is None:
        return None
    if not isinstance(width, int) or not isinstance(height, int):
        return "custom_width and custom_height must be given together"
    if width % 16 or height % 16 or width * height > 4_194_304:
        return "custom_width and custom_height must be multiples of 16 with a product of at most 4194304"
    return None


def v45_size(values: Mapping[str, object]) -> str | None:
    """Sizes of 4.5, which are free with source images and listed without (reference section 10.1)."""
    size = values.get("size")
    sources = has_sources(values)
    if size is None or size == "auto" or (size == "source" and sources):
        return None
    if size == "source":
        return "size source needs source images"
    if not sources:
        return None if size in V45_SIZES else f"size must be auto or one of {', '.join(V45_SIZES)}"
    sides = parse_size(str(size)) or (0, 0)
    fine = all(side >= 256 and side % 32 == 0 for side in sides)
    fine = fine and sides[0] * sides[1] <= 2048 * 2048 and max(sides) <= 6 * min(sides)
    return None if fine else "size needs sides in steps of 32 from 256 on, up to 6:1, at most 4194304 pixels"


def v45_quality(values: Mapping[str, object]) -> str | None:
    """`very_low` is for edits (reference section 10.1)."""
    alone = values.get("quality") == "very_low" and not has_sources(values)
    return "quality very_low needs source images" if alone else None


def v45_mask(values: Mapping[str, object]) -> str | None:
    """A mask goes with image files and without a size (reference section 10.1)."""
    if not values.get("mask"):
        return None
    if not values.get("images"):
        return "mask needs images as files"
    return "size cannot be set together with mask" if values.get("size") else None


STYLE_RULES: Final[tuple[Rule, ...]] = (
    at_most_one(*_STYLE_REFERENCES),
    excludes("style_codes", *_STYLE_REFERENCES, "style_type"),
)
STYLE_PRESET_RULE: Final = excludes("style_preset", "style_codes", *_STYLE_REFERENCES)
CHARACTER_RULE: Final = exactly_one(*_CHARACTER_REFERENCES)
SIZE_OR_RATIO: Final = at_most_one("resolution", "aspect_ratio")
