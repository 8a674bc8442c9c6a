"""Enumerations of the vendor, as of 2026-10 (`docs/client.md` says which published sources they come from)."""

from __future__ import annotations

from typing import Final


def _sizes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LEGACY_MODELS: Final = ("V_1", "V_1_TURBO", "V_2", "V_2_TURBO", "V_2A", "V_2A_TURBO", "V_3", "AUTO")
LEGACY_STYLES: Final = (
    "AUTO",
    "GENERAL",
    "FICTION",
    "REALISTIC",
    "DESIGN",
    "RENDER_3D",
    "ANIME",
    "CUSTOM",
    "STYLIZED",
)
MAGIC_PROMPT_VERSIONS: Final = ("V_0", *(f"V_0_{n}" for n in range(1, 9)))
MAGIC_PROMPTS: Final = ("AUTO", "ON", "OFF")
PALETTE_NAMES: Final = ("EMBER", "FRESH", "JUNGLE", "MAGIC", "MELON", "MOSAIC", "PASTEL", "ULTRAMARINE")
SPEEDS_V3: Final = ("FLASH", "TURBO", "BALANCED", "DEFAULT", "QUALITY")
SPEEDS_V4: Final = ("TURBO", "DEFAULT", "QUALITY")
"""FLASH answers 400 there; what BALANCED does is unknown."""
STYLES_V3: Final = ("AUTO", "GENERAL", "REALISTIC", "DESIGN", "CUSTOM", "FICTION", "STYLIZED")
STYLES_CHARACTER: Final = ("AUTO", "REALISTIC", "FICTION")
STYLES_V2: Final = ("AUTO", "GENERAL", "REALISTIC", "DESIGN", "RENDER_3D", "ANIME")
UPSCALE_FACTORS: Final = ("X1", "X2", "X4")
OUTPUT_RESOLUTIONS: Final = ("1K", "2K", "4K", "8K")

RATIOS_V3: Final = _sizes("1x3 3x1 1x2 2x1 9x16 16x9 10x16 16x10 2x3 3x2 3x4 4x3 4x5 5x4 1x1")
RATIOS_LEGACY: Final = _sizes("10x16 16x10 9x16 16x9 3x2 2x3 4x3 3x4 1x1 1x3 3x1")
RATIOS_V4: Final = ("AUTO", "1x4", *RATIOS_V3, "4x1")
RATIOS_NANO_PRO: Final = ("auto", "1:1", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "16:9", "9:16", "21:9")
RATIOS_NANO: Final = (*RATIOS_NANO_PRO, "4:1", "1:4", "8:1", "1:8")

SIZES_V3: Final = _sizes(
    """512x1536 576x1408 576x1472 576x1536 640x1344 640x1408 640x1472 640x1536 704x1152 704x1216 704x1280 704x1344
    704x1408 704x1472 736x1312 768x1088 768x1216 768x1280 768x1344 800x1280 832x960 832x1024 832x1088 832x1152
    832x1216 832x1248 864x1152 896x960 896x1024 896x1088 896x1120 896x1152 960x832 960x896 960x1024 960x1088
    1024x832 1024x896 1024x960 1024x1024 1088x768 1088x832 1088x896 1088x960 1120x896 1152x704 1152x832 1152x864
    1152x896 1216x704 1216x768 1216x832 1248x832 1280x704 1280x768 1280x800 1312x736 1344x640 1344x704 1344x768
    1408x576 1408x640 1408x704 1472x576 1472x640 1472x704 1536x512 1536x576 1536x640"""
)
_LEGACY_ONLY = _sizes(
    "640x1024 720x1280 768x1024 768x1152 768x1232 1024x640 1024x768 1152x768 1232x768 1280x720"
)
SIZES_LEGACY: Final = tuple(
    sorted(
        {*SIZES_V3, *_LEGACY_ONLY} - {"800x1280"},
        key=lambda size: tuple(int(side) for side in size.split("x")),
    )
)
SIZES_V4_2K: Final = _sizes(
    """2048x2048 1440x2880 2880x1440 1664x2496 2496x1664 1792x2240 2240x1792 1440x2560 2560x1440 1600x2560 2560x1600
    1728x2304 2304x1728 1296x3168 3168x1296 1152x2944 2944x1152 1248x3328 3328x1248 1280x3072 3072x1280 1024x3072
    3072x1024"""
)
SIZES_V4_1K: Final = _sizes(
    """1024x1024 896x1120 1120x896 864x1152 1152x864 832x1248 1248x832 800x1280 1280x800 720x1280 1280x720 720x1440
    1440x720 512x1536 1536x512"""
)
SIZES_V4: Final = SIZES_V4_2K + SIZES_V4_1K
SIZES_45: Final = tuple(size for size in SIZES_V4 if size not in {"512x1536", "1536x512"})

