import pytest

from pressroom.errors import InvalidRequest
from pressroom.ideogram import MODELS, OPERATIONS, Call, ImageRequest, Wire, route
from pressroom.ideogram.tables import enums


def call(wire=Wire.AUTO, **fields) -> Call:
    return route(ImageRequest(prompt="a quiet harbour", **fields), wire)


def test_nothing_but_a_prompt_goes_to_the_newest_model_privately_and_asynchronously():
    """The default is v2, ideogram-4-5, medium, private, acknowledged at once."""
    assert call() == Call(
        "v2/generate/ideogram-4-5",
        {"prompt": "a quiet harbour", "num_images": 1, "quality": "medium", "private": True},
        True,
    )


@pytest.mark.parametrize(
    ("wire", "fields", "operation", "expected"),
    [
        (Wire.V4, {}, "v4/async/generate", {"text_prompt": "a quiet harbour", "rendering_speed": "DEFAULT"}),
        (Wire.V3, {"aspect_ratio": "16:9"}, "v3/generate", {"aspect_ratio": "16x9"}),
        (
            Wire.V3,
            {"style": "Fiction", "quality": "flash"},
            "v3/generate",
            {"style_type": "FICTION", "rendering_speed": "FLASH"},
        ),
        (Wire.V3, {"style_preset": "art_deco"}, "v3/generate", {"style_preset": "ART_DECO"}),
        (Wire.V3, {"color_palette": {"name": "Ember"}}, "v3/generate", {"color_palette": {"name": "EMBER"}}),
        (Wire.LEGACY, {}, "legacy/generate", {"model": "V_2"}),
        (Wire.LEGACY, {"quality": "low"}, "legacy/generate", {"model": "V_2_TURBO"}),
        (Wire.LEGACY, {"aspect_ratio": "16x9"}, "legacy/generate", {"aspect_ratio": "ASPECT_16_9"}),
        (Wire.LEGACY, {"size": "1024x640"}, "legacy/generate", {"resolution": "RESOLUTION_1024_640"}),
        (Wire.LEGACY, {"magic_prompt": "on"}, "legacy/generate", {"magic_prompt_option": "ON"}),
        (Wire.LEGACY, {"model": "ideogram-3"}, "legacy/generate", {"model": "V_3"}),
        (Wire.AUTO, {"model": "V_2_TURBO"}, "v2/generate/ideogram-2", {"rendering_speed": "turbo"}),
        (Wire.AUTO, {"model": "V_2A"}, "v2/generate/ideogram-2a", {"rendering_speed": "default"}),
        (Wire.AUTO, {"model": "AUTO"}, "v2/generate/auto", {}),
        (
            Wire.AUTO,
            {"model": "V_3", "color_palette": {"name": "EMBER"}},
            "v2/generate/ideogram-3",
            {"color_palette": {"name": "ember"}},
        ),
        (Wire.AUTO, {"aspect_ratio": "4:5"}, "v2/generate/ideogram-4-5", {"size": "1792x2240"}),
        (
            Wire.AUTO,
            {"aspect_ratio": "5x4", "output_resolution": "1K"},
            "v2/generate/ideogram-4-5",
            {"size": "1120x896"},
        ),
        (
            Wire.AUTO,
            {"model": "gpt-image-2", "aspect_ratio": "16x9"},
            "v2/generate/gpt-image-2",
            {"aspect_ratio": "16:9"},
        ),
        (
            Wire.AUTO,
            {"model": "nano-banana-2", "output_resolution": "4k"},
            "v2/generate/nano-banana-2",
            {"resolution_tier": "4K"},
        ),
        (
            Wire.AUTO,
            {"model": "p-image-ideogram", "size": "1008x640"},
            "v2/generate/p-image-ideogram",
            {"custom_width": 1008, "custom_height": 640},
        ),
        (
            Wire.AUTO,
            {"model": "p-image-ideogram", "output_resolution": "2k"},
            "v2/generate/p-image-ideogram",
            {"resolution": "2k"},
        ),
        (
            Wire.AUTO,
            {"model": "ideogram-4", "custom_model_uri": "model/m/version/1"},
            "v2/generate/ideogram-4-custom-model",
            {"custom_model_uri": "model/m/version/1"},
        ),
        (
            Wire.AUTO,
            {"model": "ideogram-3-transparent", "upscale_factor": "X2"},
            "v2/generate/ideogram-3-transparent",
            {"upscale_factor": "x2"},
        ),
        (
            Wire.V3,
            {"model": "ideogram-3-transparent", "upscale_factor": "x2"},
            "v3/generate-transparent",
            {"upscale_factor": "X2"},
        ),
        (
            Wire.AUTO,
            {"private": False, "copyright_detection": True},
            "v2/generate/ideogram-4-5",
            {"private": False, "enable_copyright_detection": True},
        ),
        (
            Wire.AUTO,
            {"model": "gpt-image-2-5-flare", "options": {"background": "opaque"}},
            "v2/generate/gpt-image-2-5-flare",
            {"background": "opaque"},
        ),
    ],
)
def test_each_wire_gets_the_request_in_its_own_words(wire, fields, operation, expected):
    """One canonical field becomes the vendor's field of that wire, spelled its way."""
    made = call(wire, **fields)
    assert operation == made.operation
    assert expected == {name: made.fields[name] for name in expected}


