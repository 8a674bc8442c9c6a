"""What a caller gets instead of a picture that cannot be had now: drawn here, kept nowhere, no asset."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pressroom.database import at
from pressroom.generation.jobs import ENDED
from pressroom.ideogram.sizes import likely_size
from pressroom.imaging import LARGEST, SMALLEST, placeholder

if TYPE_CHECKING:
    from pressroom.generation.jobs import Job

CONTENT_TYPE = "image/png"
TITLE = "Placeholder"
WORDS = "The image service is not available"


@dataclass(frozen=True, kw_only=True)
class Placeholder:
    """
    A drawn placeholder and its record.

    Attributes:
        image: The file, a PNG.
        record: `fallback` (true), `seed` (0), `resolution`, `is_image_safe`, `content_type`, `served_at`: what tells
            it from a real picture.
    """

    image: bytes = field(repr=False)
    record: dict[str, Any]


def record_or_none(job: Job) -> dict[str, Any] | None:
    """The record of the placeholder that stands for a job's pictures; None while none was served, or once it ended."""
    if job.placeholder_served is None or job.state in ENDED:
        return None
    width, height = _size(job)
    return {
        "fallback": True,
        "seed": 0,
        "resolution": f"{width}x{height}",
        "is_image_safe": True,
        "content_type": CONTENT_TYPE,
        "served_at": at(job.placeholder_served).isoformat().replace("+00:00", "Z"),
    }


async def drawn_or_none(job: Job) -> Placeholder | None:
    """The placeholder itself, drawn in a thread; None as for the record."""
    record = record_or_none(job)
    if record is None:
        return None
    width, height = _size(job)
    image = await asyncio.to_thread(placeholder, width, height, (TITLE, WORDS, job.id))
    return Placeholder(image=image, record=record)


def _size(job: Job) -> tuple[int, int]:
    width, height = likely_size(job.request)
    return min(max(width, SMALLEST), LARGEST), min(max(height, SMALLEST), LARGEST)
