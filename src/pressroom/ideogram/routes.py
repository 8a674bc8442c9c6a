"""From the canonical request to one call on one wire, without loss or with an error that names the field."""

from __future__ import annotations

from typing import Final

from pressroom.errors import InvalidRequest
from pressroom.ideogram.call import Call
from pressroom.ideogram.models import MODELS, Model, find_model
from pressroom.ideogram.operations import JSON, Field, Kind, Mode, Operation
from pressroom.ideogram.request import (
    DEFAULT_MODEL_OF_WIRE,
    SPEED_OF_QUALITY,
    ImageRequest,
    Wire,
    structured_prompt,
)
from pressroom.ideogram.spelling import spell
from pressroom.ideogram.tables import OPERATIONS
from pressroom.ideogram.tables.enums import SIZE_OF_RATIO
from pressroom.ideogram.validation import validate

DEFAULT_QUALITY: Final = "medium"
_AUTO_ORDER: Final = (Wire.V2, Wire.V4, Wire.V3, Wire.LEGACY)

CARRIERS: Final[dict[str, tuple[str, ...]]] = {
    "negative_prompt": ("negative_prompt",),
    "style": ("style_type",),
    "style_preset": ("style_preset",),
    "style_codes": ("style_codes",),
    "seed": ("seed",),
    "magic_prompt": ("magic_prompt", "magic_prompt_option"),
    "magic_prompt_version": ("magic_prompt_version",),
    "color_palette": ("color_palette",),
    "custom_model_uri": ("custom_model_uri",),
    "upscale_factor": ("upscale_factor",),
    "copyright_detection": ("enable_copyright_detection",),
    "private": ("private",),
}
"""Canonical field to the vendor's field that carries it; the first one that the operation has (reference 13)."""

_MANAGED: Final = {
    "prompt": "prompt",
    "text_prompt": "prompt",
    "json_prompt": "prompt",
    "model": "model",
    "num_images": "num_images",
    "rendering_speed": "quality",
    "quality": "quality",
    "aspect_ratio": "aspect_ratio",
    "size": "size",
    "resolution": "size",
    "resolution_tier": "output_resolution",
    "output_resolution": "output_resolution",
    "custom_width": "size",
    "custom_height": "size",
} | {vendor: canonical for canonical, vendors in CARRIERS.items() for vendor in vendors}
"""The vendor's fields that the canonical request already has a word for."""


def route(request: ImageRequest, wire: Wire = Wire.AUTO) -> Call:
    """
    Express a request as one call of the vendor's API.

    `auto` takes v2, asynchronously, wherever the request can be said there; else the first of v4, v3 and legacy that
    has the model and says all of it.

    Raises:
        InvalidRequest: Naming the field that the model or the wire cannot take, and what would be taken.
    """
    model, fixed = find_model(request.model or DEFAULT_MODEL_OF_WIRE[wire])
    if fixed is not None and request.quality not in {None, fixed}:
        raise InvalidRequest(
            "quality", request.quality, f"model {request.model} is of quality {fixed} already"
        )
    if wire is not Wire.AUTO:
        return _Draft(request, model, wire, fixed).finish()
    first: InvalidRequest | None = None
    for candidate in (wire for wire in _AUTO_ORDER if wire in model.operations):
        try:
            return _Draft(request, model, candidate, fixed).finish()
        except InvalidRequest as error:
            first = first or error
    assert first is not None, f"model {model.name} has no operation"
    raise first


