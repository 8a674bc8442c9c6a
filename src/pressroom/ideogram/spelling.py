"""One canonical value in the spelling that a field of the vendor wants (reference 5.4)."""

from __future__ import annotations

import re
from typing import Final

from pressroom.errors import InvalidRequest
from pressroom.ideogram.operations import JSON, Field, Kind

LISTED_MAX: Final = 40
"""Most allowed values that a message spells out; longer lists are cut with their length."""


def canonical(choice: str) -> str:
    """The canonical spelling of one of the vendor's choices: lower case, `x` between the numbers of a pair."""
    lowered = choice.lower()
    match = re.fullmatch(r"(?:aspect_|resolution_)?(\d+)[:x_](\d+)", lowered)
    return f"{match[1]}x{match[2]}" if match else lowered


def spell(field: Field, value: JSON, called: str) -> JSON:
    """
    The vendor's spelling of a canonical value.

    Values that the field does not list come back as they are where its pattern may still admit them.

    Raises:
        InvalidRequest: A choice without that value; the message lists the canonical spellings.
    """
    if field.kind is Kind.PALETTE:
        return _palette(field, value)
    if not isinstance(value, str) or field.secret:
        return value
    if field.kind is Kind.TEXT:
        return re.sub(r"^(\d+)x(\d+)$", rf"\1{field.separator}\2", value)
    if field.kind is not Kind.CHOICE:
        return value
    spellings = {canonical(choice): choice for choice in field.choices}
    if value.lower() in spellings:
        return spellings[value.lower()]
    if field.pattern is not None and re.fullmatch(field.pattern, value):
        return value
    raise InvalidRequest(called, value, f"allowed are {listed(tuple(spellings))}")


def _palette(field: Field, value: JSON) -> JSON:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return value
    spellings = {choice.lower(): choice for choice in field.choices}
    return {**value, "name": spellings.get(str(value["name"]).lower(), value["name"])}


def listed(choices: tuple[str, ...]) -> str:
    """Allowed values for a message, long lists cut."""
    if len(choices) <= LISTED_MAX:
        return ", ".join(choices)
    return f"{', '.join(choices[:LISTED_MAX])} and {len(choices) - LISTED_MAX} more"
