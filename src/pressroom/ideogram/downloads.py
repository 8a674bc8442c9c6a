"""Brings one picture home: streams it to a file, and keeps the file only if it is whole and a picture."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import httpx2

from pressroom.egress import Resolver, public_addresses
from pressroom.errors import (
    DownloadExpired,
    DownloadRejected,
    InvalidSettings,
    NotSent,
    StorageDenied,
    StorageError,
    StorageFull,
    Unavailable,
)
from pressroom.ideogram.exchange import Clock, Exchange, lowered
from pressroom.ideogram.pictures import Picture, recognise
from pressroom.ideogram.reading import retry_after_s

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LIMIT_BYTES: Final = 64 * 1024 * 1024
"""Largest picture that is fetched: an 8192 x 8192 PNG without compression gain stays far above what is ever served."""
MAX_REDIRECTS: Final = 3
_BLOCK_BYTES = 1024 * 1024
_EXPIRED = frozenset({403, 404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "pressroom"}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@dataclass(frozen=True)
class Download:
    """
    One picture on this machine.

    Attributes:
        size_bytes: Bytes of the file.
        sha256: Lower-case hex.
        content_type: By the bytes, not as declared.
        width: Pixels.
        height: Pixels.
        extension: Usual file ending, without the dot.
    """

    size_bytes: int
    sha256: str
    content_type: str
    width: int
    height: int
    extension: str


@dataclass(frozen=True)
class Downloader:
    """
    Fetches pictures without the key.

    Attributes:
        exchange: Connection pool of its own.
        allow_private: Whether hosts on non-public addresses and plain http are dialled (base URL on loopback only).
        within_s: Seconds for one picture in all.
        clock: For dates in `Retry-After`.
        resolver: Looks names up.
    """

    exchange: Exchange
    allow_private: bool
    within_s: float
    clock: Clock
    resolver: Resolver

    async def fetch(self, url: str, path: Path, limit_bytes: int) -> Download:
        """
        Stream one picture to `path`; on any error `path` is as it was.

        Raises:
            DownloadExpired: 403, 404 or 410.
            DownloadRejected: Not a picture, too large, cut short, damaged, or from a host that is not dialled.
            Unavailable: It may work later.
            StorageError: The file cannot be written.
        """
        try:
            async with asyncio.timeout(self.within_s):
                return await self._fetch(url, path, limit_bytes)
        except TimeoutError as error:
            raise Unavailable(
                f"the picture did not come within {self.within_s:g} s; it can be fetched again"
            ) from error

    async def _fetch(self, url: str, path: Path, limit_bytes: int) -> Download:
        target = _parsed(url)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._opened(target) as response:
                if response.status_code not in _REDIRECTS:
                    self._check(response, limit_bytes)
                    return await _store(response, path, limit_bytes)
                target = _joined(target, response.headers.get("location", ""))
        raise DownloadRejected(f"the picture's address redirects more than {MAX_REDIRECTS} times")

    @asynccontextmanager
    async def _opened(self, target: httpx2.URL) -> AsyncIterator[httpx2.Response]:
        dialled, host = await self._dialled(target)
        headers = _HEADERS | {"Host": target.netloc.decode("ascii")}
        answered = False
        try:
            async with self.exchange.opened(dialled, headers, server_name=host) as response:
                answered = True
                yield response
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            if answered and isinstance(error, httpx2.RemoteProtocolError):
                raise DownloadRejected("the picture was cut short; fetch it again") from error
            raise Unavailable(f"{type(error).__name__}: the picture can be fetched again") from error

    async def _dialled(self, target: httpx2.URL) -> tuple[httpx2.URL, str | None]:
        """What to dial: the checked address itself, so that a second look-up cannot give another one."""
        if target.userinfo or target.scheme not in {"http", "https"} or not target.host:
            raise DownloadRejected("the picture's address is no plain https address")
        if self.allow_private:
            return target, None
        if target.scheme != "https":
            raise DownloadRejected("the picture's address is not https")
        try:
            found = await public_addresses(target.host, target.port or 443, resolver=self.resolver)
        except InvalidSettings as error:
            raise DownloadRejected(
                "the picture's host is not on public addresses; it is not dialled"
            ) from error
        except NotSent as error:
            raise Unavailable("the picture's host has no address at present; fetch it again") from error
        return target.copy_with(host=found[0]), target.host

    def _check(self, response: httpx2.Response, limit_bytes: int) -> None:
        status, headers = response.status_code, lowered(response.headers)
        if status in _EXPIRED:
            raise DownloadExpired(
                f"HTTP {status}: the picture's address is dead; poll for a fresh one", status=status
            )
        if status >= 500 or status in {408, 425, 429}:
            wait_s = retry_after_s(headers, self.clock())
            raise Unavailable(f"HTTP {status}: fetch the picture again", status=status, retry_after=wait_s)
        if status != 200:
            raise DownloadRejected(f"HTTP {status} in place of a picture", status=status)
        if headers.get("content-encoding", "identity") != "identity":
            raise DownloadRejected("the picture came encoded, though that was not asked for", status=status)
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared) > limit_bytes:
            raise DownloadRejected(f"the picture is larger than {limit_bytes} bytes", status=status)


def _parsed(url: str) -> httpx2.URL:
    try:
        return httpx2.URL(url)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise DownloadRejected("the picture's address cannot be read") from error


def _joined(target: httpx2.URL, location: str) -> httpx2.URL:
    if not location:
        raise DownloadRejected("the picture's address redirects to nowhere")
    try:
        return target.join(location)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise DownloadRejected("the picture's address redirects to no address") from error


async def _store(response: httpx2.Response, path: Path, limit_bytes: int) -> Download:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    digest, size = hashlib.sha256(), 0
    with _storing(path):
        file = await asyncio.to_thread(part.open, "xb")
        try:
            with file:
                async for block in response.aiter_raw(_BLOCK_BYTES):
                    size += len(block)
                    if size > limit_bytes:
                        raise DownloadRejected(f"the picture is larger than {limit_bytes} bytes")
                    await asyncio.to_thread(_append, file, digest, block)
                picture = await asyncio.to_thread(_finish, file, part)
            await asyncio.to_thread(_publish, part, path)
        finally:
            part.unlink(missing_ok=True)
    return Download(
        size, digest.hexdigest(), picture.content_type, picture.width, picture.height, picture.extension
    )


def _append(file: BinaryIO, digest: hashlib._Hash, block: bytes) -> None:
    file.write(block)
    digest.update(block)


def _finish(file: BinaryIO, part: Path) -> Picture:
    file.flush()
    os.fsync(file.fileno())
    try:
        return recognise(part.read_bytes())
    except ValueError as error:
        raise DownloadRejected(f"what came is not the picture: {error}") from error


def _publish(part: Path, path: Path) -> None:
    """Give the file its name, durably: the directory is synced too."""
    part.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise
        kind = (
            StorageFull if error.errno in _FULL else StorageDenied if error.errno in _DENIED else StorageError
        )
        raise kind(f"{path} cannot be written: {os.strerror(error.errno or 0)}") from error


async def examine(path: Path) -> Download:
    """
    Measure a picture that is on this machine already, such as one that an earlier run fetched.

    Raises:
        DownloadRejected: It is not a picture.
        StorageError: It cannot be read.
    """
    with _storing(path):
        return await asyncio.to_thread(_examined, path)


def _examined(path: Path) -> Download:
    data = path.read_bytes()
    try:
        picture = recognise(data)
    except ValueError as error:
        raise DownloadRejected(f"{path.name} is not a picture: {error}") from error
    digest = hashlib.sha256(data).hexdigest()
    return Download(len(data), digest, picture.content_type, picture.width, picture.height, picture.extension)
