"""Recognises a picture by its bytes and checks that it is whole: type, size in pixels, end."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_SOF_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG frame headers, which carry the size (ITU T.81, table B.1)."""
_JPEG_TAIL = 4096
"""Bytes at the end in which a JPEG's end marker has to stand; cameras append small things behind it."""
_STANDALONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(frozen=True)
class Picture:
    """
    What a file is.

    Attributes:
        content_type: MIME type by its bytes, whatever the server declared.
        extension: Usual file ending, without the dot.
        width: Pixels.
        height: Pixels.
    """

    content_type: str
    extension: str
    width: int
    height: int


def recognise(data: bytes) -> Picture:
    """
    The picture in a file.

    Raises:
        ValueError: No known type, cut short, or damaged. The message says which.
    """
    for is_one, measure, content_type, extension in _FORMATS:
        if is_one(data):
            try:
                width, height = measure(data)
            except (struct.error, IndexError):
                raise ValueError(f"the {extension} file is cut short") from None
            if width < 1 or height < 1:
                raise ValueError(f"the {extension} file has no pixels")
            return Picture(content_type, extension, width, height)
    raise ValueError("it is no picture of a known type")


def _png(data: bytes) -> tuple[int, int]:
    """Walk all chunks and their checksums (PNG specification, 5.3)."""
    view, at = memoryview(data), 8
    width, height = struct.unpack_from(">II", data, 16)
    while True:
        length, kind = struct.unpack_from(">I4s", view, at)
        (checksum,) = struct.unpack_from(">I", view, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != checksum:
            raise ValueError("the png file is damaged")
        at += 12 + length
        if kind == b"IEND":
            return int(width), int(height)


def _jpeg(data: bytes) -> tuple[int, int]:
    if b"\xff\xd9" not in data[-_JPEG_TAIL:]:
        raise ValueError("the jpg file is cut short")
    at = 2
    while True:
        lead, marker = data[at], data[at + 1]
        if lead != 0xFF:
            raise ValueError("the jpg file is damaged")
        if marker in _SOF_MARKERS:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return int(width), int(height)
        if marker == 0xFF:
            at += 1
        elif marker in _STANDALONE_MARKERS:
            at += 2
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def _webp(data: bytes) -> tuple[int, int]:
    """Container size and the three kinds of first chunk (WebP container specification)."""
    if int(struct.unpack_from("<I", data, 4)[0]) + 8 > len(data):
        raise ValueError("the webp file is cut short")
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("the webp file is damaged")


def _gif(data: bytes) -> tuple[int, int]:
    if data[-1:] != b";":
        raise ValueError("the gif file is cut short")
    width, height = struct.unpack_from("<HH", data, 6)
    return int(width), int(height)


def _avif(data: bytes) -> tuple[int, int]:
    """Top-level boxes to the end, and the image's `ispe` property (ISO 23008-12, 6.5.3)."""
    at = 0
    while at < len(data):
        size = int(struct.unpack_from(">I", data, at)[0])
        if size == 1:
            size = int(struct.unpack_from(">Q", data, at + 8)[0])
        if size == 0:
            break
        if size < 8 or at + size > len(data):
            raise ValueError("the avif file is cut short")
        at += size
    place = data.find(b"ispe")
    if place < 0:
        raise ValueError("the avif file is damaged")
    width, height = struct.unpack_from(">II", data, place + 8)
    return int(width), int(height)


_Format = tuple[Callable[[bytes], bool], Callable[[bytes], tuple[int, int]], str, str]
_FORMATS: Final[tuple[_Format, ...]] = (
    (lambda data: data[:8] == b"\x89PNG\r\n\x1a\n", _png, "image/png", "png"),
    (lambda data: data[:3] == b"\xff\xd8\xff", _jpeg, "image/jpeg", "jpg"),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp, "image/webp", "webp"),
    (lambda data: data[:6] in {b"GIF87a", b"GIF89a"}, _gif, "image/gif", "gif"),
    (lambda data: data[4:12] in {b"ftypavif", b"ftypavis"}, _avif, "image/avif", "avif"),
)
