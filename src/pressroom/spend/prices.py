"""What a request will cost: the vendor's own quote where the operation gives one, else the price table."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pressroom.errors import VendorError
from pressroom.ideogram import OPERATIONS, table_price
from pressroom.spend.attempts import Price
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pressroom.ideogram import Call, Ideogram

log = event_logger(__name__)

UNQUOTED_S = 60.0
"""Seconds before a quote that failed is asked for again; meanwhile the table's price is used."""


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
    """

    def __init__(self, client: Ideogram, *, deadline_s: float, life_s: float) -> None:
        self._client = client
        self._deadline_s = deadline_s
        self._life_s = life_s
        self._known: dict[str, _Known] = {}
        self._asking = asyncio.Lock()  # one quote at a time: they are outside the in-flight limit

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
        if OPERATIONS[call.operation].dry_run:
            try:
                async with asyncio.timeout(self._deadline_s):
                    quote = await self._client.quote(call)
            except (VendorError, TimeoutError) as error:
                log.info("price.unquoted", operation=call.operation, error=type(error).__name__)
                return _Known(price=_table(call), until=time.monotonic() + UNQUOTED_S)
            return _Known(
                price=Price(micros=quote.most_usd_micros, expected_micros=quote.usd_micros, source="quote"),
                until=time.monotonic() + self._life_s,
            )
        return _Known(price=_table(call), until=time.monotonic() + self._life_s)


def _table(call: Call) -> Price:
    micros = table_price(call).micros
    return Price(micros=micros, expected_micros=micros, source="table")
