"""What a checked request will make, and cost."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pressroom.emulator import prices
from pressroom.emulator.sizes import upscaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pressroom.emulator.operations import Operation
    from pressroom.emulator.sizes import Size

REFUSE_MARKER: Final = "[emulator:refuse]"
"""In a prompt: the safety check refuses the request with 422."""

FAIL_MARKER: Final = "[emulator:fail]"
"""In a prompt: an asynchronous generation ends failed by policy; a synchronous one answers 422."""

UNSAFE_MARKER: Final = "[emulator:unsafe]"
"""In a prompt: no image of the generation is safe."""

UNSAFE_FIRST_MARKER: Final = "[emulator:unsafe-first]"
"""In a prompt: the first image of the generation is not safe, the others are."""

POLICY_REASON: Final = "content_policy_violation"
"""`failure_reason` of a generation that failed by policy. Source: reference section 12."""

_MAGIC_TAIL: Final = ", rich in detail, in soft natural light"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A request that would be accepted.

    Attributes:
        operation: Name of the operation.
        model: Name of the model, for pictures and the ledger.
        prompt: Prompt as used, which magic prompt may have changed.
        sent_prompt_sha256: Hex digest of the prompt as sent.
        size: Width and height that the answer reports as `resolution`.
        picture_size: Width and height of the file, larger after upscaling.
        transparent: Whether the picture has an alpha channel.
        style_type: As the answer reports it, None where it reports none.
        num_images: 1 to 8.
        seed: As asked for, None to draw one.
        tier: Speed or quality, which decides the latency.
        unit_price_micros: Micro-dollars for one image.
        variable_price: Whether the price was not known beforehand.
        unsafe_images: How many images, from the first on, are not safe.
        failure_reason: Why it will fail, None when it will not.
    """

    operation: str
    model: str
    prompt: str
    sent_prompt_sha256: str
    size: Size
    picture_size: Size
    transparent: bool
    style_type: str | None
    num_images: int
    seed: int | None
    tier: str
    unit_price_micros: int
    variable_price: bool
    unsafe_images: int
    failure_reason: str | None


def sent_prompt(values: Mapping[str, object]) -> str:
    """The prompt of a request, a JSON prompt as compact JSON."""
    if (structured := values.get("json_prompt")) is not None:
        return json.dumps(structured, separators=(",", ":"), ensure_ascii=False)
    return str(values.get("prompt") or values.get("text_prompt") or "")


def _used_prompt(sent: str, values: Mapping[str, object]) -> str:
    option = str(values.get("magic_prompt") or values.get("magic_prompt_option") or "").lower()
    return sent + _MAGIC_TAIL if option == "on" else sent


def _style(operation: Operation, values: Mapping[str, object]) -> str | None:
    defaults = {"legacy.generate": "AUTO", "v3.generate": "GENERAL"}
    default = defaults.get(operation.name)
    return None if default is None else str(values.get("style_type", default))


def _tier(operation: Operation, model: str, values: Mapping[str, object]) -> str:
    if operation.api == "legacy":
        return "turbo" if model.endswith("_TURBO") else "default"
    return prices.tier_of(model, values)


def _int_or(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


def plan(operation: Operation, values: Mapping[str, object]) -> Plan:
    """What a request that passed every check will make."""
    model = str(values.get("model", operation.model)) if operation.api == "legacy" else operation.model
    sent = sent_prompt(values)
    size = operation.size(values)
    images = _int_or(values.get("num_images"), 1)
    seed = values.get("seed")
    unsafe = images if UNSAFE_MARKER in sent else int(UNSAFE_FIRST_MARKER in sent)
    return Plan(
        operation=operation.name,
        model=model,
        prompt=_used_prompt(sent, values),
        sent_prompt_sha256=hashlib.sha256(sent.encode()).hexdigest(),
        size=size,
        picture_size=upscaled(size, values.get("upscale_factor")),
        transparent=operation.transparent or values.get("background") == "transparent",
        style_type=_style(operation, values),
        num_images=images,
        seed=seed if isinstance(seed, int) else None,
        tier=_tier(operation, model, values),
        unit_price_micros=prices.unit_price_micros(model, values),
        variable_price=model in prices.VARIABLE,
        unsafe_images=unsafe,
        failure_reason=POLICY_REASON if FAIL_MARKER in sent else None,
    )
