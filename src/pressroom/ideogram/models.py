"""Models by name: which operation makes their pictures on which wire."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pressroom.errors import InvalidRequest
from pressroom.ideogram.request import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Model:
    """
    One model.

    Attributes:
        name: Canonical name, the v2 API's where it has one.
        operations: Operation that makes its pictures, by wire.
        legacy: The legacy API's name per quality, e.g. `V_2` at medium.
        custom: Model to use instead on v2 when a custom model is named.
    """

    name: str
    operations: Mapping[Wire, str]
    legacy: Mapping[str, str]
    custom: str | None = None


def _model(
    name: str, *, v4: str = "", v3: str = "", legacy: Mapping[str, str] | None = None, custom: str = ""
) -> Model:
    operations = {
        Wire.V2: f"v2/generate/{name}" if name != "ideogram-1" else "",
        Wire.V4: v4,
        Wire.V3: v3,
        Wire.LEGACY: "legacy/generate" if legacy else "",
    }
    known = {wire: operation for wire, operation in operations.items() if operation}
    return Model(name, MappingProxyType(known), MappingProxyType(dict(legacy or {})), custom or None)


_V4 = "v4/async/generate"
_V3 = "v3/generate"

MODELS: Final[Mapping[str, Model]] = MappingProxyType(
    {
        model.name: model
        for model in (
            _model("ideogram-4-5"),
            _model("ideogram-4", v4=_V4, custom="ideogram-4-custom-model"),
            _model("ideogram-4-custom-model", v4=_V4),
            _model("ideogram-4-transparent", v4="v4/async/generate-transparent"),
            _model("ideogram-3", v3=_V3, legacy={"medium": "V_3"}, custom="ideogram-3-custom-model"),
            _model("ideogram-3-character"),
            _model("ideogram-3-custom-model", v3=_V3),
            _model("ideogram-3-transparent", v3="v3/generate-transparent"),
            _model("ideogram-2", legacy={"medium": "V_2", "low": "V_2_TURBO"}),
            _model("ideogram-2a", legacy={"medium": "V_2A", "low": "V_2A_TURBO"}),
            _model("ideogram-1", legacy={"medium": "V_1", "low": "V_1_TURBO"}),
            _model("auto", legacy={"medium": "AUTO"}),
            _model("gpt-image-2"),
            _model("gpt-image-2-5-flare"),
            _model("gpt-image-2-5-sunburst"),
            _model("nano-banana-2"),
            _model("nano-banana-pro"),
            _model("p-image-ideogram"),
            _model("z-image"),
        )
    }
)
"""Models by canonical name (path map of reference 13)."""

_LEGACY_NAMES: Final = {
    legacy: (model.name, quality) for model in MODELS.values() for quality, legacy in model.legacy.items()
}


def find_model(name: str) -> tuple[Model, str | None]:
    """
    The model of that name, and the quality that a turbo name fixes (None: the name leaves it open).

    Raises:
        InvalidRequest: No model has that name.
    """
    canonical, quality = _LEGACY_NAMES.get(name.upper(), (name.lower(), None))
    if canonical not in MODELS:
        allowed = f"models are {', '.join(MODELS)}, and the legacy names {', '.join(_LEGACY_NAMES)}"
        raise InvalidRequest("model", name, allowed)
    return MODELS[canonical], quality if quality == "low" else None
