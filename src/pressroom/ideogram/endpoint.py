"""The base address, the key and the time limits of the client, checked before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import Final
from urllib.parse import urlsplit

from pressroom.egress import is_loopback_host
from pressroom.errors import InvalidSettings

BASE_URL: Final = "https://api.ideogram.ai"
"""The vendor's address (reference 1)."""
SYNCHRONOUS_FLOOR_S: Final = 60.0
"""Seconds. Least read time of a synchronous generation on a public host: a shorter one gives up on pictures that were
bought (spec P1; reference 3.1)."""


@dataclass(frozen=True)
class Endpoint:
    """
    Where requests go.

    Attributes:
        base_url: Without a trailing slash.
        loopback: It is this machine: plain http and non-public download hosts are allowed.
    """

    base_url: str
    loopback: bool


def validate_base_url(base_url: str) -> Endpoint:
    """
    Check a base address. Nothing is corrected silently: what is not exact is refused with the correction named.

    Raises:
        InvalidSettings: Not an address, plain http to a host other than loopback, a user, a query, a fragment, or a
            trailing slash.
    """
    if not base_url.isascii() or not base_url.isprintable() or " " in base_url:
        raise InvalidSettings("the base URL holds a space, a control or a non-ASCII character; remove it")
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidSettings(f"the base URL is not an address; the vendor's is {BASE_URL}") from None
    if parts.scheme not in {"https", "http"} or not host or port == 0:
        raise InvalidSettings(f"the base URL is not an http address; the vendor's is {BASE_URL}")
    if "@" in parts.netloc:
        raise InvalidSettings(
            "the base URL holds a user or a password; the key goes into IDEOGRAM_API_KEY only"
        )
    if "?" in base_url or "#" in base_url:
        raise InvalidSettings("the base URL holds a query or a fragment; remove it")
    if base_url.endswith("/"):
        raise InvalidSettings(f"the base URL ends with a slash; write {base_url.rstrip('/')}")
    loopback = is_loopback_host(host)
    if parts.scheme == "http" and not loopback:
        raise InvalidSettings(f"plain http to {host} would show the key to the network; write https")
    return Endpoint(base_url, loopback)


def validate_key(key: str) -> str:
    """
    Check that a key can be sent as a header. No message holds any part of it.

    Raises:
        InvalidSettings: It is empty, has white space or control characters, or is not ASCII.
    """
    if not key:
        raise InvalidSettings("the API key is empty")
    if key != key.strip():
        place = "begins" if key[0].isspace() else "ends"
        raise InvalidSettings(f"the API key {place} with white space or a line break; remove it")
    if any(character.isspace() for character in key):
        raise InvalidSettings("the API key has white space or a line break inside; it was pasted wrongly")
    if not key.isascii() or not key.isprintable():
        raise InvalidSettings("the API key holds a control or a non-ASCII character; it was pasted wrongly")
    return key


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """
    Time limits in seconds, each above zero.

    Attributes:
        connect: Name, connection and TLS.
        pool: Waiting for a free connection.
        asynchronous: A POST that is only acknowledged, from its first byte sent to the last one received.
        synchronous: A POST that answers with pictures, likewise. At least 60 s on a public host.
        poll: A poll, a quote or a probe, likewise.
        download_read: Silence while a picture comes.
        download: A picture from its first to its last byte.
    """

    connect: float = 5.0
    pool: float = 10.0
    asynchronous: float = 20.0
    synchronous: float = 180.0
    poll: float = 20.0
    download_read: float = 20.0
    download: float = 120.0

    def __post_init__(self) -> None:
        for limit in fields(self):
            seconds = getattr(self, limit.name)
            if not isfinite(seconds) or seconds <= 0:
                raise InvalidSettings(f"timeout {limit.name} is {seconds} s; it has to be above zero")

    def check_for(self, endpoint: Endpoint) -> None:
        """
        Refuse a synchronous limit that would give up on bought pictures.

        Raises:
            InvalidSettings: Below 60 s, and the host is not loopback.
        """
        if not endpoint.loopback and self.synchronous < SYNCHRONOUS_FLOOR_S:
            raise InvalidSettings(
                f"timeout synchronous is {self.synchronous:g} s; on a public host it is at least "
                f"{SYNCHRONOUS_FLOOR_S:g} s, or pictures that were bought are given up"
            )
