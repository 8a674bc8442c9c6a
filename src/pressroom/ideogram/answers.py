"""Typed answers of the vendor. Parsing raises ValueError for anything malformed and keeps unknown fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from pressroom.ideogram.reading import integer_or_none, text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pressroom.ideogram.operations import JSON

_POLICY_WORDS: Final = ("policy", "safety", "unsafe", "moderation")
_IMAGE_FIELDS = {"url", "prompt", "resolution", "seed", "is_image_safe", "style_type", "upscaled_resolution"}


@dataclass(frozen=True)
class Image:
    """
    One picture as the vendor describes it.

    Attributes:
        url: Where it can be fetched for a while; None when the vendor gave null, an empty text or nothing.
        prompt: The prompt used, perhaps rewritten; None where the operation gives none.
        resolution: `WxH` in pixels.
        seed: Seed of this picture.
        is_image_safe: The vendor's verdict. Where it gave none: whether there is an address.
        style_type: Style used, where the answer says so.
        upscaled_resolution: `WxH` after upscaling, where the answer says so.
        extra: Fields of the answer that have no attribute here.
    """

    url: str | None
    prompt: str | None = field(repr=False)
    resolution: str | None
    seed: int | None
    is_image_safe: bool
    style_type: str | None = None
    upscaled_resolution: str | None = None
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)

    @property
    def expires_at(self) -> datetime | None:
        """When the address dies (its `exp`, unix seconds), aware UTC; None where it does not say."""
        return expiry_of(self.url)

    def to_json(self) -> dict[str, JSON]:
        """Portable form, in the vendor's words."""
        known: dict[str, JSON] = {
            "url": self.url,
            "prompt": self.prompt,
            "resolution": self.resolution,
            "seed": self.seed,
            "is_image_safe": self.is_image_safe,
            "style_type": self.style_type,
            "upscaled_resolution": self.upscaled_resolution,
        }
        return self.extra | known

    @classmethod
    def from_json(cls, item: JSON) -> Image:
        """
        A picture from one item of `data`, or from what `to_json` gave.

        Raises:
            ValueError: It is not an object.
        """
        if not isinstance(item, dict):
            raise ValueError("a picture in the answer is not an object")  # noqa: TRY004 - see module
        url, verdict = text_or_none(item.get("url")), item.get("is_image_safe")
        return cls(
            url=url,
            prompt=text_or_none(item.get("prompt")),
            resolution=text_or_none(item.get("resolution")),
            seed=integer_or_none(item.get("seed")),
            is_image_safe=verdict if isinstance(verdict, bool) else url is not None,
            style_type=text_or_none(item.get("style_type")),
            upscaled_resolution=text_or_none(item.get("upscaled_resolution")),
            extra={name: value for name, value in item.items() if name not in _IMAGE_FIELDS},
        )


@dataclass(frozen=True)
class Images:
    """Pictures that came in the answer itself; `generation_id` on v2 only."""

    images: tuple[Image, ...]
    generation_id: str | None = None
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Acknowledgement:
    """The vendor accepted; the pictures are polled for."""

    generation_id: str
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)


