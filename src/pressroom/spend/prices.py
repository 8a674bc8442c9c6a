"""What a request will cost: the vendor's own quote where the operation gives one, else the price table."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING, Protocol

from pressroom.errors import NotSent, Unavailable, VendorError
from pressroom.ideogram import OPERATIONS, table_price
from pressroom.spend.money import MOST_MICROS
from pressroom.spend.reservations import Price
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pressroom.ideogram import Call, PriceQuote

log = event_logger(__name__)

TABLE_MARGIN = 0.2
"""Share reserved on top of a price from the table (default of the setting `spend.table_margin`)."""

UNQUOTED_S = 60.0
"""Seconds before a quote that failed is asked for again; meanwhile the table's price is used."""


class Quoting(Protocol):
    """Asks the vendor for prices, with whatever key is good for it now."""

    async def quote(self, call: Call) -> PriceQuote:
        """The vendor's price; raises a `VendorError` when none came."""


@dataclass(frozen=True)
class _Known:
    price: Price
    until: float


class Prices:
    """
    Prices by what decides them, remembered in this process.

    Args:
        client: Who asks the vendor.
        deadline_s: Seconds that a quote may take.
        life_s: Seconds that a quote is believed.
        table_margin: Share reserved on top of a price from the table, and of an estimate without an upper bound.
    """

    def __init__(
        self, client: Quoting, *, deadline_s: float, life_s: float, table_margin: float = TABLE_MARGIN
    ) -> None:
        self._client = client
        self._margin = Decimal(str(table_margin))
        self._deadline_s = deadline_s
        self._life_s = life_s
        self._known: dict[str, _Known] = {}
        self._asking = asyncio.Lock()  # one quote at a time: they are outside the in-flight limit
        self._ask_from = 0.0

    async def price(self, call: Call) -> Price:
        """The price of `call`; never fails and never costs anything."""
        key = json.dumps(call.price_fields, sort_keys=True)
        known = self._known.get(key)
        if known is not None and known.until > time.monotonic():
            return known.price
        async with self._asking:
            known = self._known.get(key)
            if known is None or known.until <= time.monotonic():
                known = await self._ask(call)
                self._known[key] = known
        return known.price

    async def _ask(self, call: Call) -> _Known:
        if not OPERATIONS[call.operation].dry_run:
            return _Known(price=self._table(call), until=time.monotonic() + self._life_s)
        quote = await self._quote_or_none(call) if time.monotonic() >= self._ask_from else None
        if quote is None or not _is_credible(quote, call):
            return _Known(price=self._table(call), until=time.monotonic() + UNQUOTED_S)
        return _Known(price=self._quoted(quote), until=time.monotonic() + self._life_s)

    async def _quote_or_none(self, call: Call) -> PriceQuote | None:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._client.quote(call)
        except (VendorError, TimeoutError) as error:
            log.info("price.unquoted", operation=call.operation, error=type(error).__name__)
            if isinstance(error, TimeoutError | NotSent | Unavailable):
                # Whatever else costs another price would wait as long for it, one after the other, and dispatch with it.
                self._ask_from = time.monotonic() + UNQUOTED_S
            return None

    def _quoted(self, quote: PriceQuote) -> Price:
        """An estimate is set aside with its upper bound, or with the margin where it has none."""
        bounded = quote.exact or quote.upper_bound_usd_micros is not None
        most = quote.most_usd_micros if bounded else self._with_margin(quote.usd_micros)
        return Price(micros=most, expected_micros=quote.usd_micros, source="quote")

    def _table(self, call: Call) -> Price:
        """The list may be out of date, so a margin is set aside too; what is expected is what the list says."""
        micros = table_price(call).micros
        return Price(micros=self._with_margin(micros), expected_micros=micros, source="table")

    def _with_margin(self, micros: int) -> int:
        return ceil(micros * (1 + self._margin))


def _is_credible(quote: PriceQuote, call: Call) -> bool:
    """Nothing that the list has a price for is free: believed, a quote of $0 would let purchases pass every budget."""
    if quote.usd_micros == 0 and table_price(call).micros > 0:
        return False
    return quote.most_usd_micros <= MOST_MICROS
