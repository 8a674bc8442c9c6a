"""What a call costs by the published price list, for a reservation where no quote exists."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from pressroom.ideogram.tables import operation_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pressroom.ideogram.call import Call

MICROS_PER_DOLLAR: Final = 1_000_000
UPPER_BOUND_MICROS: Final = 500_000
"""Micro-dollars per picture, taken where the list has no price for a model, a tier or a size. It lies above every price
of one picture that is known (reference 18: 0.48 dollars for the largest upscale)."""


class Qualifier(StrEnum):
    """Whether a price is what will be billed (`exact`) or a guess at it (`estimate`)."""

    EXACT = "exact"
    ESTIMATE = "estimate"


@dataclass(frozen=True)
class Price:
    """
    Price of one call, all its pictures together.

    Attributes:
        micros: Micro-dollars, 1,000,000 = 1 dollar. Never zero.
        qualifier: `exact` for prices on the vendor's own list, `estimate` for those read by others and for bounds.
    """

    micros: int
    qualifier: Qualifier

    @property
    def exact(self) -> bool:
        """Whether the vendor's own list states it."""
        return self.qualifier is Qualifier.EXACT


_SPEEDS = ("turbo", "default", "quality")


def _tiers(*micros: int) -> dict[str, int]:
    return dict(zip(_SPEEDS, micros, strict=True))


OFFICIAL: Final[Mapping[str, Mapping[str, int]]] = {
    "ideogram-4": _tiers(30_000, 60_000, 100_000),
    "ideogram-4-transparent": _tiers(30_000, 60_000, 100_000),
    "ideogram-3": _tiers(30_000, 60_000, 90_000) | {"flash": 30_000},
    "ideogram-3-character": _tiers(100_000, 150_000, 200_000),
    "ideogram-3-transparent": _tiers(40_000, 70_000, 100_000),
    "ideogram-2": {"turbo": 50_000, "default": 80_000},
    "ideogram-2a": {"turbo": 25_000, "default": 40_000},
    "ideogram-1": {"turbo": 20_000, "default": 60_000},
}
"""Micro-dollars per picture by rendering speed; the vendor's price pages, read 2026-11-16 (reference 18.1)."""

ESTIMATED: Final[Mapping[str, Mapping[str, int]]] = {
    # one price per quality on the list, two size tiers in the schema: which holds is unknown (reference 18.3)
    "ideogram-4-5": {"very_low": 8_000, "low": 30_000, "medium": 60_000, "high": 100_000},
    "ideogram-4-custom-model": _tiers(60_000, 120_000, 200_000),
    "ideogram-3-custom-model": _tiers(60_000, 120_000, 180_000),
    "gpt-image-2": {"": 211_000},
    # one quote, for the default quality, which means high; the lower ones cost no more
    "gpt-image-2-5-flare": {"": 52_900},
    "gpt-image-2-5-sunburst": {"": 52_900},
    "p-image-ideogram": {"medium": 10_000},
    "nano-banana-2": {"": 67_200},
    "nano-banana-pro": {"": 134_400},
    "z-image": {"": 5_000},
}
"""Micro-dollars per picture by speed or quality, as third parties read them (reference 18.2 and 18.3), default options."""

_EDITED_45: Final = {"very_low": 8_000, "low": 30_000, "medium": 60_000, "high": 220_000}
"""4.5 with source images: the dearer of the generate and the precise-edit price, since which one applies is unknown."""

_TRANSPARENT_UPSCALED: Final[Mapping[str, Mapping[str, int]]] = {
    "x2": _tiers(160_000, 190_000, 220_000),
    "x4": _tiers(200_000, 230_000, 260_000),
}
_LEGACY_TIERS: Final = {
    "V_1": ("ideogram-1", "default"),
    "V_1_TURBO": ("ideogram-1", "turbo"),
    "V_2": ("ideogram-2", "default"),
    "V_2_TURBO": ("ideogram-2", "turbo"),
    "V_2A": ("ideogram-2a", "default"),
    "V_2A_TURBO": ("ideogram-2a", "turbo"),
    "V_3": ("ideogram-3", "default"),
}
_FREE_OPTIONS: Final = frozenset(
    {"num_images", "operation", "model", "rendering_speed", "quality", "aspect_ratio", "custom"}
)
"""Fields that an estimate for default options covers."""
_PRICED_AT_ANY_SIZE: Final = frozenset({"ideogram-4-5", "ideogram-4-custom-model", "ideogram-3-custom-model"})


def table_price(call: Call) -> Price:
    """
    Price of a call by the list as of 2026-11.

    Unknown models, tiers and sizes cost `UPPER_BOUND_MICROS` per picture, as an estimate. A quote, where the operation
    declares one, is better: prices change.
    """
    model, tier = _model_and_tier(call)
    each, qualifier = _per_picture(call, model, tier)
    return Price(each * call.num_images, qualifier)


def _model_and_tier(call: Call) -> tuple[str, str]:
    legacy = call.fields.get("model")
    if call.operation == "legacy/generate":
        return _LEGACY_TIERS.get(str(legacy or "V_2"), ("", ""))
    model = operation_named(call.operation).model
    if call.fields.get("custom_model_uri") is not None and not model.endswith("-custom-model"):
        model = f"{model}-custom-model"
    takes_quality = "quality" in operation_named(call.operation).fields
    default = "high" if model == "ideogram-4-5" else "medium"
    tier = (
        call.fields.get("quality", default)
        if takes_quality
        else call.fields.get("rendering_speed", "default")
    )
    return model, str(tier).lower()


def _per_picture(call: Call, model: str, tier: str) -> tuple[int, Qualifier]:
    bound = UPPER_BOUND_MICROS, Qualifier.ESTIMATE
    factor = str(call.fields.get("upscale_factor", "x1")).lower()
    if factor != "x1":
        micros = (
            _TRANSPARENT_UPSCALED.get(factor, {}).get(tier) if model == "ideogram-3-transparent" else None
        )
        return bound if micros is None else (micros, Qualifier.ESTIMATE)
    if str(call.fields.get("output_resolution", "1k")).lower() != "1k":
        return bound
    if tier in OFFICIAL.get(model, {}):
        return OFFICIAL[model][tier], Qualifier.EXACT
    if "stacked_custom_models" in call.fields:
        return bound
    edits = model == "ideogram-4-5" and "sources" in call.price_fields
    estimates = _EDITED_45 if edits else ESTIMATED.get(model, {})
    if model not in _PRICED_AT_ANY_SIZE and call.price_fields.keys() - _FREE_OPTIONS:
        return bound
    micros = estimates.get(tier, estimates.get(""))
    return bound if micros is None else (micros, Qualifier.ESTIMATE)
