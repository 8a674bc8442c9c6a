"""
What the vendor accepts in one field, as data, and the check of a value against it.

A refusal is a sentence for the body of a 400. The vendor does not publish its wording (reference section 21), so the
sentences are our own; none of them quotes a prompt.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pressroom.emulator.enums import ASSET_TYPES
from pressroom.emulator.structures import json_prompt_problem, palette_problem

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal[
    "text",
    "int",
    "number",
    "bool",
    "url",
    "texts",
    "palette",
    "lower_palette",
    "json_prompt",
    "asset",
    "assets",
    "custom_models",
    "files",
]

MAX_URL: Final = 2048
"""Characters of a webhook address. Source: reference section 11."""

STRUCTURED: Final = frozenset({"palette", "lower_palette", "json_prompt", "asset", "assets", "custom_models"})
"""Kinds that travel as a part with its own `Content-Type: application/json`. Source: reference section 1.1."""


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of a request.

    Attributes:
        name: As on the wire.
        kind: What sort of value.
        required: Refused when absent.
        choices: The only values allowed, where there is a list.
        low: Smallest number, shortest text, fewest entries.
        high: Largest number, longest text, most entries.
        pattern: Regular expression that a text matches as a whole.
        nullable: Whether JSON null counts as absent.
    """

    name: str
    kind: Kind = "text"
    required: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    pattern: str = ""
    nullable: bool = False


def _bounds(field: Field, measure: float, unit: str) -> str | None:
    low, high = field.low, field.high
    if (low is None or measure >= low) and (high is None or measure <= high):
        return None
    limits = " and ".join(
        text
        for text in (f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high else "")
        if text
    )
    return f"{field.name} must be {limits}{unit}"


def _text(field: Field, value: object) -> str | None:
    if not isinstance(value, str):
        return f"{field.name} must be a string"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return f"{field.name} holds half a surrogate pair"
    if field.choices and value not in field.choices:
        return f"{field.name} must be one of {', '.join(field.choices)}"
    if field.pattern and not re.fullmatch(field.pattern, value):
        return f"{field.name} does not have the form {field.pattern}"
    return _bounds(field, len(value), " characters long")


def _int(field: Field, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return f"{field.name} must be an integer"
    return _bounds(field, value, "")


def _number(field: Field, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{field.name} must be a number"
    return _bounds(field, value, "")


def _bool(field: Field, value: object) -> str | None:
    return None if isinstance(value, bool) else f"{field.name} must be true or false"


def _url(field: Field, value: object) -> str | None:
    if not isinstance(value, str) or not value.startswith("https://") or len(value) > MAX_URL:
        return f"{field.name} must be an https address of at most {MAX_URL} characters"
    host = re.split(r"[/?#]", value[len("https://") :])[0].rsplit("@")[-1]
    private = re.match(
        r"(localhost|127\.|10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|\[)", host, re.IGNORECASE
    )
    return f"{field.name} must not name a private host" if private or not host else None


def _texts(field: Field, value: object) -> str | None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return f"{field.name} must be a list of strings"
    if field.pattern and not all(re.fullmatch(field.pattern, item) for item in value):
        return f"every entry of {field.name} must have the form {field.pattern}"
    return _bounds(field, len(value), " entries long")


def _asset(field: Field, value: object) -> str | None:
    if not isinstance(value, dict) or value.get("asset_type") not in ASSET_TYPES:
        return f"{field.name} needs an asset_type out of {', '.join(ASSET_TYPES)}"
    if not isinstance(value.get("asset_id"), str) or set(value) - {"asset_type", "asset_id", "collection_id"}:
        return f"{field.name} must have an asset_id, and at most a collection_id besides"
    return None


def _assets(field: Field, value: object) -> str | None:
    if not isinstance(value, list):
        return f"{field.name} must be a list"
    return next(filter(None, (_asset(field, item) for item in value)), None) or _bounds(
        field, len(value), " entries long"
    )


def _custom_models(field: Field, value: object) -> str | None:
    if not isinstance(value, list) or not all(
        isinstance(item, dict) and "custom_model_uri" in item for item in value
    ):
        return f"{field.name} must be a list of objects with a custom_model_uri"
    weights = [item.get("weight", 1) for item in value]
    if not all(isinstance(weight, int | float) and weight > 0 for weight in weights):
        return f"every weight in {field.name} must be above 0"
    return _bounds(field, len(value), " entries long")


def _files(field: Field, value: object) -> str | None:
    if not isinstance(value, list) or not all(isinstance(item, bytes) for item in value):
        return f"{field.name} is a file and needs multipart/form-data"
    return _bounds(field, len(value), " files")


_CHECKS: Final[dict[Kind, Callable[[Field, object], str | None]]] = {
    "text": _text,
    "int": _int,
    "number": _number,
    "bool": _bool,
    "url": _url,
    "texts": _texts,
    "palette": lambda field, value: palette_problem(field.name, value, upper=True),
    "lower_palette": lambda field, value: palette_problem(field.name, value, upper=False),
    "json_prompt": lambda field, value: json_prompt_problem(field.name, value),
    "asset": _asset,
    "assets": _assets,
    "custom_models": _custom_models,
    "files": _files,
}


def check(fields: tuple[Field, ...], values: dict[str, object]) -> str | None:
    """The first thing wrong with a request's fields, as a sentence; None when nothing is."""
    known = {field.name: field for field in fields}
    for name in values:
        if name not in known:
            return f"{name[:60]!r} is not a field of this operation"
    for field in fields:
        if field.name not in values:
            if field.required:
                return f"{field.name} is required"
            continue
        value = values[field.name]
        if value is None and field.nullable:
            continue
        if problem := _CHECKS[field.kind](field, value):
            return problem
    return None


_BOOLS: Final = {"true": True, "false": False}


def from_text(field: Field, text: str) -> object:
    """
    The value of a text part of a multipart body.

    Text that does not read as the field's kind is returned as it is, for `check` to refuse.
    """
    if field.kind == "bool":
        return _BOOLS.get(text, text)
    if field.kind in ("int", "number"):
        try:
            return int(text) if field.kind == "int" else float(text)
        except ValueError:
            return text
    if field.kind in STRUCTURED:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
