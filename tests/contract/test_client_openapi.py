"""The client's requests of legacy and V3, held against the vendor's own description."""

import copy
import json
import os
from pathlib import Path

import jsonschema
import pytest

from pressroom.ideogram import ImageRequest, Wire, route
from pressroom.ideogram.operations import Kind
from pressroom.ideogram.tables import OPERATIONS
from pressroom.ideogram.wire import encode

NAME = "PRESSROOM_VENDOR_OPENAPI"
REQUESTS = [
    (Wire.LEGACY, {}),
    (Wire.LEGACY, {"model": "V_1", "aspect_ratio": "10x16", "seed": 5, "num_images": 8}),
    (
        Wire.LEGACY,
        {"model": "V_2_TURBO", "size": "1024x640", "negative_prompt": "rain", "style": "render_3d"},
    ),
    (
        Wire.LEGACY,
        {"magic_prompt": "off", "magic_prompt_version": "V_0_3", "color_palette": {"name": "jungle"}},
    ),
    (Wire.LEGACY, {"model": "V_3", "style": "anime"}),
    (Wire.LEGACY, {"model": "AUTO"}),
    (Wire.V3, {}),
    (Wire.V3, {"aspect_ratio": "4:5", "quality": "flash", "style": "fiction", "seed": 2147483647}),
    (Wire.V3, {"size": "800x1280", "quality": "balanced", "magic_prompt": "auto", "negative_prompt": "rain"}),
    (Wire.V3, {"style_preset": "80s_illustration", "color_palette": {"members": [{"color_hex": "#00ff00"}]}}),
    (Wire.V3, {"style_codes": ["AAFF5733", "0133FF57"], "num_images": 3}),
    (Wire.V3, {"custom_model_uri": "model/m/version/1"}),
    (
        Wire.V3,
        {"model": "ideogram-3-transparent", "upscale_factor": "x4", "aspect_ratio": "1x3", "quality": "high"},
    ),
]


@pytest.fixture(scope="module")
def described():
    place = os.environ.get(NAME)
    if not place:
        pytest.skip(f"{NAME} names no description of the vendor's API")
    return json.loads(Path(place).read_text(encoding="utf-8"))


def closed(described, operation, media="application/json"):
    """The request schema with its references inside and no field beyond those it lists."""
    schema = copy.deepcopy(
        described["paths"][operation.path]["post"]["requestBody"]["content"][media]["schema"]
    )
    parts = copy.deepcopy(described["components"])
    for part in parts["schemas"].values():
        if "properties" in part and "oneOf" not in part and "allOf" not in part:
            part.setdefault("additionalProperties", False)
    return {**schema, "components": parts}


@pytest.mark.parametrize(("wire", "fields"), REQUESTS)
def test_what_the_client_sends_fits_the_vendors_schema(described, wire, fields):
    """Every field is known there, of the right type and one of the listed values."""
    call = route(ImageRequest(prompt="a cat", **fields), wire)
    jsonschema.Draft4Validator(closed(described, OPERATIONS[call.operation])).validate(
        json.loads(encode(call).content)
    )


@pytest.mark.parametrize("change", [{"seed": -1}, {"resolution": "7x7"}, {"colour": "red"}, {"prompt": None}])
def test_the_schema_would_notice(described, change):
    """The check above can fail."""
    call = route(ImageRequest(prompt="a cat"), Wire.V3)
    body = {k: v for k, v in (json.loads(encode(call).content) | change).items() if v is not None}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(closed(described, OPERATIONS[call.operation])).validate(body)


NEWER = {"enable_copyright_detection"}
"""Fields of the vendor's description of 2026-10 that the one of 2026-06 does not have."""


@pytest.mark.parametrize("name", ["legacy/generate", "v3/generate", "v3/generate-transparent"])
def test_the_table_has_the_vendors_fields_and_values(described, name):
    """No field and no value of the vendor's list is missing, and none is made up."""
    operation = OPERATIONS[name]
    schemas = described["components"]["schemas"]

    def resolved(schema):
        return schemas[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema

    schema = resolved(
        described["paths"][operation.path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    )
    if operation.wrapper is not None:
        schema = resolved(schema["properties"][operation.wrapper])
    assert set(schema["properties"]) == set(operation.fields) - NEWER
    assert set(schema["required"]) == {field.name for field in operation.fields.values() if field.required}
    for field_name, listed in schema["properties"].items():
        field, values = operation.fields[field_name], resolved(listed).get("enum")
        if values is not None:
            refused_live = (
                {"FLASH"} if name == "v3/generate-transparent" and field_name == "rendering_speed" else set()
            )
            assert (Kind.CHOICE, set(values) - refused_live) == (field.kind, set(field.choices))


@pytest.mark.parametrize("name", ["legacy/generate", "v3/generate", "v3/generate-transparent"])
def test_the_table_has_the_vendors_body_kinds(described, name):
    """JSON only for legacy, either for V3."""
    content = described["paths"][OPERATIONS[name].path]["post"]["requestBody"]["content"]
    expected = "json" if set(content) == {"application/json"} else "either"
    assert expected == OPERATIONS[name].body
    assert OPERATIONS[name].dry_run is False
