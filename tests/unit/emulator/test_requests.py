from __future__ import annotations

import json
import re

import httpx2
import pytest

from pressroom.emulator.generating import OPERATIONS
from pressroom.emulator.operations_v2 import V2_OPERATIONS

V3 = "/v1/ideogram-v3/generate"
V3T = "/v1/ideogram-v3/generate-transparent"
V4 = "/v1/ideogram-v4/generate"
V45 = "/v2/image/generate/ideogram-4-5"
V2_3 = "/v2/image/generate/ideogram-3"
V2_4 = "/v2/image/generate/ideogram-4"
EXTRA = {
    "ideogram-3-character": {"character_reference_collection_id": "c" * 22},
    "ideogram-3-custom-model": {"custom_model_uri": "model/m/version/1"},
    "ideogram-4-custom-model": {"custom_model_uri": "model/m/version/1"},
}
ASSET = {"asset_type": "UPLOAD", "asset_id": "a1"}


def legacy(**fields):
    return {"image_request": {"prompt": "a cat", **fields}}


REFUSED = [
    ("/generate", {"prompt": "a cat"}, "image_request"),
    ("/generate", {"image_request": {}}, "prompt"),
    ("/generate", legacy(aspect_ratio="16x9"), "aspect_ratio"),
    ("/generate", legacy(num_images=9), "num_images"),
    ("/generate", legacy(seed=2**31), "seed"),
    ("/generate", legacy(seed=-1), "seed"),
    ("/generate", legacy(seed="7"), "seed"),
    ("/generate", legacy(seed=True), "seed"),
    ("/generate", legacy(seed=None), "seed"),
    ("/generate", legacy(aspect_ratio="ASPECT_1_1", resolution="RESOLUTION_1024_1024"), "together"),
    ("/generate", legacy(model="V_1", style_type="DESIGN"), "style_type"),
    ("/generate", legacy(model="V_2A", negative_prompt="rain"), "negative_prompt"),
    ("/generate", legacy(color_palette={"name": "EMBER", "members": []}), "color_palette"),
    ("/generate", legacy(color_palette={"members": [{"color_hex": "red"}]}), "color_hex"),
    ("/generate", legacy(rendering_speed="TURBO"), "rendering_speed"),
    (V3, {"prompt": ""}, "prompt"),
    (V3, {"prompt": "a cat", "rendering_speed": "turbo"}, "rendering_speed"),
    (V3, {"prompt": "a cat", "resolution": "2048x2048"}, "resolution"),
    (V3, {"prompt": "a cat", "style_codes": ["xyz"]}, "style_codes"),
    (V3, {"prompt": "a cat", "style_codes": ["AAFF0012"], "style_type": "DESIGN"}, "style_codes"),
    (V3, {"prompt": "a cat", "style_reference_images": ["aGk="]}, "multipart"),
    (V3T, {"prompt": "a cat", "rendering_speed": "FLASH"}, "FLASH"),
    (V3T, {"prompt": "a cat", "resolution": "1024x1024"}, "resolution"),
    (V4, {"prompt": "a cat"}, "prompt"),
    (V4, {"text_prompt": "a", "json_prompt": {"high_level_description": "a"}}, "json_prompt"),
    (V4, {}, "exactly one"),
    (V4, {"text_prompt": "a", "rendering_speed": "FLASH"}, "FLASH"),
    (V4, {"text_prompt": "a", "num_images": 2}, "num_images"),
    (V45, {"prompt": "a" * 10_001}, "prompt"),
    (V45, {"prompt": "a\ud800"}, "surrogate"),
    (V45, {"prompt": "a", "quality": "very_low"}, "very_low"),
    (V45, {"prompt": "a", "size": "512x1536"}, "size"),
    (V45, {"prompt": "a", "size": "source"}, "source"),
    (V45, {"prompt": "a", "size": "260x256", "image_asset_identifiers": [ASSET]}, "size"),
    (V45, {"prompt": "a", "aspect_ratio": "1x1"}, "aspect_ratio"),
    (V45, {"prompt": "a", "async": "true"}, "async"),
    (V45, {"prompt": "a", "webhook_url": "http://example.com/hook"}, "webhook_url"),
    (V45, {"prompt": "a", "webhook_url": "https://192.168.1.1/hook"}, "private"),
    (V2_3, {"prompt": "a", "style_preset": "aura", "style_codes": ["AAFF0012"]}, "style_preset"),
    (V2_3, {"prompt": "a", "magic_prompt": "AUTO"}, "magic_prompt"),
    (V2_4, {"prompt": "a", "negative_prompt": "rain"}, "negative_prompt"),
    ("/v2/image/generate/ideogram-3-character", {"prompt": "a"}, "exactly one"),
    ("/v2/image/generate/ideogram-3-custom-model", {"prompt": "a"}, "custom_model_uri"),
    ("/v2/image/generate/auto", {"prompt": "a", "resolution": "99999x10"}, "resolution"),
    ("/v2/image/generate/auto", {"prompt": "a", "webhook_url": "https://example.com"}, "webhook_url"),
    ("/v2/image/generate/gpt-image-2-5-flare", {"prompt": "a", "resolution": "640x640"}, "resolution"),
    ("/v2/image/generate/nano-banana-pro", {"prompt": "a", "aspect_ratio": "8:1"}, "aspect_ratio"),
    ("/v2/image/generate/p-image-ideogram", {"prompt": "a", "custom_width": 512}, "together"),
    ("/v2/image/generate/z-image", {"prompt": "a", "num_inference_steps": 0}, "num_inference_steps"),
]