@pytest.mark.parametrize(
    ("fields", "operation"),
    [
        ({"model": "V_1"}, "legacy/generate"),
        ({"model": "V_2", "magic_prompt_version": "V_0_8"}, "legacy/generate"),
        ({"model": "ideogram-3", "quality": "flash"}, "v3/generate"),
        ({"model": "ideogram-3", "quality": "balanced"}, "v3/generate"),
        (
            {"model": "ideogram-3-transparent", "custom_model_uri": "model/m/version/1"},
            "v3/generate-transparent",
        ),
    ],
)
def test_auto_falls_back_to_the_wire_that_says_all_of_it(fields, operation):
    """What v2 cannot say goes to the older wire that can, synchronously."""
    made = call(**fields)
    assert (operation, False, "v1") == (made.operation, made.asynchronous, made.api)


@pytest.mark.parametrize(
    ("wire", "fields", "field", "allowed"),
    [
        (Wire.V4, {"num_images": 2}, "num_images", "wire v2"),
        (Wire.V4, {"magic_prompt": "off"}, "magic_prompt", "wire v2"),
        (Wire.V4, {"private": True}, "private", "no such field"),
        (Wire.V3, {"model": "ideogram-4"}, "model", "ideogram-3"),
        (Wire.AUTO, {"model": "ideogram-5"}, "model", "ideogram-4-5"),
        (Wire.AUTO, {"negative_prompt": "rain"}, "negative_prompt", "ideogram-3"),
        (Wire.AUTO, {"size": "1000x1000"}, "size", "2048x2048"),
        (Wire.AUTO, {"size": "1024x640", "model": "ideogram-4"}, "size", "1024x1024"),
        (Wire.AUTO, {"quality": "very_low"}, "quality", "image_asset_identifiers"),
        (Wire.AUTO, {"quality": "very_high"}, "quality", "medium"),
        (Wire.AUTO, {"model": "V_2_TURBO", "quality": "high"}, "quality", "low"),
        (Wire.AUTO, {"model": "V_1", "style": "general"}, "style", "V_2"),
        (Wire.LEGACY, {"model": "V_2A", "negative_prompt": "rain"}, "negative_prompt", "V_2"),
        (Wire.LEGACY, {"model": "V_2", "quality": "high"}, "quality", "medium"),
        (
            Wire.AUTO,
            {"model": "ideogram-3", "style_codes": ["AAFF5733"], "style": "general"},
            "style_codes",
            "exclude",
        ),
        (Wire.AUTO, {"model": "ideogram-3", "style_codes": ["xyz"]}, "style_codes", "form"),
        (Wire.AUTO, {"model": "ideogram-3-character"}, "character_reference_images", "exactly one"),
        (Wire.AUTO, {"model": "ideogram-3-custom-model"}, "custom_model_uri", "needs it"),
        (Wire.AUTO, {"options": {"size": "1024x1024"}}, "options.size", "use size"),
        (Wire.AUTO, {"options": {"brightness": 2}}, "options.brightness", "takes prompt"),
        (Wire.AUTO, {"model": "gpt-image-2-5-flare", "size": "4000x1000"}, "size", "multiples of 16"),
        (Wire.AUTO, {"model": "p-image-ideogram", "size": "4096x4096"}, "size", "4194304"),
    ],
)
def test_what_a_model_or_wire_cannot_say_is_refused_naming_the_field(wire, fields, field, allowed):
    """Nothing is dropped in silence: the error names the caller's field and what would be taken."""
    with pytest.raises(InvalidRequest) as caught:
        call(wire, **fields)
    assert field == caught.value.field
    assert allowed in caught.value.allowed


