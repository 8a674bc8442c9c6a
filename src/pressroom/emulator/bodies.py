"""Reading a request's body, JSON or multipart, into the fields of an operation. Source: reference section 1.1."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from pressroom.emulator.fields import STRUCTURED, from_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pressroom.emulator.fields import Field
    from pressroom.emulator.operations import Operation

MAX_BODY: Final = 50 * 1024 * 1024
"""Bytes of a whole request. Source: reference section 1.2 (October 2026)."""

MAX_FILE: Final = 25 * 1024 * 1024
"""Bytes of one file. Source: as above."""


class BadBodyError(Exception):
    """The body cannot be read as the operation's; `args` are the sentence and the status."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence, status)
        self.sentence = sentence
        self.status = status


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    is_file: bool
    content_type: str
    data: bytes


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _json_object(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadBodyError("the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise BadBodyError("the body must be a JSON object")
    return value


def _unwrapped(body: dict[str, object]) -> dict[str, object]:
    inner = body.get("image_request")
    if set(body) != {"image_request"} or not isinstance(inner, dict):
        raise BadBodyError("the body must be an object with image_request and nothing else")
    return inner


def _parts(body: bytes, content_type: str) -> Iterator[_Part]:
    match = re.search(r'boundary="?([^";]{1,70})"?', content_type)
    if not match:
        raise BadBodyError("multipart/form-data needs a boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + match[1].encode("latin-1"))
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise BadBodyError("the multipart body is cut short")
    for piece in pieces[1:-1]:
        head, found, data = piece.partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode("utf-8", "replace").splitlines())
        headers = {name.strip().lower(): value.strip() for name, _, value in lines}
        disposition = headers.get("content-disposition", "")
        label = re.search(r'\bname="([^"]*)"', disposition)
        if not found or not label:
            raise BadBodyError("a part of the multipart body has no name")
        yield _Part(label[1], "filename" in disposition, headers.get("content-type", ""), data)


def _part_value(field: Field, part: _Part) -> object:
    if field.kind == "files":
        if not part.is_file:
            raise BadBodyError(f"{field.name} must be sent as a file, with a filename")
        if len(part.data) > MAX_FILE:
            raise BadBodyError(f"{field.name} is larger than {MAX_FILE} bytes", 413)
        return part.data
    if field.kind in STRUCTURED and not part.content_type.startswith("application/json"):
        raise BadBodyError(f"the part {field.name} needs Content-Type application/json")
    try:
        return from_text(field, part.data.decode())
    except UnicodeDecodeError:
        raise BadBodyError(f"{field.name} is not UTF-8 text") from None


def _form(body: bytes, content_type: str, fields: tuple[Field, ...]) -> dict[str, object]:
    known = {field.name: field for field in fields}
    values: dict[str, object] = {}
    for part in _parts(body, content_type):
        field = known.get(part.name)
        if field is None:
            raise BadBodyError(f"{part.name[:60]!r} is not a field of this operation")
        value = _part_value(field, part)
        if field.kind in ("files", "texts"):
            held = values.setdefault(field.name, [])
            assert isinstance(held, list)
            held.append(value)
        elif field.name in values:
            raise BadBodyError(f"{field.name} is given twice")
        else:
            values[field.name] = value
    return values


def read_fields(operation: Operation, body: bytes, content_type: str) -> dict[str, object]:
    """
    The fields of a request, not yet checked.

    Raises:
        BadBodyError: Wrong content type, broken JSON or multipart, too large.
    """
    if len(body) > MAX_BODY:
        raise BadBodyError(f"the request is larger than {MAX_BODY} bytes", 413)
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    if kind == "application/json" and operation.json_body:
        fields = _json_object(body)
        return _unwrapped(fields) if operation.api == "legacy" else fields
    if kind == "multipart/form-data" and operation.multipart_body:
        return _form(body, content_type, operation.fields)
    allowed = "application/json or multipart/form-data" if operation.multipart_body else "application/json"
    raise BadBodyError(f"Content-Type must be {allowed}")
