from __future__ import annotations

import struct
import zlib

import pytest

from pressroom.emulator.font import GLYPH_HEIGHT, GLYPH_WIDTH, glyph
from pressroom.emulator.pictures import PictureSpec, _layout, draw

PROMPT = "A glossy red bicycle, 42% off: {sale} @ the corner"


def decode(png: bytes) -> tuple[int, int, list[list[int]], dict[bytes, bytes]]:
    """Width, height, palette indices by row and chunks of a two-bit palette PNG, every checksum verified."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (crc,) = struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        assert zlib.crc32(kind + data) == crc
        chunks[kind] = chunks.get(kind, b"") + data
        at += 12 + length
    assert list(chunks)[-1] == b"IEND"
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert [depth, colour, *rest] == [2, 3, 0, 0, 0]
    raw = zlib.decompress(chunks[b"IDAT"])
    stride = 1 + (width * 2 + 7) // 8
    assert stride * height == len(raw)
    rows = []
    for start in range(0, len(raw), stride):
        assert raw[start] == 0
        packed = raw[start + 1 : start + stride]
        rows.append([(byte >> shift) & 3 for byte in packed for shift in (6, 4, 2, 0)][:width])
    return width, height, rows, chunks


def read_text(spec: PictureSpec, rows: list[list[int]]) -> str:
    """The text in a picture, read back from its dots."""
    margin = 2 * max(1, min(spec.width, spec.height) // 64)
    dot, lines = _layout(spec, margin)
    letters = {glyph(chr(code)): chr(code) for code in range(32, 127)}
    text = []
    for number in range(len(lines)):
        line = ""
        top = margin + number * (GLYPH_HEIGHT + 3) * dot
        for left in range(margin, spec.width - margin - GLYPH_WIDTH * dot, (GLYPH_WIDTH + 1) * dot):
            shape = tuple(
                "".join("#" if rows[top + y * dot][left + x * dot] == 1 else "." for x in range(GLYPH_WIDTH))
                for y in range(GLYPH_HEIGHT)
            )
            line += letters[shape]
        text.append(line.rstrip())
    return " ".join(text)


@pytest.mark.parametrize(
    "size",
    [(1024, 1024), (2048, 2048), (512, 1536), (3328, 1248), (736, 1312), (1022, 333), (16, 16), (5, 4096)],
)
def test_a_picture_is_a_valid_png_of_exactly_the_size_asked_for(size):
    """Whatever the shape, the decoded picture has the width and height of the request."""
    width, height, rows, _ = decode(draw(PictureSpec("ideogram-4-5", PROMPT, 7, *size)))
    assert size == (width, height)
    assert size == (len(rows[0]), len(rows))


@pytest.mark.parametrize("size", [(1024, 1024), (512, 1536), (2048, 2048)])
def test_the_prompt_can_be_read_in_the_picture(size):
    """Reading the dots back gives the prompt, the model, the seed and the size."""
    spec = PictureSpec("ideogram-4-5", PROMPT, 7, *size)
    text = read_text(spec, decode(draw(spec))[2])
    assert " ".join(text.split()) == f"{PROMPT} ideogram-4-5 seed 7 {size[0]}x{size[1]}"


def test_a_character_outside_ascii_is_a_box():
    """What the font lacks is shown as a box and not left out."""
    assert glyph("é") == glyph("你") != glyph("e")
    assert glyph("é")[0] == "#####"


def test_the_printable_characters_are_all_different():
    """No two of the 95 printable ASCII characters share a shape."""
    assert len({glyph(chr(code)) for code in range(32, 127)}) == 95


@pytest.mark.parametrize(
    "change", [{"model": "x"}, {"prompt": "y"}, {"seed": 8}, {"width": 513}, {"height": 513}]
)
def test_the_same_request_gives_the_same_bytes_and_any_other_gives_others(change):
    """Model, prompt, seed and size decide the bytes, each of them."""
    parts = {"model": "ideogram-3", "prompt": PROMPT, "seed": 7, "width": 512, "height": 512}
    assert draw(PictureSpec(**parts)) == draw(PictureSpec(**parts))
    assert draw(PictureSpec(**parts)) != draw(PictureSpec(**{**parts, **change}))


def test_prompts_that_differ_only_beyond_the_visible_part_give_different_bytes():
    """A long prompt is cut in the picture, and still decides its bytes."""
    one, other = (draw(PictureSpec("m", "word " * 2000 + tail, 7, 64, 64)) for tail in ("a", "b"))
    assert one != other


def test_only_a_transparent_picture_has_an_alpha_channel():
    """The ground of a transparent picture is see-through and its ink is not."""
    plain = decode(draw(PictureSpec("m", PROMPT, 7, 256, 256)))[3]
    clear = decode(draw(PictureSpec("m", PROMPT, 7, 256, 256, transparent=True)))[3]
    assert b"tRNS" not in plain
    assert (clear[b"tRNS"][0], clear[b"tRNS"][1]) == (0, 255)
