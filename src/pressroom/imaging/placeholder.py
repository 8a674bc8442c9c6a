"""Placeholders: pictures that say that they stand for one which is not there yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyvips  # type: ignore[import-untyped]

from pressroom.errors import InvalidInput
from pressroom.imaging.glyphs import ADVANCE, HEIGHT, STROKES, UNKNOWN, WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SMALLEST: Final = 8
"""Pixels of a side."""
LARGEST: Final = 8192
"""Pixels of a side; the vendor's largest pictures are 8K (reference 5.3)."""

PAPER: Final = 236
FRAME: Final = 190
INK: Final = 90
"""Grey levels, 0 to 255; letters stand out by 5.7 : 1 (WCAG 2.2 asks for 4.5)."""

TITLE: Final = 1.7
"""Size of the first line, where the others are 1."""
LEADING: Final = 1.75
"""Distance of two lines, in heights of a letter."""
READABLE: Final = 5.0
"""Pixels. Lines whose letters would be lower are left out, from the last one on."""
ROOM: Final = (0.84, 0.74)
"""Shares of width and height that the text may fill."""
MOST: Final = 0.12
"""Share of the shorter side that a letter of the first line is high at most."""
MOST_TRIED: Final = 60
"""Characters. A line that is broken at all is broken at this length or less."""
STROKE: Final = 0.72
"""Units that a stroke is wide."""


@dataclass(frozen=True)
class _Line:
    """One line as it is set: its words and how many times larger than the others."""

    text: str
    size: float

    @property
    def width(self) -> float:
        """Units."""
        return ((len(self.text) - 1) * ADVANCE + WIDTH) * self.size

    @property
    def height(self) -> float:
        """Units, with the room below."""
        return HEIGHT * LEADING * self.size


def placeholder(width: int, height: int, lines: Sequence[str]) -> bytes:
    """
    Draw a placeholder.

    The same arguments give the same bytes. Takes tens of milliseconds for large sizes: call it in a thread.

    Args:
        width: Pixels, 8 to 8192.
        height: Pixels, 8 to 8192.
        lines: What it says, the most important first, in as many lines as fit; set in capitals, an unknown character
            is a box.

    Returns:
        A grey PNG without any metadata.

    Raises:
        InvalidInput: A side is out of range.
    """
    for side in (width, height):
        if not SMALLEST <= side <= LARGEST:
            raise InvalidInput(f"a side of {side} pixels cannot be drawn; {SMALLEST} to {LARGEST} can")
    paper = pyvips.Image.black(width, height).linear(0, PAPER, uchar=True)
    edge = max(1, min(width, height) // 64)
    for x, y, across, down in (
        (0, 0, width, edge),
        (0, height - edge, width, edge),
        (0, 0, edge, height),
        (width - edge, 0, edge, height),
    ):
        bar = pyvips.Image.black(across, down).linear(0, FRAME, uchar=True)
        paper = paper.insert(bar, x, y)
    text = _text(width, height, lines)
    if text is not None:
        paper = paper.insert(text, (width - text.width) // 2, (height - text.height) // 2)
    drawn: bytes = paper.copy(interpretation="b-w").pngsave_buffer(compression=1, bitdepth=8, keep="none")
    return drawn


def _text(width: int, height: int, lines: Sequence[str]) -> pyvips.Image | None:
    """The block of text as a picture, in the largest size that fits; None where nothing would be readable."""
    for count in range(len(lines), 0, -1):
        laid, unit = max(_layouts(lines[:count], width, height), key=lambda layout: layout[1])
        if laid and unit * HEIGHT * laid[-1].size >= READABLE:
            return _rendered(laid, unit)
    return None


def _layouts(lines: Sequence[str], width: int, height: int) -> Iterator[tuple[list[_Line], float]]:
    """Ways to break the lines between words, the one with the fewest breaks first, with the pixels of a unit then."""
    longest = max(len(line) for line in lines)
    for most in (longest, *range(min(longest, MOST_TRIED), 0, -1)):
        laid = [
            _Line(part, TITLE if number == 0 else 1.0)
            for number, line in enumerate(lines)
            for part in _broken(line, most)
        ]
        across = max((line.width for line in laid), default=WIDTH)
        down = sum(line.height for line in laid) or HEIGHT
        unit = min(
            width * ROOM[0] / across, height * ROOM[1] / down, min(width, height) * MOST / HEIGHT / TITLE
        )
        yield laid, unit


def _broken(line: str, most: int) -> list[str]:
    """The words of a line in parts of at most `most` characters; a longer word has a part of its own."""
    parts: list[str] = []
    for word in line.upper().split():
        if parts and len(parts[-1]) + 1 + len(word) <= most:
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts


def _rendered(laid: Sequence[_Line], unit: float) -> pyvips.Image:
    across, down = max(line.width for line in laid) + 2, sum(line.height for line in laid) + 2
    letters = []
    y = 1 + HEIGHT * (LEADING - 1) / 2
    for line in laid:
        x = (across - line.width) / 2
        for letter in line.text:
            if path := STROKES.get(letter, UNKNOWN):
                letters.append(
                    f'<path transform="translate({x:.2f} {y:.2f}) scale({line.size})" d="{path}"/>'
                )
            x += ADVANCE * line.size
        y += line.height
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across:.2f}" height="{down:.2f}">'
        f'<g fill="none" stroke="#000" stroke-width="{STROKE}" stroke-linecap="round" stroke-linejoin="round">'
        f"{''.join(letters)}</g></svg>"
    )
    opacity = pyvips.Image.svgload_buffer(svg.encode(), scale=unit).extract_band(3)
    return opacity.linear((INK - PAPER) / 255, PAPER, uchar=True)
