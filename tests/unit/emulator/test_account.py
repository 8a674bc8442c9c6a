"""The emulator's account calls, told from its own books."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from pressroom.emulator.settings import fingerprint

PATH = "/v2/image/generate/ideogram-4"
MINE = fingerprint("key-1")


def buy(vendor, count=1, path=PATH, **fields):
    for _ in range(count):
        assert vendor.post(path, json={"prompt": "a cat", **fields}).status_code == 200


def usage(vendor, **query):
    start = datetime.now(UTC) - timedelta(hours=1)
    return vendor.get("/v2/account/usage", params={"start_time": start.isoformat(), **query})


def items(answer):
    return [item for bucket in answer.json()["buckets"] for item in bucket["line_items"]]


def test_what_was_billed_is_told_by_hour_model_and_key(vendor, emulator):
    """The sums are those of the ledger, as decimal texts."""
    buy(vendor, 3)
    buy(vendor, 1, num_images=2)
    with httpx2.Client(base_url=emulator.base_url, headers={"Api-Key": "key-2"}, trust_env=False) as other:
        buy(other, 1, "/v2/image/generate/ideogram-4-5")
    answer = usage(vendor, bucket_width="1h")
    assert answer.status_code == 200
    buckets = answer.json()["buckets"]
    assert len(buckets) == 2
    found = {(item["product"], item["api_key"]["redacted_key"]): item for item in items(answer)}
    assert set(found) == {("ideogram-4", MINE), ("ideogram-4-5", fingerprint("key-2"))}
    ours = found["ideogram-4", MINE]
    assert ours["billed_units"] == {"unit": "image", "quantity": "5", "unit_price": "0.060000"}
    assert (ours["cost_total"], ours["currency_code"], ours["source"]) == ("0.300000", "USD", "api")
    total = sum(round(float(item["cost_total"]) * 1_000_000) for item in items(answer))
    assert emulator.control.totals().billed_micros == total


def test_days_begin_at_midnight_utc_and_the_end_is_exclusive(vendor):
    """Buckets are whole; what lies outside the asked span is not in them."""
    buy(vendor)
    now = datetime.now(UTC)
    past = vendor.get(
        "/v2/account/usage",
        params={
            "start_time": (now - timedelta(days=2)).isoformat(),
            "end_time": (now - timedelta(hours=1)).isoformat(),
        },
    )
    starts = [datetime.fromisoformat(bucket["start_time"]) for bucket in past.json()["buckets"]]
    assert {(start.hour, start.minute) for start in starts} == {(0, 0)}
    assert items(past) == []
    assert len(items(usage(vendor))) == 1


def test_only_apps_have_bought_nothing(vendor):
    """Everything here was bought with a key."""
    buy(vendor)
    assert items(usage(vendor, sources="app")) == []
    assert len(items(usage(vendor, sources=["api", "app"]))) == 1


def test_the_report_lags_as_it_is_told_to(vendor, emulator):
    """So a comparison meets what the vendor warns of."""
    buy(vendor)
    emulator.control.settings(usage_lag_s=60)
    assert items(usage(vendor)) == []
    emulator.control.settings(usage_lag_s=0)
    assert len(items(usage(vendor))) == 1


def test_invoices_sum_up_a_month(vendor):
    """The running month is a draft."""
    buy(vendor, 2)
    [invoice] = vendor.get("/v2/account/invoices").json()["invoices"]
    assert (invoice["status"], invoice["total"], invoice.get("paid_time")) == ("draft", "0.120000", None)
    begins = datetime.fromisoformat(invoice["start_time"])
    assert (begins.day, begins.hour) == (1, 0)


def test_keys_are_told_by_fingerprint_with_their_status(vendor, emulator):
    """One that bought and is no longer accepted is disabled."""
    buy(vendor)
    emulator.control.settings(api_keys=["key-1", "key-2"])
    rows = {row["api_key_id"]: row for row in vendor.get("/v2/account/api-keys").json()["api_keys"]}
    assert {MINE: "active", fingerprint("key-2"): "active"} == {k: row["status"] for k, row in rows.items()}
    created = datetime.fromisoformat(rows[MINE]["creation_time"])
    assert abs(created.timestamp() - time.time()) < 60
    emulator.control.settings(api_keys=["key-2"])
    assert vendor.get("/v2/account/api-keys").status_code == 401
    vendor.headers["Api-Key"] = "key-2"
    rows = {row["api_key_id"]: row for row in vendor.get("/v2/account/api-keys").json()["api_keys"]}
    assert rows[MINE]["status"] == "disabled"


@pytest.mark.parametrize("path", ["usage?start_time=2026-11-20T00:00:00Z", "invoices", "api-keys"])
def test_a_key_whose_owner_is_no_administrator_gets_404(vendor, emulator, path):
    """As the vendor answers it."""
    emulator.control.settings(admin=False)
    assert vendor.get(f"/v2/account/{path}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"start_time": "yesterday"},
        {"start_time": "2026-11-20T00:00:00"},
        {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-04-04T00:00:00Z"},
        {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-08T01:00:00Z", "bucket_width": "1h"},
        {"start_time": "2026-01-02T00:00:00Z", "end_time": "2026-01-02T00:00:00Z"},
        {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z", "bucket_width": "1m"},
        {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z", "sources": "web"},
    ],
)
def test_a_wrong_query_is_refused_with_a_sentence(vendor, query):
    """400, as the reference says."""
    answer = vendor.get("/v2/account/usage", params=query)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_faults_of_polls_act_on_account_calls_by_name(vendor, emulator):
    """`v2.account.usage` is one of the names that a script matches."""
    emulator.control.fault("poll_503", "v2.account.usage")
    assert usage(vendor).status_code == 503
    assert vendor.get("/v2/account/invoices").status_code == 200
