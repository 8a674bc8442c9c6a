"""One HTTP exchange over a bare socket, so that a test sees what a client library would hide."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass


@dataclass
class Exchange:
    """How an exchange ended (`complete`, `cut`, `closed`, `reset`, `silent`) and what came."""

    end: str
    status: int = 0
    headers: dict[str, str] | None = None
    body: bytes = b""

    def json(self):
        return json.loads(self.body)


def _chunks_done(raw: bytes) -> bytes | None:
    body = b""
    while raw:
        size, found, rest = raw.partition(b"\r\n")
        if not found:
            return None
        length = int(size, 16)
        if length == 0:
            return body
        body, raw = body + rest[:length], rest[length + 2 :]
    return None


def _parsed(data: bytes, end: str) -> Exchange:
    head, found, raw = data.partition(b"\r\n\r\n")
    if not found:
        return Exchange(end if end != "cut" else "closed")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split(" ")[1])
    if "content-length" in headers:
        whole = len(raw) >= int(headers["content-length"])
        return Exchange("complete" if whole else end, status, headers, raw)
    body = _chunks_done(raw) if headers.get("transfer-encoding") == "chunked" else None
    return Exchange("complete" if body is not None else end, status, headers, body or raw)


def exchange(port: int, request: bytes, *, patience_s: float = 5.0) -> Exchange:
    """Send a request and read until it is answered, cut off, or `patience_s` pass without a byte."""
    data = bytearray()  # a picture may be oversized on purpose
    wanted = 0
    with socket.create_connection(("127.0.0.1", port), timeout=patience_s) as connection:
        connection.sendall(request)
        while True:
            try:
                piece = connection.recv(1 << 16)
            except ConnectionResetError:
                return _parsed(bytes(data), "reset")
            except TimeoutError:
                return _parsed(bytes(data), "silent")
            if not piece:
                return _parsed(bytes(data), "cut")
            data += piece
            if len(data) < wanted:
                continue
            seen = _parsed(bytes(data), "cut")
            if seen.end == "complete":
                return seen
            wanted = int((seen.headers or {}).get("content-length", 0))


def post(path: str, body: object, key: str = "key-1") -> bytes:
    """Bytes of a POST with a JSON body."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nApi-Key: {key}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def get(path: str, key: str = "key-1") -> bytes:
    """Bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nApi-Key: {key}\r\n\r\n".encode()
