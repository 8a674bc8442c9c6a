"""What one row of the vendor's table says: an operation, its fields and the rules between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

MIB = 1024 * 1024


class Api(StrEnum):
    """Generation of the vendor's API."""

    LEGACY = "legacy"
    V1 = "v1"
    V2 = "v2"


class Body(StrEnum):
    """How a request body is encoded; `either` is JSON unless files travel with it (reference 1.1)."""

    NONE = "none"
    JSON = "json"
    MULTIPART = "multipart"
    EITHER = "either"


class Mode(StrEnum):
    """When the pictures come: in the answer, later, or as the request's `async` field says."""

    SYNC = "sync"
    ASYNC = "async"
    FLAG = "flag"


class Webhook(StrEnum):
    """Where an operation takes `webhook_url`."""

    NONE = "none"
    QUERY = "query"
    BODY = "body"


class Response(StrEnum):
    """Shape of a success: pictures with `data`, an acknowledgement with `generation_id` only, a polled state, a report."""

    IMAGES = "images"
    ACKNOWLEDGEMENT = "acknowledgement"
    GENERATION = "generation"
    REPORT = "report"


class Kind(StrEnum):
    """Type of a field's value; the last two exist in multipart bodies only."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    TEXTS = "texts"
    PALETTE = "palette"
    STRUCTURED_PROMPT = "structured_prompt"
    OBJECT = "object"
    OBJECTS = "objects"
    FILE = "file"
    FILES = "files"


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """
    Bounds of a free `WxH` size, in pixels.

    Attributes:
        step: Both sides are multiples of it.
        shortest: Smallest side.
        longest: Largest side.
        ratio: Longer side over shorter side, at most.
        least_area: Smallest product of the sides.
        most_area: Largest product of the sides.
    """

    step: int
    shortest: int
    longest: int
    ratio: float
    least_area: int
    most_area: int


@dataclass(frozen=True, kw_only=True)
class Field:
    """
    One field of a request.

    Attributes:
        name: The vendor's name.
        kind: Type of the value.
        required: Whether the request is refused without it.
        choices: Allowed values of a CHOICE, in the vendor's spelling.
        pattern: Whole-match expression for TEXT, for each item of TEXTS, and for `extra` values of a CHOICE.
        minimum: Smallest number; shortest TEXT in characters; fewest items.
        maximum: Largest number; longest TEXT in characters; most items.
        secret: The value is prompt text and is never shown.
        separator: Between the two numbers of a ratio given as free text, `x` or `:`.
        limit_bytes: Largest file, for FILE and each of FILES.
        default: What the vendor takes when the field is absent, where a condition depends on it.
        step: An INTEGER is a multiple of it.
        geometry: Bounds of a size outside `choices`.
    """

    name: str
    kind: Kind
    required: bool = False
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    secret: bool = False
    separator: str = "x"
    limit_bytes: int | None = None
    default: str | None = None
    step: int | None = None
    geometry: Geometry | None = None


@dataclass(frozen=True)
class OnlyWith:
    """
    A field that the vendor takes for some values of another field only, e.g. for some models.

    Attributes:
        field: The bound field.
        other: The field it depends on.
        values: Values of `other` that admit `field`.
    """

    field: str
    other: str
    values: frozenset[str]


@dataclass(frozen=True)
class Needs:
    """
    A field that means something only next to another one, e.g. a mask next to its image.

    Attributes:
        field: The bound field.
        any_of: At least one of these must be given too.
        values: The rule holds for these values of `field` only; empty for all of them.
        unlisted: The rule holds for values outside the field's `choices` only.
    """

    field: str
    any_of: frozenset[str]
    values: frozenset[str] = frozenset()
    unlisted: bool = False


@dataclass(frozen=True)
class Product:
    """Two sides in pixels, given as two fields, whose product is limited."""

    width: str
    height: str
    maximum: int


@dataclass(frozen=True, kw_only=True)
class Operation:
    """
    One operation of the vendor.

    Attributes:
        name: Our name for it, e.g. `v2/generate/ideogram-4-5`.
        api: Generation of the API.
        method: HTTP method.
        path: Path under the base URL; `{generation_id}` is filled in percent-encoded.
        body: How the body is encoded.
        mode: When the pictures come.
        response: Shape of a success.
        fields: Fields by the vendor's name, without `async` and `webhook_url`.
        wrapper: Name of the object that holds all fields in the body, None when they are flat.
        webhook: Where `webhook_url` goes.
        dry_run: Whether a price quote is declared. Asking where it is not may run and bill (reference 4.4).
        key_refusals: Statuses that mean the key, not the request (reference 3).
        model: Model that the path fixes, empty where a field chooses it.
        exclusive: Groups of which at most one member may be given.
        exactly_one: Groups of which exactly one member must be given.
        together: Groups given all or not at all.
        conditions: Fields bound to values of another field.
        needs: Fields that mean something next to another one only.
        products: Limits on the area that two fields give.
    """

    name: str
    api: Api
    path: str
    method: str = "POST"
    body: Body
    mode: Mode
    response: Response = Response.IMAGES
    fields: Mapping[str, Field]
    wrapper: str | None = None
    webhook: Webhook = Webhook.NONE
    dry_run: bool = False
    key_refusals: frozenset[int] = frozenset({401})
    model: str = ""
    exclusive: tuple[frozenset[str], ...] = ()
    exactly_one: tuple[frozenset[str], ...] = ()
    together: tuple[frozenset[str], ...] = ()
    conditions: tuple[OnlyWith, ...] = ()
    needs: tuple[Needs, ...] = ()
    products: tuple[Product, ...] = ()


def fields(*rows: Field) -> Mapping[str, Field]:
    """Rows by name, in their order."""
    return MappingProxyType({row.name: row for row in rows})


def group(*names: str) -> frozenset[str]:
    """Names of fields that a rule binds together."""
    return frozenset(names)
