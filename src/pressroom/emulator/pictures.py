"""
Deterministic pictures: the prompt written on a coloured ground, as a PNG of exactly the size asked for.

The same model, prompt, seed and size give the same bytes (with one build of zlib). Two bits a pixel and few distinct
rows keep a picture of four million pixels within milliseconds.
"""

from __future__ import annotations

import colorsys
import hashlib
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pressroom.emulator.font import GLYPH_HEIGHT, GLYPH_WIDTH, glyph

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_GROUND, _INK, _FRAME, _TINT = "0123"
_BITS: Final = 2
_INDEXED: Final = 3
"""PNG colour type: palette."""

_ADVANCE: Final = GLYPH_WIDTH + 1
_LEADING: Final = GLYPH_HEIGHT + 3
_SMALLEST_DOT: Final = 1
_LARGEST_DOT: Final = 8
_COMPRESSION: Final = 1
"""zlib level: the fastest; the rows repeat so much that higher ones gain little."""


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """
    Everything that decides a picture's bytes.

    Attributes:
        model: Name of the model.
        prompt: Prompt as used.
        seed: Seed of this image.
        width: Pixels.
        height: Pixels.
        transparent: Whether the ground is see-through.
    """

    model: str
    prompt: str
    seed: int
    width: int
    height: int
    transparent: bool = False


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _digest(spec: PictureSpec) -> bytes:
    return hashlib.sha256(f"{spec.model}\0{spec.prompt}\0{spec.seed}".encode()).digest()


def _palette(digest: bytes) -> bytes:
    hue = digest[0] / 255
    shades = (
        (hue, 0.86, 0.55),
        (hue, 0.12, 0.6),
        ((hue + 0.5) % 1, 0.45, 0.6),
        ((hue + 0.08) % 1, 0.76, 0.6),
    )
    return b"".join(bytes(round(255 * part) for part in colorsys.hls_to_rgb(*shade)) for shade in shades)


def _wrap(text: str, columns: int) -> list[str]:
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split(" "):
            pieces = [word[start : start + columns] for start in range(0, len(word), columns)] or [""]
            for piece in pieces:
                joined = f"{line} {piece}" if line else piece
                if len(joined) > columns:
                    lines.append(line)
                    line = piece
                else:
                    line = joined
        lines.append(line)
    return lines


def _layout(spec: PictureSpec, margin: int) -> tuple[int, list[str]]:
    """The largest dot at which the text fits, and the text's lines at that dot."""
    caption = f"{spec.model}  seed {spec.seed}  {spec.width}x{spec.height}"
    text = f"{spec.prompt}\n\n{caption}"
    largest = max(_SMALLEST_DOT, min(_LARGEST_DOT, spec.width // 128))
    dot = largest
    while True:
        columns = max(1, (spec.width - 2 * margin) // (dot * _ADVANCE))
        room = (spec.height - 2 * margin) // (dot * _LEADING)
        lines = _wrap(text, columns)
        if len(lines) <= room or dot == _SMALLEST_DOT:
            return dot, lines[: max(0, room)]
        dot -= 1


def _pack(pixels: str) -> bytes:
    """Pixels, a digit from 0 to 3 each, as a PNG row of two bits each behind its filter byte."""
    padded = pixels + "0" * (-len(pixels) % 4)
    return b"\0" + int(padded, 4).to_bytes(len(padded) // 4)


def _framed(width: int, frame: int, body: str) -> bytes:
    inner = max(0, width - 2 * frame)
    return _pack((_FRAME * frame + body[:inner].ljust(inner, _GROUND) + _FRAME * frame)[:width])


def _text_rows(line: str, dot: int) -> list[str]:
    """The seven rows of dots of one line of text, each still to be repeated `dot` times."""
    shapes = [glyph(character) for character in line]
    levels = (".".join(shape[level] for shape in shapes) for level in range(GLYPH_HEIGHT))
    return [level.replace(".", _GROUND * dot).replace("#", _INK * dot) for level in levels]


def _rows(spec: PictureSpec) -> bytes:
    short = min(spec.width, spec.height)
    frame = max(1, short // 64)
    margin = 2 * frame
    dot, lines = _layout(spec, margin)
    blank = _framed(spec.width, frame, "")
    edge = _framed(spec.width, frame, _FRAME * spec.width) * frame
    indent = _GROUND * (margin - frame)
    parts = [edge, blank * (margin - frame)]
    for line in lines:
        parts.extend(_framed(spec.width, frame, indent + row) * dot for row in _text_rows(line, dot))
        parts.append(blank * (dot * (_LEADING - GLYPH_HEIGHT)))
    left = max(0, spec.height - frame - sum(map(len, parts)) // len(blank))
    tinted = left // 3
    parts.append(blank * (left - tinted))
    parts.append(_framed(spec.width, frame, _TINT * spec.width) * tinted)
    parts.append(edge)
    return b"".join(parts)[: len(blank) * spec.height]


def draw(spec: PictureSpec) -> bytes:
    """The picture as a PNG file."""
    header = struct.pack(">IIBBBBB", spec.width, spec.height, _BITS, _INDEXED, 0, 0, 0)
    digest = _digest(spec)
    alpha = _chunk(b"tRNS", bytes([0, 255, 255, 128])) if spec.transparent else b""
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", _palette(digest)),
            alpha,
            # Keeps two pictures apart whose visible text was cut at the same place.
            _chunk(b"tEXt", b"Comment\0" + digest.hex().encode()),
            _chunk(b"IDAT", zlib.compress(_rows(spec), _COMPRESSION)),
            _chunk(b"IEND", b""),
        )
    )


def cached_drawing(pictures: int) -> Callable[[PictureSpec], bytes]:
    """A `draw` that remembers the last so many pictures."""
    return lru_cache(maxsize=pictures)(draw)
