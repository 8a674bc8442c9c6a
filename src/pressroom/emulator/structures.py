"""Checks of the two structured values: the colour palette and the V4 JSON prompt."""

from __future__ import annotations

import re
from typing import Final

from pressroom.emulator.enums import PALETTES, lower

_HEX: Final = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_MAX_MEMBERS: Final = 8
_BBOX_MAX: Final = 1000


def _member_problem(name: str, member: object) -> str | None:
    if not isinstance(member, dict) or not _HEX.fullmatch(str(member.get("color_hex", ""))):
        return f"every member of {name} needs a color_hex like #RRGGBB"
    weight = member.get("color_weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0.05 <= weight <= 1.0:
        return f"color_weight in {name} must lie between 0.05 and 1.0"
    return None


def palette_problem(name: str, value: object, *, upper: bool) -> str | None:
    """What is wrong with a colour palette. Source of the rules: reference section 6.1."""
    if not isinstance(value, dict) or len(value) != 1 or not set(value) <= {"name", "members"}:
        return f"{name} must have exactly one of name and members"
    if "name" in value:
        presets = PALETTES if upper else lower(PALETTES)
        return None if value["name"] in presets else f"the name in {name} must be one of {', '.join(presets)}"
    members = value["members"]
    if not isinstance(members, list) or not 1 <= len(members) <= _MAX_MEMBERS:
        return f"{name} must have 1 to {_MAX_MEMBERS} members"
    return next(filter(None, (_member_problem(name, member) for member in members)), None)


def _element_problem(name: str, element: object) -> str | None:
    if not isinstance(element, dict) or element.get("type") not in {"obj", "text"}:
        return f"every element in {name} needs a type, obj or text"
    needed = {"desc"} if element["type"] == "obj" else {"desc", "text"}
    if not all(isinstance(element.get(key), str) for key in needed):
        return f"an element in {name} lacks {' or '.join(sorted(needed))}"
    bbox = element.get("bbox")
    if bbox is None:
        return None
    right = isinstance(bbox, list) and len(bbox) == 4
    if not right or not all(isinstance(edge, int) and 0 <= edge <= _BBOX_MAX for edge in bbox):
        return f"bbox in {name} must be four integers from 0 to {_BBOX_MAX}"
    return None


def json_prompt_problem(name: str, value: object) -> str | None:
    """What is wrong with a V4 JSON prompt. Source of the rules: reference section 8.2."""
    if not isinstance(value, dict) or not isinstance(value.get("high_level_description"), str):
        return f"{name} needs a high_level_description"
    parts = value.get("compositional_deconstruction")
    if not isinstance(parts, dict) or not isinstance(parts.get("background"), str):
        return f"{name} needs a compositional_deconstruction with a background"
    elements = parts.get("elements")
    if not isinstance(elements, list):
        return f"{name} needs a list of elements"
    allowed = {"high_level_description", "compositional_deconstruction", "style_description", "tags"}
    if unknown := set(value) - allowed:
        return f"{name} has unknown parts: {len(unknown)}"
    return next(filter(None, (_element_problem(name, element) for element in elements)), None)
