"""The ledger: what was accepted and billed, in the form in which the control path tells it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import TYPE_CHECKING, Final

from pressroom.emulator import generations
from pressroom.emulator.pictures import draw

if TYPE_CHECKING:
    from pressroom.emulator.core import Emulator
    from pressroom.emulator.generations import Generation

_HASHED_AT_ONCE: Final = 100
"""Generations whose pictures are drawn and hashed in one go on another thread."""


def _hashes(batch: list[Generation]) -> list[list[str]]:
    return [
        [
            hashlib.sha256(draw(generation.picture(index))).hexdigest()
            for index in range(len(generation.seeds))
        ]
        for generation in batch
    ]


async def _picture_hashes(emulator: Emulator, entries: list[Generation]) -> dict[str, list[str]]:
    """Hashes of the pictures of some generations; each is drawn for it once and kept in the books."""
    low, high = entries[0].seq, entries[-1].seq
    sql = "SELECT id, pictures FROM generation WHERE pictures IS NOT NULL AND seq BETWEEN ? AND ?"
    known = {str(row[0]): json.loads(row[1]) for row in emulator.books.execute(sql, low, high)}
    missing = [entry for entry in entries if entry.id not in known]
    for start in range(0, len(missing), _HASHED_AT_ONCE):
        batch = missing[start : start + _HASHED_AT_ONCE]
        hashed = await asyncio.to_thread(_hashes, batch)
        with emulator.books.transaction():
            for entry, hashes in zip(batch, hashed, strict=True):
                known[entry.id] = hashes
                stored = json.dumps(hashes)
                emulator.books.execute("UPDATE generation SET pictures = ? WHERE id = ?", stored, entry.id)
    return known


def _told(entry: Generation, now: float, hashes: list[str] | None, *, prompts: bool) -> dict[str, object]:
    told: dict[str, object] = {
        "seq": entry.seq,
        "id": entry.id,
        "operation": entry.operation,
        "model": entry.model,
        "api_key_fingerprint": entry.key_fingerprint,
        "accepted_at": entry.accepted_at,
        "ready_at": None if entry.ready_at >= generations.NEVER else entry.ready_at,
        "state": entry.state(now),
        "failure_reason": entry.failure_reason,
        "billed_micros": entry.billed_micros,
        "num_images": len(entry.seeds),
        "seeds": entry.seeds,
        "safe": entry.safe,
        "width": entry.picture_width,
        "height": entry.picture_height,
        "prompt_sha256": entry.sent_prompt_sha256,
    }
    if hashes is not None:
        told["sha256"] = hashes
    if prompts:
        told["prompt"] = entry.prompt
    return told


async def entries(
    emulator: Emulator, *, after: int, limit: int, pictures: bool, prompts: bool
) -> list[dict[str, object]]:
    """
    Accepted generations in the order of acceptance.

    Args:
        emulator: The instance.
        after: Only those with a larger `seq`.
        limit: At most so many; -1 for all.
        pictures: Whether to draw and hash the pictures, a few milliseconds each the first time.
        prompts: Whether to tell the prompts as used.
    """
    found = generations.page(emulator.books, after, limit)
    hashes = await _picture_hashes(emulator, found) if pictures and found else {}
    now = time.time()
    return [_told(entry, now, hashes.get(entry.id), prompts=prompts) for entry in found]


def _generation_totals(emulator: Emulator, now: float) -> dict[str, object]:
    row = emulator.books.execute(
        """SELECT count(*),
            coalesce(sum(ready_at > ?), 0),
            coalesce(sum(ready_at <= ? AND failure_reason IS NULL), 0),
            coalesce(sum(ready_at <= ? AND failure_reason IS NOT NULL), 0),
            coalesce(sum(billed_micros), 0),
            coalesce(sum(json_array_length(seeds)), 0),
            coalesce(sum((SELECT count(*) FROM json_each(safe) WHERE NOT value)), 0)
        FROM generation""",
        now,
        now,
        now,
    ).fetchone()
    names = ("generations", "pending", "completed", "failed", "billed_micros", "images", "unsafe_images")
    return dict(zip(names, row, strict=True))


def totals(emulator: Emulator) -> dict[str, object]:
    """Counts of generations and POSTs, and requests in flight: now, at most, and with the refused ones."""
    now = time.time()
    posts: dict[str, dict[str, int]] = {}
    for operation, outcome, count in emulator.books.execute("SELECT operation, outcome, count FROM post"):
        posts.setdefault(operation, {})[outcome] = count
    marks = dict(emulator.books.execute("SELECT name, value FROM mark").fetchall())
    return {
        **_generation_totals(emulator, now),
        "posts_received": sum(count for outcomes in posts.values() for count in outcomes.values()),
        "posts": posts,
        "in_flight": {
            "now": generations.in_flight(emulator.books, now),
            "limit": emulator.settings.inflight_limit,
            "high_water": marks.get("high_water", 0),
            "wanted": marks.get("wanted", 0),
        },
    }
