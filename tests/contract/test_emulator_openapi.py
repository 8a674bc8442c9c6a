"""The emulator's legacy and V3 answers, held against the vendor's own OpenAPI file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx2
import pytest
from jsonschema import Draft4Validator, FormatChecker
from tests.support.emulator import emulator_thread

from pressroom.emulator import enums
from pressroom.emulator.generating import OPERATIONS

LEGACY = "/generate"
V3 = "/v1/ideogram-v3/generate"
V3_TRANSPARENT = "/v1/ideogram-v3/generate-transparent"


@pytest.fixture(scope="module")
def contract():
    """The vendor's file, with OpenAPI's `nullable` turned into JSON Schema."""
    name = os.environ.get("PRESSROOM_VENDOR_OPENAPI")
    if not name:
        pytest.skip(
            "PRESSROOM_VENDOR_OPENAPI names no file: the vendor's OpenAPI document is not part of this repository"
        )
    return _with_null(json.loads(Path(name).read_text()))


def _with_null(node):
    if isinstance(node, list):
        return [_with_null(item) for item in node]
    if not isinstance(node, dict):
        return node
    turned = {key: _with_null(value) for key, value in node.items()}
    if turned.pop("nullable", False) is True and isinstance(turned.get("type"), str):
        turned["type"] = [turned["type"], "null"]
    return turned


@pytest.fixture(scope="module")
def vendor(tmp_path_factory):
    with (
        emulator_thread(tmp_path_factory.mktemp("emulator") / "books.sqlite", time_scale=0) as emulator,
        httpx2.Client(base_url=emulator.base_url, headers={"Api-Key": "k"}, trust_env=False) as client,
    ):
        yield client


def schema_of_answer(contract, path, status):
    answer = contract["paths"][path]["post"]["responses"][status]
    return answer.get("content", {}).get("application/json", {}).get("schema")


def request_schema(contract, path):
    body = contract["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return resolved(contract, body)


def resolved(contract, schema):
    while "$ref" in schema:
        node = contract
        for step in schema["$ref"].removeprefix("#/").split("/"):
            node = node[step]
        schema = node
    return schema


def problems(contract, schema, value):
    validator = Draft4Validator(
        {**schema, "components": contract["components"]}, format_checker=FormatChecker()
    )
    return [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(value)]


ANSWERS = [
    (LEGACY, {"image_request": {"prompt": "a"}}),
    (LEGACY, {"image_request": {"prompt": "a", "model": "V_3", "style_type": "RENDER_3D", "num_images": 8}}),
    (LEGACY, {"image_request": {"prompt": "a [emulator:unsafe]", "num_images": 3}}),
    (V3, {"prompt": "a"}),
    (V3, {"prompt": "a", "style_type": "FICTION", "resolution": "1312x736", "num_images": 4}),
    (V3, {"prompt": "a [emulator:unsafe-first]", "num_images": 3}),
    (V3_TRANSPARENT, {"prompt": "a"}),
    (V3_TRANSPARENT, {"prompt": "a", "upscale_factor": "X4", "aspect_ratio": "16x9"}),
]


@pytest.mark.parametrize(("path", "body"), ANSWERS)
def test_a_success_has_the_shape_of_the_vendors_schema(contract, vendor, path, body):
    """Every field the vendor requires is there, with the vendor's types and enumerations."""
    assert problems(contract, request_schema(contract, path), body) == []
    answer = vendor.post(path, json=body)
    assert answer.status_code == 200
    assert problems(contract, schema_of_answer(contract, path, "200"), answer.json()) == []


def test_the_check_itself_finds_a_wrong_answer(contract, vendor):
    """Without this the schema might be one that everything fits."""
    answer = vendor.post(V3, json={"prompt": "a"}).json()
    del answer["data"][0]["seed"]
    answer["data"][0]["resolution"] = 7
    found = " ".join(problems(contract, schema_of_answer(contract, V3, "200"), answer))
    assert "'seed' is a required property" in found
    assert "7 is not of type 'string'" in found


@pytest.mark.parametrize("path", [LEGACY, V3, V3_TRANSPARENT])
def test_a_safety_refusal_has_the_shape_of_the_vendors_schema(contract, vendor, path):
    """422 carries `error`."""
    body = {"prompt": "a [emulator:refuse]"}
    answer = vendor.post(path, json={"image_request": body} if path == LEGACY else body)
    assert answer.status_code == 422
    assert problems(contract, schema_of_answer(contract, path, "422"), answer.json()) == []


@pytest.mark.parametrize("path", [LEGACY, V3, V3_TRANSPARENT])
def test_the_fields_are_those_of_the_vendors_schema(contract, path):
    """Nothing the vendor takes is missing; what is more came with the vendor's later file."""
    schema = request_schema(contract, path)
    if path == LEGACY:
        schema = resolved(contract, schema["properties"]["image_request"])
    ours = {field.name for field in OPERATIONS[path].fields}
    assert set(schema["properties"]) - ours == set()
    assert ours - set(schema["properties"]) <= {"enable_copyright_detection"}
    assert {field.name for field in OPERATIONS[path].fields if field.required} == set(schema["required"])


@pytest.mark.parametrize(
    ("schema", "ours"),
    [
        ("ResolutionV3", enums.V3_SIZES),
        ("AspectRatioV3", enums.V3_RATIOS),
        ("RenderingSpeed", enums.V3_SPEEDS),
        ("StyleTypeV3", enums.V3_STYLES),
        ("StylePresetV3", enums.V3_PRESETS),
        ("UpscaleFactor", enums.V3_UPSCALES),
        ("MagicPromptOption", enums.MAGIC_PROMPT),
        ("Resolution", enums.LEGACY_SIZES),
        ("AspectRatio", enums.LEGACY_RATIOS),
        ("StyleType", enums.LEGACY_STYLES),
        ("ModelEnum", enums.LEGACY_MODELS),
        ("ColorPalettePresetName", enums.PALETTES),
    ],
)
def test_the_enumerations_are_the_vendors(contract, schema, ours):
    """Value by value."""
    assert set(contract["components"]["schemas"][schema]["enum"]) == set(ours)
