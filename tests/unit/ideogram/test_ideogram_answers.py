import math
from datetime import UTC, datetime

import pytest

from pressroom.ideogram import Image, Status, expiry_of, validate_key
from pressroom.ideogram.answers import parse_accepted, parse_generation, parse_quote
from pressroom.ideogram.reading import json_object


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://ideogram.ai/api/images/ephemeral/x.png?exp=1743867804&sig=ab",
            datetime(2025, 4, 5, 15, 43, 24, tzinfo=UTC),
        ),
        ("https://ideogram.ai/api/images/direct/x", None),
        ("https://ideogram.ai/x?exp=soon", None),
        ("https://ideogram.ai/x?exp=99999999999999999999", None),
        ("https://[bad/x?exp=1", None),
        ("", None),
        (None, None),
    ],
)
def test_the_address_says_when_it_dies(url, expected):
    """`exp` is unix seconds; anything else is no expiry."""
    assert expected == expiry_of(url)


def test_a_picture_survives_storage():
    """Also the fields that nobody knew."""
    item = {"url": "", "prompt": "p", "resolution": "8x8", "seed": 1, "is_image_safe": True, "asset_id": "a"}
    image = Image.from_json(item)
    assert image == Image.from_json(image.to_json())
    assert (image.extra, image.url, image.is_image_safe) == ({"asset_id": "a"}, None, True)
    assert "'p'" not in repr(image)


def test_a_picture_without_verdict_is_safe_only_with_an_address():
    """Absence of `is_image_safe` is not taken for a promise."""
    assert [Image.from_json(item).is_image_safe for item in ({"url": "https://x.org"}, {})] == [True, False]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"null", b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_object_is_a_value_error(body):
    """One type for every way to be malformed, and nothing of the body in it."""
    with pytest.raises(ValueError, match="not"):
        json_object(body)


@pytest.mark.parametrize(
    ("parse", "answer"),
    [
        (parse_accepted, {}),
        (parse_accepted, {"generation_id": 5}),
        (parse_accepted, {"generation_id": ""}),
        (parse_accepted, {"data": {}}),
        (parse_accepted, {"data": ["x"]}),
        (parse_generation, {"status": "pending"}),
        (parse_generation, {"generation_id": "g"}),
        (parse_generation, {"generation_id": "g", "status": "completed", "data": None}),
        (parse_quote, {"object": "price_quote"}),
        (parse_quote, {"object": "price_quote", "usd_micros": "60000"}),
        (parse_quote, {"object": "price_quote", "usd_micros": -1}),
        (parse_quote, {"object": "price_quote", "usd_micros": True}),
        (parse_quote, {"object": "price_quote", "usd_micros": 2**63}),
        (parse_quote, {"object": "price_quote", "usd_micros": math.pi}),
    ],
)
def test_an_answer_that_lacks_its_core_is_a_value_error(parse, answer):
    """Nothing is made up in place of an id, a state or an amount."""
    with pytest.raises(ValueError, match=r"."):
        parse(answer)


def test_a_failed_generation_without_a_reason_is_no_matter_of_content():
    """The reason is optional (reference 15)."""
    failed = parse_generation({"generation_id": "g", "status": "failed"})
    assert (failed.status, failed.failure_reason, failed.refused_by_policy) == (Status.FAILED, None, False)


def test_a_good_key_comes_back():
    """Validation returns what it was given."""
    assert validate_key("abc-123_XYZ") == "abc-123_XYZ"
