import pytest

from pressroom.ideogram import MODELS, UPPER_BOUND_MICROS, ImageRequest, Wire, route, table_price


def price(wire=Wire.AUTO, **fields):
    return table_price(route(ImageRequest(prompt="p", **fields), wire))


@pytest.mark.parametrize(
    ("wire", "fields", "micros", "exact"),
    [
        (Wire.AUTO, {}, 60_000, False),
        (Wire.AUTO, {"quality": "high", "num_images": 8}, 800_000, False),
        (Wire.AUTO, {"model": "ideogram-4", "quality": "high"}, 100_000, True),
        (Wire.V4, {"quality": "low"}, 30_000, True),
        (Wire.V3, {"quality": "flash"}, 30_000, True),
        (Wire.V3, {"quality": "high", "num_images": 2}, 180_000, True),
        (Wire.V3, {"quality": "balanced"}, UPPER_BOUND_MICROS, False),
        (Wire.V3, {"custom_model_uri": "model/m/version/1"}, 120_000, False),
        (Wire.LEGACY, {}, 80_000, True),
        (Wire.LEGACY, {"model": "V_1_TURBO", "num_images": 3}, 60_000, True),
        (Wire.LEGACY, {"model": "AUTO"}, UPPER_BOUND_MICROS, False),
        (Wire.AUTO, {"model": "ideogram-3-transparent", "upscale_factor": "x1"}, 70_000, True),
        (
            Wire.AUTO,
            {"model": "ideogram-3-transparent", "upscale_factor": "x4", "quality": "high"},
            260_000,
            False,
        ),
        (
            Wire.AUTO,
            {"model": "ideogram-4-transparent", "output_resolution": "8k"},
            UPPER_BOUND_MICROS,
            False,
        ),
        (Wire.AUTO, {"model": "gpt-image-2"}, 211_000, False),
        (Wire.AUTO, {"model": "gpt-image-2", "size": "3840x2160"}, UPPER_BOUND_MICROS, False),
        (Wire.AUTO, {"model": "nano-banana-2", "output_resolution": "4k"}, UPPER_BOUND_MICROS, False),
    ],
)
def test_a_call_costs_what_the_list_says(wire, fields, micros, exact):
    """Micro-dollars for all pictures; what the list does not hold costs the stated bound."""
    got = price(wire, **fields)
    assert (micros, exact) == (got.micros, got.exact)


def test_editing_with_source_images_is_reserved_at_the_dearer_price():
    """Which of two prices applies to 4.5 with sources is unknown."""
    options = {"image_asset_identifiers": [{"asset_type": "ASSET", "asset_id": "a"}]}
    assert price(quality="high", options=options).micros == 220_000


def test_no_call_is_free():
    """Every model on every wire has a price above zero and at most the bound per picture."""
    for name, model in MODELS.items():
        if name == "ideogram-3-character":
            continue
        fields = {"custom_model_uri": "model/m/version/1"} if name.endswith("custom-model") else {}
        for wire in model.operations:
            assert 0 < price(wire, model=name, **fields).micros <= UPPER_BOUND_MICROS


def test_calls_that_agree_on_the_price_fields_cost_the_same():
    """A quote can be kept per price fields; they hold no prompt."""
    one = route(ImageRequest(prompt="one", seed=1, num_images=2))
    other = route(ImageRequest(prompt="another", seed=2, num_images=2, magic_prompt="off"))
    assert one.price_fields == other.price_fields
    assert one.price_fields != route(ImageRequest(prompt="one", num_images=3)).price_fields
    assert "one" not in one.price_fields.values()