class Status(StrEnum):
    """State of an asynchronous generation."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class Generation:
    """
    An asynchronous generation as polled.

    Attributes:
        generation_id: The vendor's id.
        status: `pending`, `completed` or `failed`.
        images: Pictures of a completed one.
        failure_reason: The vendor's word for a failure, where it gives one.
        usage_cost_usd_micros: Micro-dollars billed, for variable-priced work only.
        extra: Fields of the answer that have no attribute here.
    """

    generation_id: str
    status: Status
    images: tuple[Image, ...] = ()
    failure_reason: str | None = None
    usage_cost_usd_micros: int | None = None
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)

    @property
    def refused_by_policy(self) -> bool:
        """Whether it failed because of its content, e.g. `content_policy_violation`."""
        reason = (self.failure_reason or "").lower()
        return self.status is Status.FAILED and any(word in reason for word in _POLICY_WORDS)


@dataclass(frozen=True)
class PriceQuote:
    """
    The vendor's price for a call (reference 17.1).

    Attributes:
        usd_micros: Micro-dollars, read as the total of the request.
        exact: False for an estimate.
        upper_bound_usd_micros: Most that an estimate can become, where the vendor says.
        billing_identifier: The vendor's name of what is billed.
        quantity: Units billed.
        credit_millis: The same in thousandths of a credit.
        extra: Fields of the answer that have no attribute here.
    """

    usd_micros: int
    exact: bool
    upper_bound_usd_micros: int | None = None
    billing_identifier: str | None = None
    quantity: int | None = None
    credit_millis: int | None = None
    extra: dict[str, JSON] = field(default_factory=dict, repr=False)

    @property
    def most_usd_micros(self) -> int:
        """What to set aside: the upper bound where there is one above the price, else the price."""
        return max(self.usd_micros, self.upper_bound_usd_micros or 0)


def expiry_of(url: str | None) -> datetime | None:
    """The `exp` of a result address as aware UTC, None without one that can be read."""
    try:
        seconds = parse_qs(urlsplit(url or "").query).get("exp", [""])[0]
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):  # the last two: outside the calendar
        return None


def _without(answer: Mapping[str, JSON], *names: str) -> dict[str, JSON]:
    return {name: value for name, value in answer.items() if name not in names}


def _pictures(data: JSON) -> tuple[Image, ...]:
    if not isinstance(data, list):
        raise ValueError("the answer's data is not a list")  # noqa: TRY004 - see module
    return tuple(Image.from_json(item) for item in data)


def parse_accepted(answer: Mapping[str, JSON]) -> Images | Acknowledgement:
    """
    What a paid request got: pictures where there is `data`, else an acknowledgement.

    Raises:
        ValueError: Neither pictures nor an id.
    """
    generation_id = text_or_none(answer.get("generation_id"))
    if answer.get("data") is not None:
        return Images(_pictures(answer["data"]), generation_id, _without(answer, "data", "generation_id"))
    if generation_id is None:
        raise ValueError("the answer has neither pictures nor a generation id")
    return Acknowledgement(generation_id, _without(answer, "data", "generation_id"))


def parse_generation(answer: Mapping[str, JSON]) -> Generation:
    """
    A polled generation.

    Raises:
        ValueError: No id, an unknown state, or a completed one without pictures.
    """
    generation_id = text_or_none(answer.get("generation_id"))
    if generation_id is None:
        raise ValueError("the answer has no generation id")
    status = Status(str(answer.get("status")))
    return Generation(
        generation_id=generation_id,
        status=status,
        images=_pictures(answer.get("data")) if status is Status.COMPLETED else (),
        failure_reason=text_or_none(answer.get("failure_reason")),
        usage_cost_usd_micros=integer_or_none(answer.get("usage_cost_usd_micros")),
        extra=_without(answer, "generation_id", "status", "data", "failure_reason", "usage_cost_usd_micros"),
    )


_QUOTE_FIELDS = (
    "object",
    "usd_micros",
    "qualifier",
    "upper_bound_usd_micros",
    "billing_identifier",
    "quantity",
    "credit_millis",
)


def parse_quote(answer: Mapping[str, JSON]) -> PriceQuote:
    """
    A price quote.

    Raises:
        ValueError: It is not one (a result instead of a quote among them), or its amount cannot be read.
    """
    micros = integer_or_none(answer.get("usd_micros"))
    if answer.get("object") != "price_quote" or micros is None:
        raise ValueError("the answer is not a price quote")
    return PriceQuote(
        usd_micros=micros,
        exact=answer.get("qualifier") == "exact",
        upper_bound_usd_micros=integer_or_none(answer.get("upper_bound_usd_micros")),
        billing_identifier=text_or_none(answer.get("billing_identifier")),
        quantity=integer_or_none(answer.get("quantity")),
        credit_millis=integer_or_none(answer.get("credit_millis")),
        extra=_without(answer, *_QUOTE_FIELDS),
    )