class _Draft:
    """One request on its way to one operation: each canonical field is carried over or refused."""

    def __init__(self, request: ImageRequest, model: Model, wire: Wire, fixed: str | None) -> None:
        self.request, self.model, self.wire = request, _custom(request, model, wire), wire
        self.operation = _operation(self.model, wire)
        self.quality = request.quality or fixed
        self.fields: dict[str, JSON] = {}
        self.names: dict[str, str] = {}
        self.said: set[str] = set()

    def finish(self) -> Call:
        self._prompt()
        self._count()
        self._quality()
        self._shape()
        for canonical, vendors in CARRIERS.items():
            value = getattr(self.request, canonical)
            if value is not None and canonical not in self.said:
                self._carry(canonical, value, vendors)
        if self.request.private is None and "private" in self.operation.fields:
            self._put("private", "private", value=True)
        self._options()
        validate(self.operation, self.fields, names=self.names)
        return Call(self.operation.name, self.fields, self.operation.mode is not Mode.SYNC)

    def _put(self, canonical: str, vendor: str, value: JSON) -> None:
        self.fields[vendor] = value
        self.names[vendor] = canonical
        self.said.add(canonical)

    def _field(self, vendors: tuple[str, ...]) -> Field | None:
        return next((self.operation.fields[name] for name in vendors if name in self.operation.fields), None)

    def _carry(self, canonical: str, value: JSON, vendors: tuple[str, ...]) -> None:
        field = self._field(vendors)
        if field is None:
            shown = "(given)" if isinstance(value, dict) or canonical == "negative_prompt" else value
            raise InvalidRequest(canonical, shown, self._without(vendors))
        self._put(canonical, field.name, spell(field, value, canonical))

    def _without(self, vendors: tuple[str, ...]) -> str:
        having = [
            name
            for name, model in MODELS.items()
            if any(v in OPERATIONS[model.operations[w]].fields for w in model.operations for v in vendors)
        ]
        return (
            f"{self.operation.name} has no such field; models that have it are {', '.join(having) or 'none'}"
        )

    def _prompt(self) -> None:
        structured = structured_prompt(self.request.prompt)
        if "text_prompt" not in self.operation.fields:
            self._put("prompt", "prompt", self.request.prompt)
            return
        # V4's own wire has no magic prompt field: text is always rewritten there, a structured prompt never
        impossible = {"off"} if structured is None else {"on"}
        if self.request.magic_prompt in impossible:
            allowed = "the v4 wire always rewrites text and never a structured prompt; wire v2 has the switch"
            raise InvalidRequest("magic_prompt", self.request.magic_prompt, allowed)
        self.said.add("magic_prompt")
        if structured is None:
            self._put("prompt", "text_prompt", self.request.prompt)
        else:
            self._put("prompt", "json_prompt", structured)

    def _count(self) -> None:
        if "num_images" in self.operation.fields:
            self._put("num_images", "num_images", self.request.num_images)
        elif self.request.num_images > 1:
            allowed = f"the {self.wire} wire makes one picture per request; wire v2 takes up to 8"
            raise InvalidRequest("num_images", self.request.num_images, allowed)

    def _quality(self) -> None:
        field = self._field(("quality", "rendering_speed"))
        quality = self.quality or DEFAULT_QUALITY
        if self.wire is Wire.LEGACY:
            if quality not in self.model.legacy:
                allowed = f"{self.model.name} on the legacy wire has {', '.join(self.model.legacy)}"
                raise InvalidRequest("quality", quality, allowed)
            self._put("model", "model", self.model.legacy[quality])
        elif field is not None and field.name == "rendering_speed":
            self._speed(field, quality)
        elif field is not None:
            self._put("quality", field.name, spell(field, quality, "quality"))
        elif self.quality is not None:
            raise InvalidRequest("quality", self.quality, self._without(("quality", "rendering_speed")))

    def _speed(self, field: Field, quality: str) -> None:
        possible = [
            word for word, speed in SPEED_OF_QUALITY.items() if speed in {c.lower() for c in field.choices}
        ]
        if quality not in possible:
            raise InvalidRequest("quality", quality, f"{self.operation.name} has {', '.join(possible)}")
        self._put("quality", field.name, spell(field, SPEED_OF_QUALITY[quality], "quality"))

    def _shape(self) -> None:
        tier = self._field(("output_resolution", "resolution_tier"))
        if tier is None and self._is_tier("resolution"):
            tier = self.operation.fields["resolution"]
        if tier is not None and self.request.output_resolution is not None:
            self._put(
                "output_resolution",
                tier.name,
                spell(tier, self.request.output_resolution, "output_resolution"),
            )
        if self.request.size is not None:
            self._size(self.request.size)
        elif self.request.aspect_ratio is not None:
            self._ratio(self.request.aspect_ratio, tier)
        elif tier is None and self.request.output_resolution is not None:
            allowed = f"{self.operation.name} takes it together with an aspect ratio only, or not at all"
            raise InvalidRequest("output_resolution", self.request.output_resolution, allowed)

    def _is_tier(self, name: str) -> bool:
        field = self.operation.fields.get(name)
        return field is not None and "1k" in field.choices

    def _size(self, size: str) -> None:
        if "custom_width" in self.operation.fields and "x" in size:
            width, height = (int(side) for side in size.split("x"))
            self._put("size", "custom_width", width)
            self._put("size", "custom_height", height)
        elif self._is_tier("resolution"):
            raise InvalidRequest("size", size, f"{self.operation.name} takes a size as WIDTHxHEIGHT only")
        else:
            self._carry("size", size, ("size", "resolution"))
        if self.request.output_resolution is not None and "output_resolution" not in self.said:
            raise InvalidRequest(
                "output_resolution", self.request.output_resolution, "a size says it already"
            )

    def _ratio(self, ratio: str, tier: Field | None) -> None:
        if "aspect_ratio" in self.operation.fields:
            self._carry("aspect_ratio", ratio, ("aspect_ratio",))
            if tier is None and self.request.output_resolution is not None:
                allowed = self._without(("output_resolution", "resolution_tier"))
                raise InvalidRequest("output_resolution", self.request.output_resolution, allowed)
            return
        field = self._field(("size", "resolution"))
        if field is None or field.kind is not Kind.CHOICE:
            raise InvalidRequest("aspect_ratio", ratio, self._without(("aspect_ratio",)))
        if ratio == "auto":
            return
        sizes = SIZE_OF_RATIO.get(self.request.output_resolution or "2k", {})
        fitting = {r: s for r, s in sizes.items() if s in field.choices}
        if not sizes:
            raise InvalidRequest(
                "output_resolution", self.request.output_resolution, "1k and 2k are allowed here"
            )
        if ratio not in fitting:
            allowed = f"{self.operation.name} has {', '.join(fitting)}; or give a size"
            raise InvalidRequest("aspect_ratio", ratio, allowed)
        self._put("aspect_ratio", field.name, fitting[ratio])

    def _options(self) -> None:
        for name, value in self.request.options.items():
            if name in _MANAGED:
                raise InvalidRequest(f"options.{name}", "(given)", f"use {_MANAGED[name]} for it")
            self._put(f"options.{name}", name, value)


def _custom(request: ImageRequest, model: Model, wire: Wire) -> Model:
    """The model's custom form where v2 keeps it apart; a custom form without its address is refused."""
    if model.name.endswith("-custom-model") and request.custom_model_uri is None:
        raise InvalidRequest("custom_model_uri", "(absent)", f"{model.name} needs it")
    if wire is Wire.V2 and request.custom_model_uri is not None and model.custom is not None:
        return MODELS[model.custom]
    return model


def _operation(model: Model, wire: Wire) -> Operation:
    if wire not in model.operations:
        on_wire = [name for name, other in MODELS.items() if wire in other.operations]
        allowed = f"models on the {wire} wire are {', '.join(on_wire)}"
        raise InvalidRequest("model", model.name, allowed)
    return OPERATIONS[model.operations[wire]]