def test_a_structured_prompt_becomes_json_on_the_v4_wire():
    """V4's JSON prompt travels as an object there and as text on v2."""
    text = (
        '{"high_level_description": "h", "compositional_deconstruction": {"background": "b", "elements": []}}'
    )
    there = route(ImageRequest(prompt=text, model="ideogram-4"), Wire.V4)
    assert there.fields["json_prompt"]["high_level_description"] == "h"
    assert text == route(ImageRequest(prompt=text, model="ideogram-4")).fields["prompt"]


def test_an_incomplete_structured_prompt_is_refused_without_showing_it():
    """The parts that the vendor requires are checked before anything is sent."""
    with pytest.raises(InvalidRequest) as caught:
        route(ImageRequest(prompt='{"high_level_description": "SECRET"}'), Wire.V4)
    assert caught.value.field == "prompt"
    assert "SECRET" not in str(caught.value)


def test_every_model_routes_on_every_wire_it_is_listed_for():
    """The table of models and the table of operations agree."""
    extra = {"custom_model_uri": "model/m/version/1"}
    for name, model in MODELS.items():
        for wire, operation in model.operations.items():
            if name == "ideogram-3-character":
                continue
            fields = extra if name.endswith("custom-model") else {}
            assert operation == call(wire, model=name, **fields).operation


def test_the_lists_have_as_many_entries_as_the_vendor_publishes():
    """Counts of reference section 5 and 4.4."""
    assert tuple(map(len, (enums.SIZES_LEGACY, enums.SIZES_V3, enums.SIZES_V4, enums.SIZES_45))) == (
        78,
        69,
        38,
        36,
    )
    assert tuple(map(len, (enums.STYLE_PRESETS, enums.RATIOS_V3, enums.RATIOS_V4))) == (62, 15, 18)
    assert sum(operation.dry_run for operation in OPERATIONS.values()) == 18


def test_a_call_survives_storage_and_hides_its_prompt():
    """A stored call comes back equal; its repr names fields only."""
    made = call(num_images=3, seed=7)
    assert made == Call.from_json(made.to_json())
    assert "harbour" not in repr(made)
    assert (made.api, made.num_images) == ("v2", 3)


@pytest.mark.parametrize(
    ("stored", "field"),
    [
        ({"operation": "v9/x", "fields": {}, "asynchronous": True}, "operation"),
        ({"operation": "v3/generate", "fields": {"prompt": "p"}, "asynchronous": True}, "asynchronous"),
        ({"operation": "v3/generate", "fields": {}, "asynchronous": False}, "prompt"),
        ({"operation": "v3/generate", "fields": [], "asynchronous": False}, "fields"),
        (
            {"operation": "v3/generate", "fields": {"prompt": "p", "seed": 2**31}, "asynchronous": False},
            "seed",
        ),
        (
            {"operation": "v3/generate", "fields": {"prompt": "p", "seed": True}, "asynchronous": False},
            "seed",
        ),
    ],
)
def test_a_stored_call_that_no_longer_fits_the_table_is_refused(stored, field):
    """A row from another version cannot buy something the table does not know."""
    with pytest.raises(InvalidRequest) as caught:
        Call.from_json(stored)
    assert field == caught.value.field
