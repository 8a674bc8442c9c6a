"""Amounts of US dollars: read exactly, kept as millionths, shown without needless digits."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from pressroom.errors import InvalidRequest

MICROS = 1_000_000
"""Millionths in a dollar: the vendor's unit (reference section 17.1)."""

MOST_MICROS = 10**15
"""A billion dollars. Sums of amounts up to this one stay far within 64 bits."""


def micros_of(field: str, amount: Decimal | str | int) -> int:
    """
    Read an amount of US dollars, such as `25` or `0.000001`.

    Args:
        field: Its name, for the error.
        amount: Zero or more, at most six decimals.

    Raises:
        InvalidRequest: It is not such an amount.
    """
    allowed = "an amount of US dollars from 0 to 1000000000 with at most 6 decimals, such as 25 or 0.50"
    try:
        micros = Decimal(amount) * MICROS
    except (InvalidOperation, ValueError):
        raise InvalidRequest(field, str(amount), allowed) from None
    if not micros.is_finite() or not 0 <= micros <= MOST_MICROS or micros != int(micros):
        raise InvalidRequest(field, str(amount), allowed)
    return int(micros)


def dollars(micros: int) -> str:
    """`$0.12`, `-$3`, `$0.000001`: exact, for people."""
    amount = Decimal(abs(micros)) / MICROS
    text = f"{amount:.6f}".rstrip("0").rstrip(".")
    whole, point, cents = text.partition(".")
    shown = f"{whole}.{cents.ljust(2, '0')}" if point else whole
    return f"{'-' if micros < 0 else ''}${shown}"


def usd(micros: int | None) -> float | None:
    """For programs: dollars as a JSON number; None stays None."""
    return None if micros is None else micros / MICROS
