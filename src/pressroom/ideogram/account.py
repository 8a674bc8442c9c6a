"""Answers about an account: what was billed, invoices, keys. Money in millionths of the currency that stands beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from pressroom.ideogram.operations import JSON


@dataclass(frozen=True)
class UsageKey:
    """The key that something was billed to; the vendor shows a part of it."""

    id: str
    label: str | None = None
    redacted_key: str | None = None
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class BilledUnits:
    """How a price came about: so many units at so much each."""

    unit: str
    quantity: Decimal
    unit_price_micros: int
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class UsageItem:
    """
    What was billed in one bucket for one thing.

    Attributes:
        product: The vendor's name of it.
        endpoint: Where it was asked for.
        description: For a person.
        source: `api` or `app`.
        cost_micros: Millionths of the currency's unit, rounded half to even where the vendor gives more digits.
        currency_code: Such as `USD`.
        dimensions: What else it is told apart by.
        billed_units: How the price came about, where the vendor says.
        api_key: The key that paid, where the vendor says.
        user_email: The person, where the vendor says.
        extra: Fields of the answer that have no attribute here.
    """

    product: str
    endpoint: str
    description: str
    source: str
    cost_micros: int
    currency_code: str
    dimensions: dict[str, str] = field(default_factory=dict)
    billed_units: BilledUnits | None = None
    api_key: UsageKey | None = None
    user_email: str | None = field(default=None, repr=False)
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class UsageBucket:
    """An hour or a day (aware, the end exclusive) and what was billed in it."""

    start: datetime
    end: datetime
    items: tuple[UsageItem, ...]
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Usage:
    """The usage report; it may lag by minutes (reference 17.2)."""

    buckets: tuple[UsageBucket, ...]
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class InvoiceItem:
    """One line of an invoice."""

    description: str
    quantity: Decimal
    unit_price_micros: int
    cost_micros: int
    currency_code: str
    api_key: UsageKey | None = None
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Invoice:
    """One invoice; `status` is `draft`, `pending_payment`, `paid` or `voided`."""

    status: str
    total_micros: int
    currency_code: str
    start: datetime
    end: datetime
    issued: datetime | None
    paid: datetime | None
    items: tuple[InvoiceItem, ...]
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class ApiKey:
    """One key of the organization; `status` is `active`, `disabled` or `archived`."""

    id: str
    redacted_key: str
    status: str
    created: datetime
    label: str | None = None
    creator_display_label: str | None = None
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)
