"""What a person asks for, in one vocabulary for every generation of the vendor's API."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from pressroom.errors import InvalidRequest
from pressroom.ideogram.tables.common import NUM_IMAGES_MAX, PROMPT_MAX, SEED_MAX
from pressroom.ideogram.validation import is_encodable

QUALITIES: Final = ("very_low", "low", "balanced", "medium", "high", "very_high", "auto")
"""The one quality scale. Rendering speeds line up with it by price (reference 13): see `SPEED_OF_QUALITY`."""

SPEED_OF_QUALITY: Final = {
    "very_low": "flash",
    "low": "turbo",
    "balanced": "balanced",
    "medium": "default",
    "high": "quality",
}
_QUALITY_OF_SPEED = {speed: quality for quality, speed in SPEED_OF_QUALITY.items()}
_SECRETS = {"prompt": PROMPT_MAX, "negative_prompt": PROMPT_MAX}


class Wire(StrEnum):
    """
    Which generation of the API a request takes.

    `auto` is v2 wherever the request can be said there without loss, else the oldest API that still says it.
    """

    AUTO = "auto"
    V2 = "v2"
    V4 = "v4"
    V3 = "v3"
    LEGACY = "legacy"


DEFAULT_MODEL: Final = "ideogram-4-5"
DEFAULT_MODEL_OF_WIRE: Final = {
    Wire.AUTO: DEFAULT_MODEL,
    Wire.V2: DEFAULT_MODEL,
    Wire.V4: "ideogram-4",
    Wire.V3: "ideogram-3",
    Wire.LEGACY: "V_2",
}


def _lowered(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _quality(value: object) -> object:
    lowered = _lowered(value)
    return _QUALITY_OF_SPEED.get(lowered, lowered) if isinstance(lowered, str) else lowered


def _pair(value: object) -> object:
    """`16:9`, `ASPECT_16_9`, `RESOLUTION_1024_1024` and `1024X1024` as the canonical `AxB`."""
    if not isinstance(value, str):
        return value
    lowered = value.strip().lower()
    match = re.fullmatch(r"(?:aspect_|resolution_)?(\d+)[:x_](\d+)", lowered)
    return f"{match[1]}x{match[2]}" if match else lowered


def _palette(value: object) -> object:
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return {**value, "name": value["name"].lower()}
    return value


Lowered = Annotated[str, BeforeValidator(_lowered)]


class ImageRequest(BaseModel):
    """
    One request for pictures, independent of wire and model.

    Building one raises `InvalidRequest` (never pydantic's own error), naming the field; what only a model or a wire
    forbids is found by `route()`. `model_dump(mode="json", exclude_none=True)` gives its portable form. `repr` and
    errors hold neither prompt.

    Attributes:
        prompt: 1 to 10,000 characters, not blank. On `ideogram-4` it may be V4's structured prompt as JSON text.
        model: Name of a model, ours (`ideogram-3`) or the legacy one (`V_2_TURBO`); None for the wire's default.
        negative_prompt: What to leave out, where the model takes it.
        style: Style type, lower case.
        style_preset: Name of a V3 preset, lower case.
        style_codes: Style codes of 8 hex digits.
        aspect_ratio: `16x9`; `16:9` and `ASPECT_16_9` are understood. Excludes `size`.
        size: `1024x1024`, pixels; or `auto`.
        seed: 0 to 2147483647; None lets the vendor choose.
        num_images: 1 to 8 pictures from one request.
        magic_prompt: `auto`, `on` or `off`; None leaves it to the vendor.
        magic_prompt_version: Only the legacy wire has it.
        quality: A word of `QUALITIES`, or a rendering speed (`flash`, `turbo`, `balanced`, `default`, `quality`).
            None is `medium`.
        color_palette: `{"name": …}` or `{"members": [{"color_hex": …, "color_weight": …}]}`.
        custom_model_uri: `model/<name>/version/<version>`.
        upscale_factor: `x1`, `x2` or `x4`, transparent V3 only.
        output_resolution: `1k`, `2k`, `4k` or `8k`, where the model has tiers.
        private: Whether the picture stays private; None sends true wherever the operation has the field.
        copyright_detection: Asks for the vendor's extra checks.
        options: Further fields of one model, by the vendor's names (`background`, `category_id`, …).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    prompt: str = Field(repr=False)
    model: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    negative_prompt: str | None = Field(default=None, repr=False)
    style: Lowered | None = None
    style_preset: Lowered | None = None
    style_codes: list[str] | None = None
    aspect_ratio: Annotated[str, BeforeValidator(_pair)] | None = None
    size: Annotated[str, BeforeValidator(_pair)] | None = None
    seed: Annotated[int, Field(ge=0, le=SEED_MAX)] | None = None
    num_images: Annotated[int, Field(ge=1, le=NUM_IMAGES_MAX)] = 1
    magic_prompt: Annotated[Literal["auto", "on", "off"], BeforeValidator(_lowered)] | None = None
    magic_prompt_version: str | None = None
    quality: (
        Annotated[
            Literal["very_low", "low", "balanced", "medium", "high", "very_high", "auto"],
            BeforeValidator(_quality),
        ]
        | None
    ) = None
    color_palette: Annotated[dict[str, JsonValue], BeforeValidator(_palette)] | None = None
    custom_model_uri: str | None = None
    upscale_factor: Annotated[Literal["x1", "x2", "x4"], BeforeValidator(_lowered)] | None = None
    output_resolution: Annotated[Literal["1k", "2k", "4k", "8k"], BeforeValidator(_lowered)] | None = None
    private: bool | None = None
    copyright_detection: bool | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict, repr=False)

    @model_validator(mode="wrap")
    @classmethod
    def _translated(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            built = handler(data)
        except ValidationError as error:
            raise _invalid(error) from None
        built._check_texts()  # noqa: SLF001 - its own class
        return built

    def _check_texts(self) -> None:
        for name, most in _SECRETS.items():
            text = getattr(self, name)
            if text is None:
                continue
            if not is_encodable(text):
                raise InvalidRequest(name, "(broken text)", "it holds half of a surrogate pair")
            if len(text) > most or (not text.strip() and name == "prompt"):
                shown = f"({len(text)} characters)" if text.strip() else "(blank)"
                raise InvalidRequest(name, shown, f"1 to {most} characters are needed, not all of them blank")
        if self.size is not None and self.aspect_ratio is not None:
            raise InvalidRequest(
                "size", self.size, f"size and aspect_ratio ({self.aspect_ratio}) exclude each other"
            )
        for name, wanted, forms in (
            ("aspect_ratio", r"auto|[1-9]\d{0,2}x[1-9]\d{0,2}", "16x9, or auto"),
            ("size", r"auto|source|\d{2,5}x\d{2,5}", "1024x1024 (pixels), or auto"),
        ):
            value = getattr(self, name)
            if value is not None and not re.fullmatch(wanted, value):
                raise InvalidRequest(name, value, f"it has the form {forms}")


def _invalid(error: ValidationError) -> InvalidRequest:
    first = error.errors(include_url=False, include_context=True)[0]
    place = [str(part) for part in first["loc"] if not str(part).startswith(("function-", "literal["))]
    name = ".".join(place) or "request"
    if first["type"] == "extra_forbidden":
        return InvalidRequest(name, "(given)", "fields are " + ", ".join(ImageRequest.model_fields))
    if first["type"] == "missing":
        return InvalidRequest(name, "(absent)", "it is needed")
    value = first.get("input")
    plain = isinstance(value, (int, float, bool, str)) and name not in _SECRETS and place[:1] != ["options"]
    shown = value if plain else f"({type(value).__name__})"
    return InvalidRequest(name, shown, first["msg"][:1].lower() + first["msg"][1:])


def structured_prompt(prompt: str) -> dict[str, JsonValue] | None:
    """V4's structured prompt inside a prompt, None where the prompt is plain text."""
    if not prompt.lstrip().startswith("{"):
        return None
    try:
        parsed = json.loads(prompt)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) and "high_level_description" in parsed else None
