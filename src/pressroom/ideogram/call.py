"""One validated request in the vendor's words, ready to be stored, quoted and sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pressroom.errors import InvalidRequest
from pressroom.ideogram.operations import JSON, Api, Mode
from pressroom.ideogram.tables import operation_named
from pressroom.ideogram.validation import validate

if TYPE_CHECKING:
    from collections.abc import Mapping

PRICE_FIELDS: Final = (
    "model",
    "num_images",
    "rendering_speed",
    "quality",
    "size",
    "resolution",
    "resolution_tier",
    "output_resolution",
    "upscale_factor",
    "aspect_ratio",
    "custom_width",
    "custom_height",
    "num_inference_steps",
)
"""Fields that may move the price (reference 18): two calls of one operation that agree on them cost the same."""


def polling_api(operation: str) -> str:
    """
    Which polling path reads the generations of an operation: `v1` or `v2`.

    Raises:
        InvalidRequest: There is no such operation.
    """
    return "v2" if operation_named(operation).api is Api.V2 else "v1"


@dataclass(frozen=True, repr=False)
class Call:
    """
    One request to the vendor, held against the table when it was made.

    Attributes:
        operation: Name of a row of `OPERATIONS`.
        fields: The request's fields by the vendor's names, without `async` and `webhook_url`.
        asynchronous: The vendor acknowledges at once and the pictures are polled for.
    """

    operation: str
    fields: dict[str, JSON]
    asynchronous: bool

    def __post_init__(self) -> None:
        operation = operation_named(self.operation)
        validate(operation, self.fields)
        possible = {Mode.SYNC: {False}, Mode.ASYNC: {True}, Mode.FLAG: {False, True}}[operation.mode]
        if self.asynchronous not in possible:
            raise InvalidRequest(
                "asynchronous", self.asynchronous, f"{operation.name} is {operation.mode} only"
            )

    @property
    def api(self) -> str:
        """Which polling path reads its generation id: `v1` or `v2`."""
        return polling_api(self.operation)

    @property
    def num_images(self) -> int:
        """Pictures asked for."""
        count = self.fields.get("num_images", 1)
        return count if isinstance(count, int) else 1

    @property
    def price_fields(self) -> dict[str, JSON]:
        """What decides the price, operation included: equal mappings cost the same. Holds no prompt."""
        chosen: dict[str, JSON] = {name: self.fields[name] for name in PRICE_FIELDS if name in self.fields}
        sources = self.fields.get("image_asset_identifiers")
        if isinstance(sources, list):
            chosen["sources"] = len(sources)
        stacked = self.fields.get("stacked_custom_models")
        if isinstance(stacked, list):
            chosen["stacked_custom_models"] = len(stacked)
        chosen["custom"] = "custom_model_uri" in self.fields
        return {"operation": self.operation, **chosen}

    def to_json(self) -> dict[str, JSON]:
        """Portable form, for a database row."""
        return {"operation": self.operation, "fields": dict(self.fields), "asynchronous": self.asynchronous}

    @classmethod
    def from_json(cls, stored: Mapping[str, JSON]) -> Call:
        """
        The call that `to_json` gave, checked again.

        Raises:
            InvalidRequest: It does not fit the table of this version.
        """
        operation, fields, asynchronous = (stored.get(k) for k in ("operation", "fields", "asynchronous"))
        if not isinstance(operation, str):
            raise InvalidRequest("operation", operation, "it is the name of an operation")
        if not isinstance(fields, dict):
            raise InvalidRequest("fields", f"({type(fields).__name__})", "it is an object")
        if not isinstance(asynchronous, bool):
            raise InvalidRequest("asynchronous", asynchronous, "it is true or false")
        return cls(operation, fields, asynchronous)

    def __repr__(self) -> str:
        """Names of the fields only: their values may be prompts."""
        mode = "asynchronous" if self.asynchronous else "synchronous"
        return f"Call({self.operation}, {mode}, fields: {', '.join(self.fields)})"