@pytest.mark.parametrize(("path", "body", "named"), REFUSED)
def test_a_wrong_request_is_refused_with_a_sentence_and_nothing_is_accepted(
    emulator, vendor, path, body, named
):
    """A 400 names what is wrong, the ledger stays empty and the POST is counted."""
    answer = vendor.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert named in answer.json()["message"]
    totals = emulator.control.totals()
    assert (totals.generations, totals.posts_received) == (0, 1)


@pytest.mark.parametrize("model", [row.model for row in V2_OPERATIONS])
def test_every_v2_model_takes_a_plain_prompt_and_answers_with_an_image(emulator, vendor, model):
    """All 18 models of the reference are imitated, synchronously."""
    answer = vendor.post(
        f"/v2/image/generate/{model}", json={"prompt": "a cat", "seed": 5, **EXTRA.get(model, {})}
    )
    assert answer.status_code == 200, answer.text
    (image,) = answer.json()["data"]
    assert (image["seed"], image["is_image_safe"], image["prompt"]) == (5, True, "a cat")
    assert re.fullmatch(r"\d+x\d+", image["resolution"])
    assert "created" not in answer.json()
    assert vendor.get(image["url"]).status_code == 200


def test_there_are_eighteen_v2_models_and_seven_older_operations():
    """The table holds what sections 4 and 10 of the reference list."""
    assert (len(V2_OPERATIONS), len(OPERATIONS)) == (18, 25)


@pytest.mark.parametrize(
    ("path", "body", "size"),
    [
        ("/generate", legacy(aspect_ratio="ASPECT_16_9"), "1312x736"),
        ("/generate", legacy(), "1024x1024"),
        ("/generate", legacy(resolution="RESOLUTION_1280_720"), "1280x720"),
        (V3, {"prompt": "a", "aspect_ratio": "1x3"}, "512x1536"),
        (V3, {"prompt": "a", "resolution": "1344x640"}, "1344x640"),
        (V4, {"text_prompt": "a", "resolution": "3328x1248"}, "3328x1248"),
        (V45, {"prompt": "a", "size": "1152x864"}, "1152x864"),
        (V2_4, {"prompt": "a"}, "2048x2048"),
        (
            "/v2/image/generate/p-image-ideogram",
            {"prompt": "a", "custom_width": 640, "custom_height": 480},
            "640x480",
        ),
        ("/v2/image/generate/nano-banana-2", {"prompt": "a", "resolution_tier": "2K"}, "2048x2048"),
    ],
)
def test_the_size_is_the_one_asked_for_or_the_default(vendor, path, body, size):
    """The answer reports the size, and the file has it."""
    (image,) = vendor.post(path, json=body).json()["data"]
    assert size == image["resolution"]
    png = vendor.get(image["url"]).content
    assert size == f"{int.from_bytes(png[16:20])}x{int.from_bytes(png[20:24])}"


