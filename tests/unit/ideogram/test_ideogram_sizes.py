"""How large a request's pictures will be, before the vendor has said so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressroom.ideogram import MODELS, OPERATIONS
from pressroom.ideogram.sizes import LARGEST, likely_size


@pytest.mark.parametrize(
    ("request_", "size"),
    [
        ({"model": "ideogram-4-5"}, (2048, 2048)),
        ({"model": "ideogram-4-5", "size": "1440x2560"}, (1440, 2560)),
        ({"model": "ideogram-4-5", "size": "auto"}, (2048, 2048)),
        ({"model": "ideogram-4-5", "aspect_ratio": "16x9"}, (2560, 1440)),
        ({"model": "ideogram-4-5", "aspect_ratio": "9x16", "output_resolution": "1k"}, (720, 1280)),
        ({"model": "ideogram-4-5", "aspect_ratio": "1x3", "output_resolution": "1k"}, (720, 1440)),
        ({"model": "ideogram-4", "aspect_ratio": "1x3", "output_resolution": "1k"}, (512, 1536)),
        ({"model": "V_2", "aspect_ratio": "16x9"}, (1312, 736)),
        ({"model": "ideogram-3"}, (1024, 1024)),
        ({"model": "ideogram-3-transparent", "upscale_factor": "x4"}, (4096, 4096)),
        ({"model": "nano-banana-pro", "output_resolution": "4k"}, (4096, 4096)),
        ({"model": "a-model-of-yore"}, (1024, 1024)),
    ],
)
def test_sizes_of_known_requests(request_, size):
    """A size at its word, else the model's own size of that shape."""
    assert size == likely_size(request_)


@given(
    model=st.sampled_from(sorted(MODELS)),
    ratio=st.sampled_from([None, "auto", "1x1", "16x9", "9x16", "1x4", "4x1", "8x1", "21x9"]),
    tier=st.sampled_from([None, "1k", "2k", "4k", "8k"]),
    factor=st.sampled_from([None, "x1", "x2", "x4"]),
)
def test_every_request_has_a_size_that_can_be_drawn(model, ratio, tier, factor):
    """Upright ratios are upright, and no side is out of range."""
    width, height = likely_size(
        {"model": model, "aspect_ratio": ratio, "output_resolution": tier, "upscale_factor": factor}
    )
    assert 16 <= width <= LARGEST
    assert 16 <= height <= LARGEST
    if ratio in {"9x16", "1x4"}:
        assert width <= height
    if ratio in {"16x9", "4x1", "8x1", "21x9"}:
        assert width >= height


def test_the_default_size_is_one_that_its_operation_takes():
    """As far as the operation lists its sizes."""
    for name in ("ideogram-4-5", "ideogram-4", "ideogram-3"):
        choices = OPERATIONS[f"v2/generate/{name}"].fields
        listed = [field.choices for field in choices.values() if "1024x1024" in (field.choices or ())]
        width, height = likely_size({"model": name, "aspect_ratio": "2x3"})
        assert all(f"{width}x{height}" in sizes for sizes in listed), name
