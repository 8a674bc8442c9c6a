import pickle

import pytest

from pressroom.errors import InvalidRequest
from pressroom.ideogram import ImageRequest

BAD = [
    ({"prompt": ""}, "prompt"),
    ({"prompt": " \n\t"}, "prompt"),
    ({"prompt": "x" * 10_001}, "prompt"),
    ({"prompt": "half \ud800 pair"}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({}, "prompt"),
    ({"prompt": "p", "negative_prompt": "x" * 10_001}, "negative_prompt"),
    ({"prompt": "p", "seed": -1}, "seed"),
    ({"prompt": "p", "seed": 2**31}, "seed"),
    ({"prompt": "p", "seed": True}, "seed"),
    ({"prompt": "p", "seed": "7"}, "seed"),
    ({"prompt": "p", "num_images": 0}, "num_images"),
    ({"prompt": "p", "num_images": 9}, "num_images"),
    ({"prompt": "p", "size": "1024x1024", "aspect_ratio": "1x1"}, "size"),
    ({"prompt": "p", "size": "large"}, "size"),
    ({"prompt": "p", "aspect_ratio": "wide"}, "aspect_ratio"),
    ({"prompt": "p", "aspect_ratio": "0x9"}, "aspect_ratio"),
    ({"prompt": "p", "quality": "ultra"}, "quality"),
    ({"prompt": "p", "magic_prompt": "maybe"}, "magic_prompt"),
    ({"prompt": "p", "sise": "1024x1024"}, "sise"),
]


@pytest.mark.parametrize(("fields", "field"), BAD)
def test_a_request_that_cannot_be_is_refused_by_name(fields, field):
    """Bad input is found before a wire is chosen; the error names the field and survives a pickle."""
    with pytest.raises(InvalidRequest) as caught:
        ImageRequest(**fields)
    assert field == caught.value.field
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_refused_prompt_is_not_shown(field):
    """Only its length is."""
    with pytest.raises(InvalidRequest) as caught:
        ImageRequest(**({"prompt": "p"} | {field: "CONFIDENTIAL" * 1000}))
    assert "CONFIDENTIAL" not in str(caught.value)
    assert "12000 characters" in str(caught.value)


def test_the_usual_spellings_mean_the_same():
    """Ratios, sizes and speeds are normalised."""
    ratios = {
        ImageRequest(prompt="p", aspect_ratio=r).aspect_ratio
        for r in ("16x9", "16:9", "ASPECT_16_9", " 16X9 ")
    }
    sizes = {ImageRequest(prompt="p", size=s).size for s in ("1024x640", "RESOLUTION_1024_640", "1024X640")}
    speeds = [
        ImageRequest(prompt="p", quality=q).quality for q in ("TURBO", "default", "Quality", "FLASH", "high")
    ]
    assert ({"16x9"}, {"1024x640"}, ["low", "medium", "high", "very_low", "high"]) == (ratios, sizes, speeds)


def test_a_request_survives_json_and_hides_its_prompt():
    """The portable form gives the same request; repr has no prompt."""
    request = ImageRequest(
        prompt="hidden words", negative_prompt="hidden too", seed=3, options={"background": "opaque"}
    )
    assert request == ImageRequest(**request.model_dump(mode="json", exclude_none=True))
    assert "hidden" not in repr(request)


def test_a_prompt_of_ten_thousand_characters_is_taken():
    """The limit itself is allowed."""
    assert len(ImageRequest(prompt="x" * 10_000).prompt) == 10_000