def test_multipart_is_read_as_the_contract_says(vendor):
    """Scalars are text parts, lists repeat, structured parts carry their own content type, files are files."""
    form = [
        ("prompt", (None, "a cat")),
        ("num_images", (None, "2")),
        ("seed", (None, "9")),
        ("color_palette", (None, '{"name": "EMBER"}', "application/json")),
        ("style_reference_images", ("a.png", b"one\r\n--x", "image/png")),
        ("style_reference_images", ("b.png", b"two", "image/png")),
    ]
    answer = vendor.post(V3, files=form)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == 2
    assert answer.json()["data"][0]["seed"] == 9


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ([("prompt", (None, "a")), ("color_palette", (None, '{"name": "EMBER"}'))], "application/json"),
        ([("prompt", (None, "a")), ("num_images", (None, "two"))], "num_images"),
        ([("prompt", (None, "a")), ("seed", (None, "1")), ("seed", (None, "2"))], "twice"),
        ([("prompt", (None, "a")), ("image", ("i.png", b"x"))], "image"),
        ([("prompt", (None, "a")), ("style_reference_images", (None, "text"))], "file"),
    ],
)
def test_a_wrong_multipart_body_is_refused(vendor, form, named):
    """Each deviation from the contract's form is named."""
    answer = vendor.post(V3, files=form)
    assert answer.status_code == 400
    assert named in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        (V45, b"{", "application/json"),
        (V45, b"[]", "application/json"),
        (V45, b'{"prompt": NaN}', "application/json"),
        (V45, b'{"prompt": "a"}', "text/plain"),
        ("/generate", b"--x--", "multipart/form-data; boundary=x"),
        (V3, b"--x\r\nno end", "multipart/form-data; boundary=x"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(vendor, path, content, kind):
    """Broken JSON, another content type and a cut form are 400."""
    assert vendor.post(path, content=content, headers={"Content-Type": kind}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/edit", 501),
        ("POST", "/v1/ideogram-v3/remix", 501),
        ("POST", "/v2/image/upscale/auto", 501),
        ("POST", "/v2/video/generate/seedance-2-text-to-video", 501),
        ("GET", "/v2/assets/reference-usage", 501),
        ("GET", "/manage/api/credits", 501),
        ("GET", "/generate", 405),
        ("POST", "/v2/image/generate/no-such-model", 404),
        ("POST", "/generate/", 404),
    ],
)
def test_what_is_not_imitated_says_so(vendor, method, path, status):
    """A known operation answers 501 with a sentence, an unknown one 404."""
    answer = vendor.request(method, path)
    assert status == answer.status_code
    assert answer.json()["message"]


@pytest.mark.parametrize(
    "headers", [{}, {"Api-Key": ""}, {"Api-Key": "wrong"}, {"Authorization": "Bearer key-1"}]
)
def test_without_a_valid_key_the_answer_is_401(emulator, headers):
    """A missing, an empty and a wrong key are refused on POST and poll; a bearer token is no key."""
    emulator.control.settings(api_keys=["key-1"])
    with httpx2.Client(base_url=emulator.base_url, headers=headers, trust_env=False) as client:
        assert client.post(V45, json={"prompt": "a"}).status_code == 401
        assert client.get("/v2/generations/" + "a" * 22).status_code == 401
    assert emulator.control.totals().generations == 0


def test_keys_can_be_rotated(emulator, vendor):
    """The posted list of keys decides at once, and the ledger tells keys apart by fingerprint."""
    assert vendor.post(V45, json={"prompt": "a"}).status_code == 200
    emulator.control.settings(api_keys=["key-2"])
    assert vendor.post(V45, json={"prompt": "a"}).status_code == 401
    assert vendor.post(V45, json={"prompt": "a"}, headers={"Api-Key": "key-2"}).status_code == 200
    assert len({entry.api_key_fingerprint for entry in emulator.control.ledger()}) == 2
