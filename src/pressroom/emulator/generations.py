"""Accepted generations: entering them into the books, and reading them back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pressroom.emulator.latency import latency_s
from pressroom.emulator.pictures import PictureSpec

if TYPE_CHECKING:
    from pressroom.emulator.books import Books
    from pressroom.emulator.plans import Plan
    from pressroom.emulator.settings import Settings

MAX_SEED: Final = 2**31 - 1

NEVER: Final = 1e12
"""Unix seconds that a stuck generation is ready at: some thirty thousand years from now."""

_COLUMNS: Final = (
    "seq, id, operation, model, key_fingerprint, accepted_at, ready_at, stuck, failure_reason, billed_micros,"
    " variable_price, prompt, sent_prompt_sha256, width, height, picture_width, picture_height, transparent,"
    " style_type, seeds, safe"
)
_INSERT: Final = f"INSERT INTO generation ({_COLUMNS}) VALUES ({', '.join('?' * 21)})"  # noqa: S608 - names of our own


@dataclass(frozen=True, slots=True)
class Generation:
    """
    One accepted generation, as the books hold it.

    Attributes:
        seq: Number in the order of acceptance.
        id: The vendor's id.
        operation: Name of the operation.
        model: Name of the model.
        key_fingerprint: Of the key that paid.
        accepted_at: Unix seconds.
        ready_at: Unix seconds at which it ends.
        stuck: Whether a fault holds it pending.
        failure_reason: Why it fails, empty without a reason, None when it does not fail.
        billed_micros: Micro-dollars.
        variable_price: Whether the price was not known beforehand.
        prompt: Prompt as used.
        sent_prompt_sha256: Digest of the prompt as sent.
        width: Pixels that the answer reports.
        height: Pixels that the answer reports.
        picture_width: Pixels of the file.
        picture_height: Pixels of the file.
        transparent: Whether the file has an alpha channel.
        style_type: As the answer reports it.
        seeds: One for each image.
        safe: One flag for each image.
    """

    seq: int
    id: str
    operation: str
    model: str
    key_fingerprint: str
    accepted_at: float
    ready_at: float
    stuck: bool
    failure_reason: str | None
    billed_micros: int
    variable_price: bool
    prompt: str
    sent_prompt_sha256: str
    width: int
    height: int
    picture_width: int
    picture_height: int
    transparent: bool
    style_type: str | None
    seeds: tuple[int, ...]
    safe: tuple[bool, ...]

    def state(self, now: float) -> str:
        """`pending`, `completed` or `failed` at a time in Unix seconds."""
        if now < self.ready_at:
            return "pending"
        return "completed" if self.failure_reason is None else "failed"

    def picture(self, index: int) -> PictureSpec:
        """What decides the bytes of one image."""
        size = self.picture_width, self.picture_height
        return PictureSpec(self.model, self.prompt, self.seeds[index], *size, self.transparent)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """
    The circumstances of one purchase.

    Attributes:
        now: Unix seconds.
        key_fingerprint: Of the key that pays.
        start_seed: Start of the draw for a seed that was not asked for.
        settings: What applies now.
        stuck_s: Seconds that a fault holds it pending; None when none does.
    """

    now: float
    key_fingerprint: str
    start_seed: int
    settings: Settings
    stuck_s: float | None = None


def derived_seed(seed: int, index: int) -> int:
    """Seed of the image at an index: the request's own for the first, one that follows from it for each further."""
    if index == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:4]) & MAX_SEED


def in_flight(books: Books, now: float) -> int:
    """How many accepted generations have not ended."""
    (count,) = books.execute("SELECT count(*) FROM generation WHERE ready_at > ?", now).fetchone()
    return int(count)


def _raise_marks(books: Books, wanted: int, *, accepted: bool) -> None:
    marks = (("wanted", wanted), ("high_water", wanted)) if accepted else (("wanted", wanted),)
    for name, value in marks:
        books.execute(
            "INSERT INTO mark VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
            name,
            value,
        )


def _next_seq(books: Books) -> int:
    row = books.execute("SELECT seq FROM sqlite_sequence WHERE name = 'generation'").fetchone()
    return 1 if row is None else int(row[0]) + 1


