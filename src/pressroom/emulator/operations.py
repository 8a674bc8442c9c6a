"""One row per imitated generate operation, and the look-up from a path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pressroom.emulator.fields import Field
    from pressroom.emulator.sizes import Size

    Rule = Callable[[Mapping[str, object]], str | None]
    Sizer = Callable[[Mapping[str, object]], Size]

Api = Literal["legacy", "v1", "v2"]
Mode = Literal["sync", "async", "flag"]
Shape = Literal["legacy", "v3", "v4", "ack", "g", "g45"]


@dataclass(frozen=True, slots=True)
class Operation:
    """
    One operation of the vendor's that the emulator imitates.

    Attributes:
        name: What fault scripts and the ledger call it.
        path: Path of the POST.
        api: Generation of the API, which decides the shape of refusals.
        model: Name that prices and pictures go by; on legacy the field `model` replaces it.
        fields: Everything its body may hold.
        size: Size of the picture from the fields.
        shape: Shape of a success.
        mode: Whether it answers with the images, at once, or as the request says (`flag`).
        json_body: Whether a JSON body is taken.
        multipart_body: Whether a multipart body is taken.
        webhook_query: Whether the query may hold `webhook_url`.
        dry_run: Whether the query may hold `dry_run`.
        transparent: Whether pictures have an alpha channel.
        rules: Checks across fields; each gives a sentence or None.
    """

    name: str
    path: str
    api: Api
    model: str
    fields: tuple[Field, ...]
    size: Sizer
    shape: Shape
    mode: Mode = "sync"
    json_body: bool = True
    multipart_body: bool = False
    webhook_query: bool = False
    dry_run: bool = False
    transparent: bool = False
    rules: tuple[Rule, ...] = field(default=())

    @property
    def quote_name(self) -> str:
        """What fault scripts call a dry run of it."""
        return self.name.replace(".generate.", ".quote.")
