"""Prices: the vendor's quote where it gives one, the table where it does not, and never more than one question."""

from __future__ import annotations

import asyncio
import json

import pytest

from pressroom.ideogram import Call, Ideogram, ImageRequest, Wire, route, table_price
from pressroom.spend.prices import Prices
from pressroom.spend.reservations import Price

QUOTE = {"object": "price_quote", "usd_micros": 41_000, "qualifier": "exact", "currency": "usd"}


class Vendor:
    """A real loopback server that answers each request with what `reply` says and counts how many are open."""

    def __init__(self):
        self.asked = []
        self.open = self.most_open = 0
        self.status, self.body, self.delay_s = 200, QUOTE, 0.0

    async def serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if b"content-length" in line
                )
                self.asked.append(json.loads(await reader.readexactly(length)))
                self.open += 1
                self.most_open = max(self.most_open, self.open)
                await asyncio.sleep(self.delay_s)
                self.open -= 1
                body = json.dumps(self.body).encode()
                start = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(start.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def vendor():
    playing = Vendor()
    server = await asyncio.start_server(playing.serve, "127.0.0.1", 0)
    playing.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield playing
    server.close()


@pytest.fixture
async def client(vendor):
    async with Ideogram("key-of-tests", base_url=vendor.base_url) as opened:
        yield opened


def _call(**fields) -> Call:
    return route(ImageRequest(prompt="a heron", **fields), Wire.V2)


def _table(call: Call) -> Price:
    micros = table_price(call).micros
    return Price(micros=-(-micros * 6 // 5), expected_micros=micros, source="table")


async def test_a_quote_is_asked_for_once_for_all_that_cost_the_same(vendor, client):
    """Prompt and seed do not move the price; the number of pictures does."""
    prices = Prices(client, deadline_s=5, life_s=60)

    assert Price(micros=41_000, expected_micros=41_000, source="quote") == await prices.price(_call())
    await prices.price(_call(seed=5))
    assert len(vendor.asked) == 1
    await prices.price(_call(num_images=2))
    assert len(vendor.asked) == 2


async def test_the_upper_bound_of_an_estimate_is_set_aside(vendor, client):
    """A reservation that is too small would overspend; what is expected stays the estimate."""
    vendor.body = {**QUOTE, "qualifier": "estimate", "upper_bound_usd_micros": 99_000}

    expected = Price(micros=99_000, expected_micros=41_000, source="quote")
    assert expected == await Prices(client, deadline_s=5, life_s=60).price(_call())


async def test_an_estimate_without_a_bound_is_set_aside_with_the_margin(vendor, client):
    """It may become more, and nobody says how much."""
    vendor.body = {**QUOTE, "qualifier": "estimate"}

    expected = Price(micros=51_250, expected_micros=41_000, source="quote")
    assert expected == await Prices(client, deadline_s=5, life_s=60, table_margin=0.25).price(_call())


@pytest.mark.parametrize(("margin", "micros"), [(0.0, 60_000), (0.2, 72_000), (0.333333, 80_000)])
async def test_a_price_from_the_table_is_set_aside_with_a_margin(client, margin, micros):
    """The list may be out of date; fractions of a millionth are rounded up."""
    call = route(ImageRequest(prompt="a heron", model="V_1"), Wire.LEGACY)
    price = await Prices(client, deadline_s=5, life_s=60, table_margin=margin).price(call)

    assert Price(micros=micros, expected_micros=60_000, source="table") == price


async def test_a_quote_whose_life_is_over_is_asked_for_again(vendor, client):
    """Prices change."""
    prices = Prices(client, deadline_s=5, life_s=0.000_001)
    await prices.price(_call())
    vendor.body = {**QUOTE, "usd_micros": 52_000}

    assert (await prices.price(_call())).micros == 52_000


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {}),
        (401, {"error": "no"}),
        (200, {"data": []}),
        (200, {**QUOTE, "usd_micros": -1}),
        (200, {**QUOTE, "usd_micros": 0}),
        (200, {**QUOTE, "usd_micros": 0, "qualifier": "estimate", "upper_bound_usd_micros": 9}),
        (200, {**QUOTE, "usd_micros": 2**63 - 1}),
        (429, {}),
    ],
)
async def test_a_quote_that_fails_is_replaced_by_the_table(vendor, client, status, body):
    """A price never fails, and the vendor is left alone for a while."""
    vendor.status, vendor.body = status, body
    prices = Prices(client, deadline_s=5, life_s=60)
    call = _call()

    assert _table(call) == await prices.price(call)
    asked = len(vendor.asked)
    assert _table(call) == await prices.price(call)
    assert asked == len(vendor.asked)


async def test_a_quote_that_does_not_come_in_time_is_replaced_by_the_table(vendor, client):
    """Dispatch does not wait for a price."""
    vendor.delay_s = 30
    call = _call()

    assert _table(call) == await Prices(client, deadline_s=0.05, life_s=60).price(call)


async def test_a_vendor_that_gives_no_quote_keeps_nobody_waiting_twice(vendor, client):
    """Jobs that cost something else are dispatched by the table's prices meanwhile, not each after a wait of its own."""
    vendor.delay_s = 30
    prices = Prices(client, deadline_s=0.05, life_s=60)
    calls = [_call(num_images=count) for count in range(1, 5)]

    assert [_table(call) for call in calls] == [await prices.price(call) for call in calls]
    assert len(vendor.asked) == 1


async def test_no_vendor_is_no_obstacle(client, vendor):
    """Where nobody listens the table serves too."""
    async with Ideogram("key-of-tests", base_url="http://127.0.0.1:1") as lonely:
        assert _table(_call()) == await Prices(lonely, deadline_s=5, life_s=60).price(_call())


async def test_an_operation_without_quotes_is_not_asked(vendor, client):
    """`dry_run` sent where it is not declared would buy."""
    call = route(ImageRequest(prompt="a heron"), Wire.LEGACY)

    assert _table(call) == await Prices(client, deadline_s=5, life_s=60).price(call)
    assert vendor.asked == []


async def test_quotes_are_asked_for_one_at_a_time(vendor, client):
    """They are outside the in-flight limit, so a process has one of them on its way at most."""
    vendor.delay_s = 0.02
    prices = Prices(client, deadline_s=30, life_s=60)
    calls = [_call(num_images=count) for count in range(1, 5)]

    await asyncio.gather(*(prices.price(call) for call in calls * 5))

    assert (len(calls), 1) == (len(vendor.asked), vendor.most_open)
