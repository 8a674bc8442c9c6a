"""The account calls of the client: what is asked, what is refused before it is asked, and how answers are read."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from pressroom.errors import InvalidRequest, KeyRefused, RateLimited, RequestRefused, Unavailable
from pressroom.ideogram import Ideogram, Timeouts
from pressroom.ideogram.account_reading import micros_of

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
ITEM = {
    "product": "ideogram_4_5_generate",
    "endpoint": "/v2/image/generate/ideogram-4-5",
    "description": "Images",
    "source": "api",
    "cost_total": "1.26",
    "currency_code": "USD",
    "dimensions": {"quality": "medium"},
    "billed_units": {"unit": "image", "quantity": "21", "unit_price": "0.06"},
    "api_key": {"id": "k1", "label": "press", "redacted_key": "abc...xyz", "rank": 2},
    "user_email": "somebody@example.org",
    "region": "eu",
}
INVOICE = {
    "status": "paid",
    "total": "12.000001",
    "currency_code": "USD",
    "start_time": "2026-10-01T00:00:00Z",
    "end_time": "2026-11-01T00:00:00Z",
    "issued_time": "2026-11-01T02:00:00Z",
    "line_items": [
        {
            "description": "Images",
            "quantity": "200",
            "unit_price": "0.06",
            "cost_total": "12.000001",
            "currency_code": "USD",
        }
    ],
}
KEY_ROW = {
    "api_key_id": "k1",
    "redacted_api_key": "abc...xyz",
    "status": "active",
    "creation_time": "2026-01-02T03:04:05.678+01:00",
    "label": "press",
    "scopes": ["all"],
}


@pytest.fixture
async def client(vendor, key):
    opened = Ideogram(
        key,
        base_url=vendor.base_url,
        timeouts=Timeouts(connect=0.5, pool=0.5, poll=0.5),
        clock=lambda: START + timedelta(days=1),
    )
    async with opened:
        yield opened


async def test_a_usage_report_is_asked_for_in_utc_and_read_to_the_micro_dollar(vendor, client, key):
    """Unknown fields are kept; amounts are exact, from decimal texts."""
    bucket = {
        "start_time": "2026-11-20T08:00:00+00:00",
        "end_time": "2026-11-20T09:00:00Z",
        "line_items": [ITEM],
    }
    vendor.answer(200, {"buckets": [bucket], "cursor": None})
    berlin = START.astimezone(timezone(timedelta(hours=1)))
    usage = await client.usage(berlin, START + timedelta(hours=1), bucket="1h", sources=("api", "app"))
    (asked,) = vendor.received
    parts = urlsplit(asked.target)
    assert ("GET", "/v2/account/usage", key) == (asked.method, parts.path, asked.headers["api-key"])
    assert parse_qs(parts.query) == {
        "start_time": ["2026-11-20T08:00:00Z"],
        "end_time": ["2026-11-20T09:00:00Z"],
        "bucket_width": ["1h"],
        "sources": ["api", "app"],
    }
    [read] = usage.buckets
    [item] = read.items
    assert (START, START + timedelta(hours=1), {"cursor": None}) == (read.start, read.end, usage.extra)
    assert (item.cost_micros, item.currency_code, item.extra) == (1_260_000, "USD", {"region": "eu"})
    assert (Decimal(21), 60_000) == (item.billed_units.quantity, item.billed_units.unit_price_micros)
    assert (
        item.api_key.label,
        item.api_key.redacted_key,
        item.api_key.extra,
    ) == ("press", "abc...xyz", {"rank": 2})
    assert "somebody" not in repr(item)


async def test_invoices_and_keys_are_read(vendor, client):
    """Times are aware; what is missing is None."""
    vendor.answer(200, {"invoices": [INVOICE]})
    vendor.answer(200, {"api_keys": [KEY_ROW]})
    [invoice] = await client.invoices()
    [found] = await client.api_keys()
    assert (invoice.total_micros, invoice.status, invoice.paid) == (12_000_001, "paid", None)
    assert (Decimal(200), 12_000_001) == (invoice.items[0].quantity, invoice.items[0].cost_micros)
    assert datetime(2026, 1, 2, 2, 4, 5, 678000, tzinfo=UTC) == found.created
    assert (found.id, found.extra) == ("k1", {"scopes": ["all"]})
    assert [one.target for one in vendor.received] == ["/v2/account/invoices", "/v2/account/api-keys"]


@pytest.mark.parametrize(
    ("start", "end", "options", "field"),
    [
        (START.replace(tzinfo=None), None, {}, "start"),
        (START, START.replace(tzinfo=None, hour=9), {}, "end"),
        (START, START, {}, "start"),
        (START, START - timedelta(seconds=1), {}, "start"),
        (START - timedelta(days=92), START + timedelta(seconds=1), {}, "start"),
        (START - timedelta(hours=168), START + timedelta(seconds=1), {"bucket": "1h"}, "start"),
        (START - timedelta(days=91), None, {"bucket": "1h"}, "start"),
        (START, None, {"bucket": "1m"}, "bucket"),
        (START, None, {"sources": ("web",)}, "sources"),
    ],
)
async def test_what_the_vendor_would_refuse_is_not_asked(vendor, client, start, end, options, field):
    """The error names the argument; a span counts up to now where no end is given."""
    with pytest.raises(InvalidRequest) as refused:
        await client.usage(start, end, **options)
    assert (field, []) == (refused.value.field, vendor.received)


@pytest.mark.parametrize(("bucket", "span"), [("1d", timedelta(days=92)), ("1h", timedelta(hours=168))])
async def test_the_longest_span_is_asked_for(vendor, client, bucket, span):
    """The limit itself is allowed."""
    vendor.answer(200, {"buckets": []})
    assert (await client.usage(START - span, START, bucket=bucket)).buckets == ()


async def test_a_key_that_is_no_administrators_is_told_so(vendor, client):
    """The vendor says only 404."""
    vendor.answer(404, {"message": "not found"})
    with pytest.raises(RequestRefused, match="administers its organization") as refused:
        await client.invoices()
    assert (refused.value.status, refused.value.vendor_message) == (404, "not found")


@pytest.mark.parametrize(
    ("status", "kind"), [(400, RequestRefused), (401, KeyRefused), (429, RateLimited), (500, Unavailable)]
)
async def test_other_refusals_are_what_they_are_elsewhere(vendor, client, status, kind):
    """Asking costs nothing, so nothing becomes uncertain."""
    vendor.answer(status, {"message": "no"})
    with pytest.raises(kind) as refused:
        await client.api_keys()
    assert "administers" not in str(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"buckets": [1]},
        {
            "buckets": [
                {"start_time": "2026-11-20T08:00:00", "end_time": "2026-11-20T09:00:00Z", "line_items": []}
            ]
        },
        {"buckets": [{"start_time": "soon", "end_time": "2026-11-20T09:00:00Z", "line_items": []}]},
        {
            "buckets": [
                {
                    "start_time": "2026-11-20T08:00:00Z",
                    "end_time": "2026-11-20T09:00:00Z",
                    "line_items": [{**ITEM, "cost_total": 1.26}],
                }
            ]
        },
    ],
)
async def test_a_malformed_report_is_no_report(vendor, client, answer):
    """Money that cannot be read exactly is not guessed."""
    vendor.answer(200, answer)
    with pytest.raises(Unavailable):
        await client.usage(START)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("0.06", 60_000),
        ("-1.5", -1_500_000),
        ("1e3", 1_000_000_000),
        ("0.0000005", 0),
        ("0.0000015", 2),
    ],
)
def test_amounts_are_exact_to_the_micro_dollar_and_rounded_half_to_even_below(text, micros):
    """No float is on the way."""
    assert micros == micros_of(text)


@pytest.mark.parametrize("text", ["", "free", "NaN", "Infinity", "1e30", 3, None, True])
def test_what_is_no_amount_is_refused(text):
    """A number where the vendor promises a text is none either: it may have lost digits."""
    with pytest.raises(ValueError, match="amount"):
        micros_of(text)