def _generation_id(books: Books, seq: int) -> str:
    digest = hmac.digest(books.secret, b"generation %d" % seq, "sha256")
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def _entry(books: Books, plan: Plan, terms: Acceptance) -> Generation:
    seq = _next_seq(books)
    drawn = hashlib.sha256(f"{terms.start_seed}:{seq}".encode()).digest()
    seed = int.from_bytes(drawn[:4]) & MAX_SEED if plan.seed is None else plan.seed
    pixels = plan.picture_size[0] * plan.picture_size[1]
    taken_s = terms.settings.time_scale * latency_s(plan.tier, pixels, plan.num_images, seed)
    safe = tuple(index >= plan.unsafe_images for index in range(plan.num_images))
    billed = plan.num_images if terms.settings.bill_unsafe else sum(safe)
    return Generation(
        seq=seq,
        id=_generation_id(books, seq),
        operation=plan.operation,
        model=plan.model,
        key_fingerprint=terms.key_fingerprint,
        accepted_at=terms.now,
        ready_at=terms.now + (taken_s if terms.stuck_s is None else terms.stuck_s),
        stuck=terms.stuck_s is not None,
        failure_reason=plan.failure_reason,
        billed_micros=0 if plan.failure_reason is not None else billed * plan.unit_price_micros,
        variable_price=plan.variable_price,
        prompt=plan.prompt,
        sent_prompt_sha256=plan.sent_prompt_sha256,
        width=plan.size[0],
        height=plan.size[1],
        picture_width=plan.picture_size[0],
        picture_height=plan.picture_size[1],
        transparent=plan.transparent,
        style_type=plan.style_type,
        seeds=tuple(derived_seed(seed, index) for index in range(plan.num_images)),
        safe=safe,
    )


def accept(books: Books, plan: Plan, terms: Acceptance) -> Generation | None:
    """
    Enter a generation into the books, unless the in-flight limit is reached.

    The count, the limit and the entry are one transaction, so the limit holds over every instance on the books.

    Returns:
        The generation, or None when as many as the limit are in flight.
    """
    with books.transaction():
        running = in_flight(books, terms.now)
        accepted = running < terms.settings.inflight_limit
        _raise_marks(books, running + 1, accepted=accepted)
        books.count_post(plan.operation, "accepted" if accepted else "429")
        if not accepted:
            return None
        entry = _entry(books, plan, terms)
        row = [getattr(entry, name.strip()) for name in _COLUMNS.split(",")]
        books.execute(_INSERT, *row[:-2], json.dumps(entry.seeds), json.dumps(entry.safe))
    return entry


def from_row(row: tuple[object, ...]) -> Generation:
    """A generation from the columns of `columns()`."""
    names = [name.strip() for name in _COLUMNS.split(",")]
    values = dict(zip(names, row, strict=True))
    for flag in ("stuck", "variable_price", "transparent"):
        values[flag] = bool(values[flag])
    for array in ("seeds", "safe"):
        values[array] = tuple(json.loads(str(values[array])))
    return Generation(**values)  # type: ignore[arg-type]


def find(books: Books, generation_id: str) -> Generation | None:
    """The generation with an id."""
    sql = f"SELECT {_COLUMNS} FROM generation WHERE id = ?"  # noqa: S608 - names of our own
    row = books.execute(sql, generation_id).fetchone()
    return None if row is None else from_row(row)


def page(books: Books, after: int, limit: int) -> list[Generation]:
    """Generations in the order of acceptance, those after a number, at most so many (-1 for all)."""
    sql = f"SELECT {_COLUMNS} FROM generation WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - names of our own
    return [from_row(row) for row in books.execute(sql, after, limit)]


def release(books: Books, generation_id: str | None, now: float) -> int:
    """End stuck generations, one or all; how many were stuck."""
    sql = "UPDATE generation SET ready_at = ? WHERE stuck AND ready_at > ? AND (? IS NULL OR id = ?)"
    with books.transaction():
        return books.execute(sql, now, now, generation_id, generation_id).rowcount
