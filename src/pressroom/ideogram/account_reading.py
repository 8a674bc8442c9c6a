"""Reads answers about an account; everything malformed is a ValueError that holds nothing of the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from pressroom.ideogram.account import (
    ApiKey,
    BilledUnits,
    Invoice,
    InvoiceItem,
    Usage,
    UsageBucket,
    UsageItem,
    UsageKey,
)
from pressroom.ideogram.reading import MICROS_MAX, text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pressroom.ideogram.operations import JSON

_MICRO: Final = Decimal("0.000001")


def micros_of(amount: JSON) -> int:
    """
    A decimal text such as `"0.06"` in millionths, rounded half to even.

    Raises:
        ValueError: It is no text, no finite number, or beyond 64 bits.
    """
    micros = int((_decimal(amount) / _MICRO).to_integral_value(ROUND_HALF_EVEN))
    if abs(micros) > MICROS_MAX:
        raise ValueError("an amount is out of range")
    return micros


def parse_usage(answer: Mapping[str, JSON]) -> Usage:
    """
    The usage report.

    Raises:
        ValueError: It is not one, or an amount or time in it cannot be read.
    """
    return Usage(tuple(_bucket(item) for item in _objects(answer, "buckets")), _without(answer, "buckets"))


def parse_invoices(answer: Mapping[str, JSON]) -> tuple[Invoice, ...]:
    """
    The list of invoices.

    Raises:
        ValueError: It is not one, or an amount or time in it cannot be read.
    """
    return tuple(_invoice(item) for item in _objects(answer, "invoices"))


def parse_api_keys(answer: Mapping[str, JSON]) -> tuple[ApiKey, ...]:
    """
    The list of keys.

    Raises:
        ValueError: It is not one, or a time in it cannot be read.
    """
    return tuple(_api_key(item) for item in _objects(answer, "api_keys"))


def _bucket(item: Mapping[str, JSON]) -> UsageBucket:
    return UsageBucket(
        start=_time(item, "start_time"),
        end=_time(item, "end_time"),
        items=tuple(_usage_item(line) for line in _objects(item, "line_items")),
        extra=_without(item, "start_time", "end_time", "line_items"),
    )


_USAGE_FIELDS: Final = (
    "product",
    "endpoint",
    "description",
    "source",
    "cost_total",
    "currency_code",
    "dimensions",
    "billed_units",
    "api_key",
    "user_email",
)


def _usage_item(item: Mapping[str, JSON]) -> UsageItem:
    dimensions = item.get("dimensions")
    return UsageItem(
        product=_text(item, "product"),
        endpoint=_text(item, "endpoint"),
        description=_text(item, "description"),
        source=_text(item, "source"),
        cost_micros=micros_of(item.get("cost_total")),
        currency_code=_text(item, "currency_code"),
        dimensions={k: str(v) for k, v in dimensions.items()} if isinstance(dimensions, dict) else {},
        billed_units=_billed_units(item.get("billed_units")),
        api_key=_usage_key(item.get("api_key")),
        user_email=text_or_none(item.get("user_email")),
        extra=_without(item, *_USAGE_FIELDS),
    )


def _billed_units(item: JSON) -> BilledUnits | None:
    if not isinstance(item, dict):
        return None
    return BilledUnits(
        unit=_text(item, "unit"),
        quantity=_decimal(item.get("quantity")),
        unit_price_micros=micros_of(item.get("unit_price")),
        extra=_without(item, "unit", "quantity", "unit_price"),
    )


def _usage_key(item: JSON) -> UsageKey | None:
    if not isinstance(item, dict):
        return None
    return UsageKey(
        id=_text(item, "id"),
        label=text_or_none(item.get("label")),
        redacted_key=text_or_none(item.get("redacted_key")),
        extra=_without(item, "id", "label", "redacted_key"),
    )


_INVOICE_FIELDS: Final = (
    "status",
    "total",
    "currency_code",
    "start_time",
    "end_time",
    "issued_time",
    "paid_time",
    "line_items",
)


def _invoice(item: Mapping[str, JSON]) -> Invoice:
    return Invoice(
        status=_text(item, "status"),
        total_micros=micros_of(item.get("total")),
        currency_code=_text(item, "currency_code"),
        start=_time(item, "start_time"),
        end=_time(item, "end_time"),
        issued=_time(item, "issued_time") if item.get("issued_time") else None,
        paid=_time(item, "paid_time") if item.get("paid_time") else None,
        items=tuple(_invoice_item(line) for line in _objects(item, "line_items")),
        extra=_without(item, *_INVOICE_FIELDS),
    )


def _invoice_item(item: Mapping[str, JSON]) -> InvoiceItem:
    known = ("description", "quantity", "unit_price", "cost_total", "currency_code", "api_key")
    return InvoiceItem(
        description=_text(item, "description"),
        quantity=_decimal(item.get("quantity")),
        unit_price_micros=micros_of(item.get("unit_price")),
        cost_micros=micros_of(item.get("cost_total")),
        currency_code=_text(item, "currency_code"),
        api_key=_usage_key(item.get("api_key")),
        extra=_without(item, *known),
    )


def _api_key(item: Mapping[str, JSON]) -> ApiKey:
    known = (
        "api_key_id",
        "redacted_api_key",
        "status",
        "creation_time",
        "label",
        "creator_display_label",
    )
    return ApiKey(
        id=_text(item, "api_key_id"),
        redacted_key=_text(item, "redacted_api_key"),
        status=_text(item, "status"),
        created=_time(item, "creation_time"),
        label=text_or_none(item.get("label")),
        creator_display_label=text_or_none(item.get("creator_display_label")),
        extra=_without(item, *known),
    )


def _objects(holder: Mapping[str, JSON], name: str) -> list[dict[str, JSON]]:
    items = holder.get(name)
    if not isinstance(items, list):
        raise ValueError(f"the answer's {name} is not a list")  # noqa: TRY004 - one type for every malformed answer
    found = [item for item in items if isinstance(item, dict)]
    if len(found) < len(items):
        raise ValueError(f"the answer's {name} hold something else than objects")
    return found


def _text(holder: Mapping[str, JSON], name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise ValueError(f"the answer's {name} is not a text")  # noqa: TRY004 - as above
    return value


def _time(holder: Mapping[str, JSON], name: str) -> datetime:
    moment = datetime.fromisoformat(_text(holder, name))
    if moment.tzinfo is None:
        raise ValueError(f"the answer's {name} has no zone")
    return moment.astimezone(UTC)


def _decimal(value: JSON) -> Decimal:
    if not isinstance(value, str):
        raise ValueError("an amount is not a text")  # noqa: TRY004 - as above
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("an amount is not a number") from None
    if not number.is_finite():
        raise ValueError("an amount is not finite")
    return number


def _without(answer: Mapping[str, JSON], *names: str) -> dict[str, JSON]:
    return {name: value for name, value in answer.items() if name not in names}