_PORTRAIT_2K = {
    "1x1": "2048x2048",
    "4x5": "1792x2240",
    "3x4": "1728x2304",
    "2x3": "1664x2496",
    "10x16": "1600x2560",
    "9x16": "1440x2560",
    "1x2": "1440x2880",
    "1x3": "1024x3072",
}
_PORTRAIT_1K = {
    "1x1": "1024x1024",
    "4x5": "896x1120",
    "3x4": "864x1152",
    "2x3": "832x1248",
    "10x16": "800x1280",
    "9x16": "720x1280",
    "1x2": "720x1440",
    "1x3": "512x1536",
}


def _mirrored(portrait: dict[str, str]) -> dict[str, str]:
    return portrait | {_swap(ratio): _swap(size) for ratio, size in portrait.items()}


def _swap(pair: str) -> str:
    first, second = pair.split("x")
    return f"{second}x{first}"


SIZE_OF_RATIO: Final = {"2k": _mirrored(_PORTRAIT_2K), "1k": _mirrored(_PORTRAIT_1K)}
"""Ratio to V4 and 4.5 size, per tier: arithmetic on the two size lists, the vendor publishes no table."""

STYLE_PRESETS: Final = (
    "80S_ILLUSTRATION",
    "90S_NOSTALGIA",
    "ABSTRACT_ORGANIC",
    "ANALOG_NOSTALGIA",
    "ART_BRUT",
    "ART_DECO",
    "ART_POSTER",
    "AURA",
    "AVANT_GARDE",
    "BAUHAUS",
    "BLUEPRINT",
    "BLURRY_MOTION",
    "BRIGHT_ART",
    "C4D_CARTOON",
    "CHILDRENS_BOOK",
    "COLLAGE",
    "COLORING_BOOK_I",
    "COLORING_BOOK_II",
    "CUBISM",
    "DARK_AURA",
    "DOODLE",
    "DOUBLE_EXPOSURE",
    "DRAMATIC_CINEMA",
    "EDITORIAL",
    "EMOTIONAL_MINIMAL",
    "ETHEREAL_PARTY",
    "EXPIRED_FILM",
    "FLAT_ART",
    "FLAT_VECTOR",
    "FOREST_REVERIE",
    "GEO_MINIMALIST",
    "GLASS_PRISM",
    "GOLDEN_HOUR",
    "GRAFFITI_I",
    "GRAFFITI_II",
    "HALFTONE_PRINT",
    "HIGH_CONTRAST",
    "HIPPIE_ERA",
    "ICONIC",
    "JAPANDI_FUSION",
    "JAZZY",
    "LONG_EXPOSURE",
    "MAGAZINE_EDITORIAL",
    "MINIMAL_ILLUSTRATION",
    "MIXED_MEDIA",
    "MONOCHROME",
    "NIGHTLIFE",
    "OIL_PAINTING",
    "OLD_CARTOONS",
    "PAINT_GESTURE",
    "POP_ART",
    "RETRO_ETCHING",
    "RIVIERA_POP",
    "SPOTLIGHT_80S",
    "STYLIZED_RED",
    "SURREAL_COLLAGE",
    "TRAVEL_POSTER",
    "VINTAGE_GEO",
    "VINTAGE_POSTER",
    "WATERCOLOR",
    "WEIRD",
    "WOODBLOCK_PRINT",
)


def lower(values: tuple[str, ...]) -> tuple[str, ...]:
    """The same values as the v2 API spells them."""
    return tuple(value.lower() for value in values)
