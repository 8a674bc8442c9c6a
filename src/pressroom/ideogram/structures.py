"""Structured values inside a request: colour palettes and V4's structured prompt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pressroom.errors import InvalidRequest

if TYPE_CHECKING:
    from pressroom.ideogram.operations import JSON

MEMBERS_MAX: Final = 8
"""Most colours of a palette (reference 6.1)."""
_HEX = r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"
_WEIGHTS = 0.05, 1.0
_ELEMENT_NEEDS = {"obj": ("desc",), "text": ("text", "desc")}


def check_palette(value: JSON, called: str, presets: tuple[str, ...]) -> None:
    """
    Check a palette: `{"name": preset}` or `{"members": [{"color_hex": …, "color_weight": …}]}`.

    Raises:
        InvalidRequest: It is neither, a preset is unknown, or a colour or weight is out of range.
    """
    if not isinstance(value, dict) or len(value) != 1 or not {"name", "members"} & value.keys():
        raise InvalidRequest(called, f"({type(value).__name__})", "it has exactly one of name and members")
    if "name" in value:
        if value["name"] not in presets:
            raise InvalidRequest(f"{called}.name", value["name"], f"allowed are {', '.join(presets)}")
        return
    members = value["members"]
    if not isinstance(members, list) or not 1 <= len(members) <= MEMBERS_MAX:
        raise InvalidRequest(f"{called}.members", "(given)", f"it is a list of 1 to {MEMBERS_MAX} colours")
    for member in members:
        _check_member(member, f"{called}.members")


def _check_member(member: JSON, called: str) -> None:
    if not isinstance(member, dict) or member.keys() - {"color_hex", "color_weight"}:
        raise InvalidRequest(called, "(given)", "each has color_hex and perhaps color_weight")
    colour, weight = member.get("color_hex"), member.get("color_weight", 1.0)
    if not isinstance(colour, str) or not re.fullmatch(_HEX, colour):
        raise InvalidRequest(f"{called}.color_hex", colour, "it has the form #RGB or #RRGGBB")
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not number or not _WEIGHTS[0] <= float(str(weight)) <= _WEIGHTS[1]:
        raise InvalidRequest(f"{called}.color_weight", weight, f"{_WEIGHTS[0]} to {_WEIGHTS[1]} is allowed")


def check_structured_prompt(value: JSON, called: str) -> None:
    """
    Check what the vendor requires of V4's structured prompt (reference 8.2); further keys pass.

    Raises:
        InvalidRequest: A required part is missing or of another type.
    """
    if not isinstance(value, dict):
        raise InvalidRequest(called, f"({type(value).__name__})", "it is an object")
    scene = value.get("compositional_deconstruction")
    if not isinstance(value.get("high_level_description"), str) or not isinstance(scene, dict):
        allowed = "it needs high_level_description (text) and compositional_deconstruction (an object)"
        raise InvalidRequest(called, "(incomplete)", allowed)
    elements = scene.get("elements")
    if not isinstance(scene.get("background"), str) or not isinstance(elements, list):
        raise InvalidRequest(
            called, "(incomplete)", "the deconstruction needs background (text) and elements (a list)"
        )
    for number, element in enumerate(elements):
        _check_element(element, f"{called}.elements.{number}")


def _check_element(element: JSON, called: str) -> None:
    needed = _ELEMENT_NEEDS.get(str(element.get("type"))) if isinstance(element, dict) else None
    if not isinstance(element, dict) or needed is None:
        raise InvalidRequest(called, "(given)", "each element is an object of type obj or text")
    missing = [name for name in needed if not isinstance(element.get(name), str)]
    if missing:
        raise InvalidRequest(called, "(incomplete)", f"it needs {' and '.join(missing)}")
