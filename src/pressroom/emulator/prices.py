"""
Prices per image in micro-dollars, and the identifiers of price quotes.

Source: reference section 18 (official prices of November 2026, else a third party's quotes of October 2026). Invented
here, because no source says: legacy AUTO at the price of 3.0, generate/auto above the 1K tier, the identifiers of
quotes that the vendor's file does not name, one credit milli per 1000 micro-dollars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_TIER: Final[dict[str, tuple[int, int, int]]] = {
    # price family: turbo or low, default or medium, quality or high
    "ideogram-4-5": (30_000, 60_000, 100_000),
    "ideogram-4": (30_000, 60_000, 100_000),
    "ideogram-4-transparent": (30_000, 60_000, 100_000),
    "ideogram-4-custom-model": (60_000, 120_000, 200_000),
    "ideogram-3": (30_000, 60_000, 90_000),
    "ideogram-3-character": (100_000, 150_000, 200_000),
    "ideogram-3-custom-model": (60_000, 120_000, 180_000),
    "ideogram-3-transparent": (40_000, 70_000, 100_000),
    "ideogram-3-transparent-x2": (160_000, 190_000, 220_000),
    "ideogram-3-transparent-x4": (200_000, 230_000, 260_000),
    "ideogram-2": (50_000, 80_000, 80_000),
    "ideogram-2a": (25_000, 40_000, 40_000),
}

_LEGACY: Final[dict[str, int]] = {
    "V_1": 60_000,
    "V_1_TURBO": 20_000,
    "V_2": 80_000,
    "V_2_TURBO": 50_000,
    "V_2A": 40_000,
    "V_2A_TURBO": 25_000,
    "V_3": 60_000,
    "AUTO": 60_000,
}

_FLAT: Final[dict[str, int]] = {
    "gpt-image-2": 211_000,
    "gpt-image-2-5-flare": 52_900,
    "gpt-image-2-5-sunburst": 52_900,
    "nano-banana-2": 67_200,
    "nano-banana-pro": 134_400,
    "p-image-ideogram": 10_000,
    "z-image": 5_000,
}

_AUTO_BY_TIER: Final[dict[str, int]] = {"1k": 30_000, "2k": 60_000, "4k": 120_000}

AUTO_QUOTE: Final = 30_000
"""Micro-dollars that a quote for generate/auto estimates. Source: reference section 18.3."""

AUTO_UPPER_BOUND: Final = max(_AUTO_BY_TIER.values())

VARIABLE: Final = frozenset({"auto"})
"""Models whose quote is an estimate, so that the bill is known only afterwards."""

_TIER_INDEX: Final[dict[str, int]] = {
    "flash": 0,
    "turbo": 0,
    "low": 0,
    "default": 1,
    "balanced": 1,
    "medium": 1,
    "quality": 2,
    "high": 2,
}

_VERY_LOW: Final = 8_000
"""Micro-dollars of 4.5 `very_low`; listed for precise edit, which a generation with source images is."""

_BILLING_IDENTIFIERS: Final[dict[str, str]] = {
    "ideogram-4-5": "ideogram_4_5_generate",
    "ideogram-4": "ideogram_v4_generation",
    "ideogram-3": "ideogram_v3_generation",
}


def tier_of(model: str, values: Mapping[str, object]) -> str:
    """
    The tier that a request asks for, or its model's default, in lower case.

    4.5 without a quality is high, with source images medium (reference section 10.1).
    """
    asked = values.get("quality") or values.get("rendering_speed")
    if asked:
        return str(asked).lower()
    if model == "ideogram-4-5":
        return "medium" if has_sources(values) else "high"
    return "default"


def has_sources(values: Mapping[str, object]) -> bool:
    """Whether a request brings source images, as files or by identifier."""
    return bool(values.get("images") or values.get("image_asset_identifiers"))


def unit_price_micros(model: str, values: Mapping[str, object]) -> int:
    """
    Micro-dollars for one image of a request to one model.

    Args:
        model: Name of the model in a v2 path, or a legacy model.
        values: The checked fields of the request.
    """
    if model in _LEGACY:
        return _LEGACY[model]
    if model in _FLAT:
        return _FLAT[model]
    if model == "auto":
        return _AUTO_BY_TIER[str(values.get("resolution_tier") or "1k")]
    tier = tier_of(model, values)
    if tier == "very_low":
        return _VERY_LOW
    family = model
    if model == "ideogram-3-transparent" and str(values.get("upscale_factor", "x1")).lower() != "x1":
        family = f"{model}-{str(values['upscale_factor']).lower()}"
    if model == "ideogram-3" and values.get("character_reference_images"):
        family = "ideogram-3-character"
    if model in {"ideogram-3", "ideogram-4"} and values.get("custom_model_uri"):
        family = f"{model}-custom-model"
    return _BY_TIER[family][_TIER_INDEX[tier]]


def quote(model: str, values: Mapping[str, object], quantity: int) -> dict[str, object]:
    """The body of a price quote for a whole request (reference section 17.1)."""
    variable = model in VARIABLE
    micros = quantity * (AUTO_QUOTE if variable else unit_price_micros(model, values))
    body: dict[str, object] = {
        "object": "price_quote",
        "billing_identifier": _BILLING_IDENTIFIERS.get(model, f"{model.replace('-', '_')}_generation"),
        "quantity": quantity,
        "usd_micros": micros,
        "credit_millis": micros // 1000,
        "qualifier": "estimate" if variable else "exact",
    }
    if variable:
        body["upper_bound_usd_micros"] = quantity * AUTO_UPPER_BOUND
    return body
