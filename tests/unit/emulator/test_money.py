from __future__ import annotations

import pytest

ASSET = {"asset_type": "UPLOAD", "asset_id": "a1"}
PRICES = [
    ("/generate", {"image_request": {"prompt": "a", "model": "V_1_TURBO"}}, 20_000),
    ("/generate", {"image_request": {"prompt": "a", "model": "V_2A", "num_images": 3}}, 120_000),
    ("/generate", {"image_request": {"prompt": "a"}}, 80_000),
    ("/v1/ideogram-v3/generate", {"prompt": "a", "rendering_speed": "FLASH"}, 30_000),
    ("/v1/ideogram-v3/generate", {"prompt": "a", "rendering_speed": "QUALITY", "num_images": 8}, 720_000),
    ("/v1/ideogram-v3/generate-transparent", {"prompt": "a", "upscale_factor": "X4"}, 230_000),
    ("/v1/ideogram-v4/generate", {"text_prompt": "a", "rendering_speed": "TURBO"}, 30_000),
    ("/v2/image/generate/ideogram-4-5", {"prompt": "a"}, 100_000),
    ("/v2/image/generate/ideogram-4-5", {"prompt": "a", "quality": "medium", "num_images": 2}, 120_000),
    ("/v2/image/generate/ideogram-4-5", {"prompt": "a", "image_asset_identifiers": [ASSET]}, 60_000),
    ("/v2/image/generate/ideogram-2a", {"prompt": "a", "rendering_speed": "turbo"}, 25_000),
    (
        "/v2/image/generate/ideogram-4-custom-model",
        {"prompt": "a", "custom_model_uri": "model/m/version/1"},
        120_000,
    ),
    ("/v2/image/generate/gpt-image-2", {"prompt": "a"}, 211_000),
    ("/v2/image/generate/p-image-ideogram", {"prompt": "a"}, 10_000),
]


@pytest.mark.parametrize(("path", "body", "micros"), PRICES)
def test_a_generation_is_billed_at_the_published_price(emulator, vendor, path, body, micros):
    """Micro-dollars in the ledger are the reference's price times the number of images."""
    assert vendor.post(path, json=body).status_code == 200
    (entry,) = emulator.control.ledger(pictures=False)
    assert micros == entry.billed_micros


@pytest.mark.parametrize(("path", "body", "micros"), [row for row in PRICES if row[0].startswith("/v2/")])
def test_a_quote_names_the_price_that_is_billed_and_buys_nothing(emulator, vendor, path, body, micros):
    """`dry_run` validates and prices; the ledger stays empty and the quote is counted apart."""
    quote = vendor.post(path, params={"dry_run": "true"}, json=body).json()
    assert ("price_quote", micros, "exact") == (quote["object"], quote["usd_micros"], quote["qualifier"])
    assert body.get("num_images", 1) == quote["quantity"]
    totals = emulator.control.totals()
    assert (totals.generations, totals.posts_received) == (0, 1)


def test_a_variable_price_is_estimated_and_told_on_completion(emulator, vendor):
    """generate/auto is quoted with an upper bound and polled with its cost; a fixed price is polled without."""
    path = "/v2/image/generate/auto"
    quote = vendor.post(path, params={"dry_run": "true"}, json={"prompt": "a"}).json()
    assert (
        quote["qualifier"],
        quote["usd_micros"],
        quote["upper_bound_usd_micros"],
    ) == ("estimate", 30_000, 120_000)
    auto = vendor.post(path, json={"prompt": "a", "resolution_tier": "2k", "async": True}).json()[
        "generation_id"
    ]
    fixed = vendor.post("/v2/image/generate/z-image", json={"prompt": "a", "async": True}).json()[
        "generation_id"
    ]
    assert vendor.get(f"/v2/generations/{auto}").json()["usage_cost_usd_micros"] == 60_000
    assert "usage_cost_usd_micros" not in vendor.get(f"/v2/generations/{fixed}").json()
    assert [entry.billed_micros for entry in emulator.control.ledger(pictures=False)] == [60_000, 5_000]


@pytest.mark.parametrize("path", ["/generate", "/v1/ideogram-v3/generate", "/v1/ideogram-v4/generate"])
def test_a_dry_run_is_refused_where_it_is_not_declared(emulator, vendor, path):
    """Older operations take no `dry_run`; the emulator refuses it, where the vendor may run and bill it."""
    assert vendor.post(path, params={"dry_run": "true"}, json={}).status_code == 400
    assert emulator.control.totals().generations == 0


@pytest.mark.parametrize(("billed", "micros"), [(True, 120_000), (False, 60_000)])
def test_whether_unsafe_images_cost_money_is_a_setting(emulator, vendor, billed, micros):
    """With one unsafe image of two, both or one are billed."""
    emulator.control.settings(bill_unsafe=billed)
    body = {"prompt": "a [emulator:unsafe-first]", "num_images": 2, "rendering_speed": "default"}
    vendor.post("/v2/image/generate/ideogram-4", json=body)
    assert [micros] == [entry.billed_micros for entry in emulator.control.ledger(pictures=False)]
