"""Reading a rule that was posted to the control path, and writing it into the books."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from pressroom.emulator.faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pressroom.emulator.books import Books
    from pressroom.emulator.faults import Fault

MEMBERS: Final = ("fault", "operation", "rate", "first", "after", "start_s", "window_s", "params")
"""What a posted rule may hold; only `fault` is required."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count_problem(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name, 0)
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if whole else f"{name} must be an integer, 0 or more"


def _numbers_problem(body: Mapping[str, object]) -> str | None:
    rate = body.get("rate", 1.0)
    if not isinstance(rate, int | float) or not 0 <= rate <= 1:
        return "rate must lie between 0 and 1"
    for member in ("start_s", "window_s"):
        value = body.get(member, 0)
        if not isinstance(value, int | float) or value < 0:
            return f"{member} must be seconds, 0 or more"
    return _count_problem(body, "first") or _count_problem(body, "after")


def _params_problem(fault: Fault, params: object) -> str | None:
    if not isinstance(params, dict):
        return "params must be an object"
    for name, value in params.items():
        if name not in fault.params:
            return f"{name[:60]!r} is not a parameter of {fault.name}; it has {', '.join(fault.params) or 'none'}"
        default = fault.params[name]
        if isinstance(default, bool):
            fits = isinstance(value, bool)
        elif isinstance(default, int | float) or name in {"seconds", "images"}:
            fits = (value is None and default is None) or (_is_number(value) and value >= 0)
        else:
            fits = isinstance(value, str) or value is None
        if not fits:
            return f"parameter {name} of {fault.name} has the wrong type"
    return None


def rule_problem(body: Mapping[str, object]) -> str | None:
    """What is wrong with a posted rule, as a sentence."""
    if unknown := set(body) - set(MEMBERS):
        return f"{min(unknown)[:60]!r} is not part of a rule; it has {', '.join(MEMBERS)}"
    name = body.get("fault")
    if not isinstance(name, str) or name not in FAULTS:
        return f"fault must be one of {', '.join(FAULTS)}"
    if not isinstance(body.get("operation", "*"), str):
        return "operation must be a glob over the names of operations"
    numbers = (_numbers_problem(body), _params_problem(FAULTS[name], body.get("params", {})))
    return next(filter(None, numbers), None)


def write_rule(books: Books, body: Mapping[str, object], now: float) -> int:
    """Store a checked rule; its number."""
    fault = FAULTS[str(body["fault"])]
    starts_at = now + float(str(body.get("start_s", 0)))
    window = body.get("window_s")
    params = dict(fault.params)
    given = body.get("params", {})
    assert isinstance(given, dict)
    params.update(given)
    with books.transaction():
        cursor = books.execute(
            "INSERT INTO fault (fault, operation, rate, first, after, starts_at, ends_at, params)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            fault.name,
            body.get("operation", "*"),
            body.get("rate", 1.0),
            body.get("first"),
            body.get("after", 0),
            starts_at,
            None if window is None else starts_at + float(str(window)),
            json.dumps(params),
        )
        books.raise_revision()
    return int(cursor.lastrowid or 0)


def delete_rules(books: Books, rule_id: int | None) -> int:
    """Delete one rule, or all; how many there were."""
    with books.transaction():
        count = books.execute("DELETE FROM fault WHERE ? IS NULL OR id = ?", rule_id, rule_id).rowcount
        books.raise_revision()
    return count
