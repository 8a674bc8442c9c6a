"""Placeholders: the size that was asked for, text that can be read without any font, the same bytes every time."""

from __future__ import annotations

import subprocess
import sys

import pytest
import pyvips

from pressroom.errors import InvalidInput
from pressroom.imaging import LARGEST, SMALLEST, placeholder
from pressroom.imaging.glyphs import HEIGHT, STROKES, UNKNOWN, WIDTH
from pressroom.imaging.placeholder import INK, PAPER

LINES = ("Placeholder", "The image service is not available", "job_06g2kx7q9m3r5t1v06g2kx7q")


def opened(content):
    return pyvips.Image.new_from_buffer(content, "")


def inked(image):
    """Share of the pixels that are darker than paper and frame."""
    return (image < (INK + PAPER) // 2).avg() / 255


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (1024, 1024),
        (2048, 512),
        (512, 1536),
        (64, 64),
        (SMALLEST, SMALLEST),
        (LARGEST, SMALLEST),
        (3328, 1248),
    ],
)
def test_it_has_the_size_that_was_asked_for(width, height):
    """A grey PNG, with nothing in it but the picture."""
    content = placeholder(width, height, LINES)
    image = opened(content)

    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert (width, height, 1) == (image.width, image.height, image.bands)
    assert not any(name in content for name in (b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"iCCP", b"tIME"))


@pytest.mark.parametrize(("width", "height"), [(0, 64), (64, SMALLEST - 1), (LARGEST + 1, 64)])
def test_a_side_out_of_range_is_refused(width, height):
    """With the range in the message."""
    with pytest.raises(InvalidInput, match=f"{SMALLEST} to {LARGEST}"):
        placeholder(width, height, LINES)


def test_the_same_request_draws_the_same_bytes_in_any_process():
    """So that an address can be cached by its content."""
    program = f"import sys; from pressroom.imaging import placeholder; sys.stdout.buffer.write(placeholder(300, 200, {LINES!r}))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)

    assert placeholder(300, 200, LINES) == ran.stdout


def test_other_words_are_another_picture():
    """The text is really drawn."""
    assert placeholder(300, 200, ("A",)) != placeholder(300, 200, ("B",))


@pytest.mark.parametrize("side", [64, 256, 1024, 4096])
def test_the_text_grows_with_the_picture(side):
    """Its share of the picture is about the same at every size at which it can be read."""
    assert 0.01 < inked(opened(placeholder(side, side, LINES[:1]))) < 0.05


def test_what_could_not_be_read_is_left_out_from_the_end():
    """At 64 pixels the title stands alone."""
    assert placeholder(64, 64, LINES[:1]) == placeholder(64, 64, LINES)
    assert placeholder(256, 256, LINES[:1]) != placeholder(256, 256, LINES)


def test_where_nothing_could_be_read_there_is_only_a_frame():
    """The smallest pictures say nothing rather than something illegible."""
    assert placeholder(16, 16, ()) == placeholder(16, 16, LINES)


def test_the_text_stays_inside_the_frame():
    """Whatever the shape, the margin is empty."""
    for width, height in ((2048, 512), (512, 2048), (300, 300)):
        image = opened(placeholder(width, height, LINES))
        edge = max(1, min(width, height) // 64)
        for margin in (
            image.crop(edge, edge, width // 20, height - 2 * edge),
            image.crop(width - edge - width // 20, edge, width // 20, height - 2 * edge),
            image.crop(edge, edge, width - 2 * edge, height // 20),
        ):
            assert margin.min() == margin.max() == PAPER, (width, height)


def test_no_letter_looks_like_another():
    """Every letter and digit differs in many pixels from every other, so that ids can be read off."""
    drawn = {}
    shapes = {letter: path for letter, path in STROKES.items() if letter.isalnum()}
    for letter, path in {**shapes, "unknown": UNKNOWN}.items():
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 {WIDTH + 2} {HEIGHT + 2}" width="60" height="80">'
            f'<path d="{path}" fill="none" stroke="#000" stroke-width=".72"/></svg>'
        )
        drawn[letter] = pyvips.Image.svgload_buffer(svg.encode()).extract_band(3)
    letters = sorted(drawn)
    for number, one in enumerate(letters):
        for other in letters[:number]:
            differing = ((drawn[one] - drawn[other]).abs() > 128).avg() / 255 * 60 * 80
            assert differing > 40, (one, other, differing)


def test_every_character_of_an_id_has_a_letter():
    """And of the words that are used."""
    used = set("".join(LINES).upper()) | set("0123456789ABCDEFGHJKMNPQRSTVWXYZ_")
    assert used <= STROKES.keys()
