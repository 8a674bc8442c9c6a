"""Holds a request against its row of the table, before anything is sent."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from pressroom.errors import InvalidRequest
from pressroom.ideogram.operations import JSON, Field, Kind, Needs, Operation
from pressroom.ideogram.spelling import listed
from pressroom.ideogram.structures import check_palette, check_structured_prompt

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def validate(
    operation: Operation,
    fields: Mapping[str, JSON],
    *,
    names: Mapping[str, str] | None = None,
    files: Collection[str] = (),
) -> None:
    """
    Check a request against the table.

    Args:
        operation: The row.
        fields: Values by the vendor's names.
        names: How the caller calls a vendor's field, for messages; the vendor's name where absent.
        files: Names of the file fields that travel with the request.

    Raises:
        InvalidRequest: Naming the first field at fault, its value (never prompt text) and what is allowed.
    """
    called = {} if names is None else names
    for name, value in fields.items():
        field = operation.fields.get(name)
        if field is None or field.kind in {Kind.FILE, Kind.FILES}:
            known = ", ".join(
                row.name for row in operation.fields.values() if row.kind not in {Kind.FILE, Kind.FILES}
            )
            raise InvalidRequest(called.get(name, name), "(given)", f"{operation.name} takes {known}")
        check_value(field, value, called.get(name, name))
    present = {*fields, *files}
    for field in operation.fields.values():
        if field.required and field.name not in present:
            raise InvalidRequest(called.get(field.name, field.name), "(absent)", f"{operation.name} needs it")
    _check_groups(operation, present, called)
    _check_bindings(operation, fields, present, called)


def _check_groups(operation: Operation, present: Collection[str], called: Mapping[str, str]) -> None:
    for members in operation.exclusive:
        given = [name for name in operation.fields if name in members and name in present]
        if len(given) > 1:
            others = " and ".join(called.get(name, name) for name in given)
            raise InvalidRequest(called.get(given[1], given[1]), "(given)", f"{others} exclude each other")
    for members in operation.exactly_one:
        given = [name for name in operation.fields if name in members and name in present]
        if len(given) != 1:
            wanted = [name for name in operation.fields if name in members]
            first = called.get(wanted[0], wanted[0])
            raise InvalidRequest(
                first, f"({len(given)} given)", f"exactly one of {', '.join(wanted)} is needed"
            )
    for members in operation.together:
        missing = [name for name in sorted(members) if name not in present]
        if missing and len(missing) < len(members):
            wanted = sorted(members)
            raise InvalidRequest(missing[0], "(absent)", f"{' and '.join(wanted)} are given together")


def _check_bindings(
    operation: Operation, fields: Mapping[str, JSON], present: Collection[str], called: Mapping[str, str]
) -> None:
    for condition in operation.conditions:
        other = fields.get(condition.other, operation.fields[condition.other].default)
        if condition.field in present and other not in condition.values:
            allowed = (
                f"it goes with {condition.other} {', '.join(sorted(condition.values))}, not with {other}"
            )
            raise InvalidRequest(called.get(condition.field, condition.field), "(given)", allowed)
    for need in operation.needs:
        if need.field in present and not need.any_of.intersection(present):
            _check_need(need, operation.fields[need.field], fields.get(need.field), called)
    for field in operation.fields.values():
        value = fields.get(field.name)
        if field.geometry is not None and isinstance(value, str) and value not in field.choices:
            _check_geometry(field, value, called.get(field.name, field.name))
    for product in operation.products:
        sides = fields.get(product.width, 0), fields.get(product.height, 0)
        if isinstance(sides[0], int) and isinstance(sides[1], int) and sides[0] * sides[1] > product.maximum:
            shown = f"({sides[0]}x{sides[1]})"
            raise InvalidRequest(
                called.get(product.width, "size"), shown, f"at most {product.maximum} pixels"
            )


def _check_need(need: Needs, field: Field, value: JSON, called: Mapping[str, str]) -> None:
    """Refuse a value that means nothing without the fields it needs; none of them is there."""
    if (need.values and value not in need.values) or (need.unlisted and value in field.choices):
        return
    usual = f"; without: {listed(field.choices)}" if need.unlisted else ""
    allowed = f"it needs {' or '.join(sorted(need.any_of))}{usual}"
    raise InvalidRequest(called.get(need.field, need.field), value, allowed)


def check_value(field: Field, value: JSON, called: str) -> None:
    """
    Check one value against its field.

    Raises:
        InvalidRequest: The value is not allowed.
    """
    checks = {
        Kind.TEXT: _check_text,
        Kind.INTEGER: _check_integer,
        Kind.NUMBER: _check_number,
        Kind.BOOLEAN: _check_boolean,
        Kind.CHOICE: _check_choice,
        Kind.TEXTS: _check_texts,
        Kind.PALETTE: lambda row, palette, name: check_palette(palette, name, row.choices),
        Kind.STRUCTURED_PROMPT: lambda _field, prompt, name: check_structured_prompt(prompt, name),
        Kind.OBJECT: _check_objects,
        Kind.OBJECTS: _check_objects,
    }
    checks[field.kind](field, value, called)


def _check_text(field: Field, value: JSON, called: str) -> None:
    low, high = field.minimum or 0, field.maximum or math.inf
    if not isinstance(value, str):
        raise InvalidRequest(called, f"({type(value).__name__})", "it is text")
    limits = f"{low:g} to {high:g} characters are allowed" if field.maximum else "it cannot be empty"
    if not low <= len(value) <= high:
        raise InvalidRequest(called, f"({len(value)} characters)", limits)
    if not is_encodable(value):
        raise InvalidRequest(
            called, "(broken text)", "it holds half of a surrogate pair; send whole characters"
        )
    if field.secret and low and not value.strip():
        raise InvalidRequest(called, "(blank)", "it needs at least one visible character")
    if field.pattern is not None and not re.fullmatch(field.pattern, value):
        raise InvalidRequest(called, value, f"it has the form {field.pattern}")


def _check_integer(field: Field, value: JSON, called: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRequest(called, value, "it is a whole number")
    _check_number(field, value, called)
    if field.step is not None and value % field.step:
        raise InvalidRequest(called, value, f"it is a multiple of {field.step}")


def _check_number(field: Field, value: JSON, called: str) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise InvalidRequest(called, value, "it is a number")
    low = -math.inf if field.minimum is None else field.minimum
    high = math.inf if field.maximum is None else field.maximum
    if not low <= value <= high:
        raise InvalidRequest(called, value, f"{low:.0f} to {high:.0f} is allowed")


def _check_boolean(_field: Field, value: JSON, called: str) -> None:
    if not isinstance(value, bool):
        raise InvalidRequest(called, value, "it is true or false")


def _check_choice(field: Field, value: JSON, called: str) -> None:
    if value in field.choices:
        return
    if not isinstance(value, str) or field.pattern is None or not re.fullmatch(field.pattern, value):
        raise InvalidRequest(called, value, f"allowed are {listed(field.choices)}")


def _check_geometry(field: Field, value: str, called: str) -> None:
    bounds = field.geometry
    assert bounds is not None
    width, height = (int(side) for side in value.split("x"))
    short, long = sorted((width, height))
    allowed = (
        f"both sides are multiples of {bounds.step} from {bounds.shortest} to {bounds.longest}, at most "
        f"{bounds.ratio:g}:1, {bounds.least_area} to {bounds.most_area} pixels in all"
    )
    fits = (
        width % bounds.step == 0
        and height % bounds.step == 0
        and short >= bounds.shortest
        and long <= bounds.longest
        and long <= bounds.ratio * short
        and bounds.least_area <= width * height <= bounds.most_area
    )
    if not fits:
        raise InvalidRequest(called, value, allowed)


def _check_texts(field: Field, value: JSON, called: str) -> None:
    _check_count(field, value, called)
    for item in value if isinstance(value, list) else ():
        if not isinstance(item, str) or not re.fullmatch(field.pattern or ".*", item):
            raise InvalidRequest(called, item, f"each item has the form {field.pattern}")


def _check_objects(field: Field, value: JSON, called: str) -> None:
    _check_count(field, value, called)
    for item in value if isinstance(value, list) else ():
        if not isinstance(item, dict):
            raise InvalidRequest(called, f"({type(item).__name__})", "each item is an object")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        raise InvalidRequest(called, "(given)", "it has to be expressible as JSON") from None


def _check_count(field: Field, value: JSON, called: str) -> None:
    if not isinstance(value, list):
        raise InvalidRequest(called, f"({type(value).__name__})", "it is a list")
    low, high = field.minimum or 0, field.maximum or math.inf
    if not low <= len(value) <= high:
        raise InvalidRequest(called, f"({len(value)} items)", f"{low:g} to {high:g} items are allowed")


def is_encodable(value: str) -> bool:
    """Whether text can be sent as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
