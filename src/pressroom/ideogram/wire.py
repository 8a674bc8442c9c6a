"""Encodes a call as the bytes of one HTTP request (reference 1.1)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode, urlsplit

from pressroom.errors import InvalidRequest
from pressroom.ideogram.operations import JSON, Body, Kind, Mode, Operation, Webhook
from pressroom.ideogram.tables import operation_named
from pressroom.ideogram.validation import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pressroom.ideogram.call import Call

WEBHOOK_URL_MAX: Final = 2048
"""Characters (reference 11)."""
_STRUCTURED = {Kind.PALETTE, Kind.STRUCTURED_PROMPT, Kind.OBJECT, Kind.OBJECTS}


@dataclass(frozen=True, repr=False)
class Outgoing:
    """
    One request as it goes out, without the key.

    Attributes:
        method: HTTP method.
        target: Path and query, percent-encoded.
        content_type: Of the body, None without one.
        content: The body.
    """

    method: str
    target: str
    content_type: str | None = None
    content: bytes = b""


@dataclass(frozen=True, repr=False)
class FilePart:
    """One file that travels in a multipart body."""

    field: str
    filename: str
    content: bytes
    content_type: str


def encode(
    call: Call,
    *,
    webhook_url: str | None = None,
    dry_run: bool = False,
    files: Sequence[FilePart] = (),
    multipart: bool = False,
) -> Outgoing:
    """
    The request of a call.

    Args:
        call: What to send.
        webhook_url: Where the vendor tells the end; the operation has to take one.
        dry_run: Ask for a price only; the caller has checked that the operation declares it.
        files: File parts; they force a multipart body.
        multipart: Use a multipart body where the operation takes either.

    Raises:
        InvalidRequest: The operation takes no `webhook_url`, or not this one.
    """
    operation = operation_named(call.operation)
    body, query = dict(call.fields), dict[str, str]()
    if operation.mode is Mode.FLAG and call.asynchronous and not dry_run:
        body["async"] = True
    if webhook_url is not None:
        _check_webhook(operation, call, webhook_url)
        (query if operation.webhook is Webhook.QUERY else body)["webhook_url"] = webhook_url
    if dry_run:
        query["dry_run"] = "true"
    target = operation.path + (f"?{urlencode(query)}" if query else "")
    if operation.body is Body.MULTIPART or (operation.body is Body.EITHER and (multipart or files)):
        boundary = secrets.token_hex(16)
        content = _multipart(operation, body, files, boundary)
        return Outgoing(operation.method, target, f"multipart/form-data; boundary={boundary}", content)
    wrapped: JSON = body if operation.wrapper is None else {operation.wrapper: body}
    return Outgoing(operation.method, target, "application/json", _json(wrapped))


def poll_target(api: str, generation_id: str) -> Outgoing:
    """
    The request that reads a generation.

    Args:
        api: `v1` or `v2`.
        generation_id: As acknowledged; percent-encoded here.

    Raises:
        InvalidRequest: No such polling path, or an id that cannot be one.
    """
    operation = operation_named(f"{api}/poll")
    if not generation_id or generation_id in {".", ".."} or not generation_id.isprintable():
        raise InvalidRequest("generation_id", generation_id, "it is the id that the vendor acknowledged")
    path = operation.path.format(generation_id=quote(generation_id, safe=""))
    return Outgoing(operation.method, path)


def report_target(operation: Operation, query: Mapping[str, JSON]) -> Outgoing:
    """
    The request of a report, its fields in the query.

    Raises:
        InvalidRequest: A field does not fit the row.
    """
    validate(operation, query)
    asked = urlencode(query, doseq=True)
    return Outgoing(operation.method, operation.path + (f"?{asked}" if asked else ""))


def _check_webhook(operation: Operation, call: Call, address: str) -> None:
    if operation.webhook is Webhook.NONE:
        raise InvalidRequest("webhook_url", "(given)", f"{operation.name} takes none")
    if not call.asynchronous:
        raise InvalidRequest("webhook_url", "(given)", "it makes a call asynchronous; this one is not")
    plain = address.isascii() and address.isprintable() and " " not in address
    if not plain or len(address) > WEBHOOK_URL_MAX or urlsplit(address).scheme != "https":
        allowed = f"it is an https address of at most {WEBHOOK_URL_MAX} characters"
        raise InvalidRequest("webhook_url", f"({len(address)} characters)", allowed)


def _json(value: JSON) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _multipart(
    operation: Operation, body: dict[str, JSON], files: Sequence[FilePart], boundary: str
) -> bytes:
    if operation.wrapper is not None:
        parts = [_part(operation.wrapper, _json(body), "application/json")]
    else:
        parts = [part for name, value in body.items() for part in _parts(operation, name, value)]
    parts += [_part(file.field, file.content, file.content_type, file.filename) for file in files]
    return b"".join(_framed(parts, boundary.encode()))


def _framed(parts: Iterable[bytes], boundary: bytes) -> Iterable[bytes]:
    for part in parts:
        yield b"--" + boundary + b"\r\n" + part + b"\r\n"
    yield b"--" + boundary + b"--\r\n"


def _parts(operation: Operation, name: str, value: JSON) -> list[bytes]:
    field = operation.fields.get(name)
    if field is not None and field.kind in _STRUCTURED:
        return [_part(name, _json(value), "application/json")]
    if isinstance(value, list):
        return [_part(name, _scalar(item)) for item in value]
    return [_part(name, _scalar(value))]


def _scalar(value: JSON) -> bytes:
    return value.encode() if isinstance(value, str) else _json(value)


def _part(name: str, content: bytes, content_type: str | None = None, filename: str | None = None) -> bytes:
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if filename is not None:
        head += f'; filename="{_quoted(filename)}"'
    if content_type is not None:
        head += f"\r\nContent-Type: {content_type}"
    return head.encode() + b"\r\n\r\n" + content


def _quoted(name: str) -> str:
    # browsers escape exactly these three (HTML standard, multipart/form-data encoding)
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
