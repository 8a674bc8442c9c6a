"""The object store: where images live for good."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote
from uuid import uuid4

import obstore

from pressroom.errors import InvalidInput, NotFound, StorageError
from pressroom.storage.boundary import translated
from pressroom.storage.keys import CACHE_CONTROL, checked_key
from pressroom.storage.kinds import KINDS, WEEK, Handle, open_handle
from pressroom.storage.local import sweep_unfinished
from pressroom.storage.places import Place, parse_place
from pressroom.storage.writing import create, same_content

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from obstore import GetOptions

    from pressroom.storage.options import StoreOptions

CHUNK_BYTES = 256 * 1024
"""Smallest piece that `read` yields, except the last."""

CHECK_BYTES = b"pressroom" * 7_282
"""What `check` writes: 64 KiB, more than any file system keeps beside the file's name."""

_HEADERS = {"Content-Type": "content_type", "Cache-Control": "cache_control"}


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """
    What a store knows about one object.

    Attributes:
        key: Without the store's prefix.
        size_bytes: Its length.
        etag: The store's own version mark; no hash to rely on.
        modified_at: When it was written, UTC.
        content_type: None where the store keeps none (local folder).
        cache_control: None where the store keeps none.
        metadata: Empty where the store keeps none.
    """

    key: str
    size_bytes: int
    etag: str | None
    modified_at: datetime
    content_type: str | None
    cache_control: str | None
    metadata: Mapping[str, str]


class ObjectStore:
    """
    One store: a local folder, S3 and what speaks it, GCS, Azure, or memory.

    Every method raises `InvalidInput` for a key that no store could hold and, for trouble with the store,
    `StorageUnavailable` (repeat later), `StorageFull`, `StorageDenied`, or `StorageError` for anything else. All are
    safe to repeat. A process must not fork after using one: obstore's threads do not survive that.
    """

    def __init__(self, place: Place, options: StoreOptions) -> None:
        self._place = place
        self._options = options
        self._kind = KINDS[place.scheme]
        self._cdn = options.cdn_base_url.rstrip("/") if options.cdn_base_url else None

    @classmethod
    def open(cls, url: str, *, options: StoreOptions, home: Path, create: bool = True) -> Self:
        """
        Open a store by address; no traffic.

        Args:
            url: `file:` (`home/images`), `file:name` (below home), `file:///folder`, `s3://bucket/prefix`,
                `gs://bucket/prefix`, `az://container/prefix`, or `memory:` (this object only).
            options: Endpoint, credentials, timeouts.
            home: What relative folders are relative to.
            create: Make a local folder that is missing. Not for one that held images before: its disk may be unmounted,
                and what is written in its place would be hidden once it is back.

        Raises:
            InvalidSettings: An address or options that cannot be used.
            StorageDenied, StorageFull, StorageError: The local folder cannot be created.
        """
        place = parse_place(url, home=home)
        if place.folder is not None and create:
            with translated("open the folder", place.shown(), writing=True):
                place.folder.mkdir(parents=True, exist_ok=True)
        store = cls(place, options)
        if place.folder is None:
            _ = store._handle  # settings that cannot be used are told now; a missing folder when it is needed
        return store

    @cached_property
    def _handle(self) -> Handle:
        return open_handle(self._place, self._options)

    def __repr__(self) -> str:
        """Say where, and nothing of the credentials."""
        return f"ObjectStore({self.location()!r})"

    def location(self, key: str = "") -> str:
        """Where the store, or an object in it, is, for people: an absolute path or `s3://bucket/prefix/key`."""
        return self._place.shown(key)

    async def check(self) -> None:
        """
        Write, read and delete a small object, to know before anything is bought that images can be kept.

        Also removes what crashed writes left in a local folder more than a day ago.

        Raises:
            StorageUnavailable, StorageFull, StorageDenied, StorageError: It cannot be used; the message says what to do.
        """
        key = f"pressroom-check-{uuid4().hex}"
        await self._create(key, CHECK_BYTES, content_type="text/plain", metadata={})
        async with aclosing(self.read(key)) as chunks:
            found = b"".join([chunk async for chunk in chunks])
        await self.delete(key)
        if found != CHECK_BYTES:
            raise StorageError(
                f"storage {self.location()}: it gave back other bytes than were written; do not use it"
            )
        if self._place.folder is not None:
            with translated("clean up", self.location()):
                await asyncio.to_thread(sweep_unfinished, self._place.folder)

    async def put(
        self, key: str, path: Path, *, content_type: str, metadata: Mapping[str, str], share: bool = False
    ) -> None:
        """
        Store a file under a key that is written once.

        An object already there with the same bytes is success: a run that was repeated. Once this returns, a local
        object survives a power cut; a crash at any moment leaves no part of an object under the key. At most about
        20 MiB are in memory, however large the file. Above `writing.SINGLE_PUT_BYTES` the check for an existing object is a
        question asked first, not a condition of the write.

        Args:
            key: See `object_key`.
            path: A finished file, usually on the spool; it stays.
            content_type: MIME type; with `CACHE_CONTROL` sent to stores that keep such things.
            metadata: Names and values in ASCII, such as `seed` and `source`; same stores.
            share: The file is on the disk for good and its bytes will never change; a local store then needs no copy.

        Raises:
            StorageError: Also when another object has that key, or the file is gone.
        """
        if await self._create(key, path, content_type=content_type, metadata=metadata, share=share):
            return
        if not await self._holds(key, path):
            raise StorageError(
                f"storage {self.location(key)}: an object with other content is there already; it was left untouched"
            )

    async def head(self, key: str) -> StoredObject | None:
        """What the store knows about an object; None when there is none (also when bucket or folder is missing)."""
        try:
            with translated(f"look up {checked_key(key)}", self.location()):
                answer = await obstore.get_async(self._handle, key, options={"head": True})
        except NotFound:
            return None
        attributes = dict(answer.attributes)
        known = {field: attributes.pop(header, None) for header, field in _HEADERS.items()}
        return StoredObject(
            key=key,
            size_bytes=answer.meta["size"],
            etag=answer.meta["e_tag"],
            modified_at=answer.meta["last_modified"],
            content_type=known["content_type"],
            cache_control=known["cache_control"],
            metadata=attributes,
        )

    async def read(
        self, key: str, *, start: int | None = None, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """
        Yield an object's bytes in pieces.

        Args:
            key: The object.
            start: First byte, from 0; None for the beginning.
            end: One past the last byte; None, or beyond the object, for its end.

        Raises:
            NotFound: There is no such object.
            InvalidInput: The range is empty, negative, or starts behind the object's end.
        """
        if (start or 0) < 0 or (end is not None and end <= (start or 0)):
            raise InvalidInput("a range must start at 0 or later and end after its start")
        options: GetOptions = {}
        if end is not None:
            options["range"] = (start or 0, end)
        elif start:
            options["range"] = {"offset": start}
        with translated(f"read {checked_key(key)}", self.location()):
            answer = await obstore.get_async(self._handle, key, options=options)
            pieces = aiter(answer.stream(min_chunk_size=CHUNK_BYTES))
        while True:
            with translated(f"read {key}", self.location()):
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield bytes(piece)

    async def delete(self, key: str) -> None:
        """Delete an object; one that is not there is success."""
        try:
            with translated(f"delete {checked_key(key)}", self.location()):
                await obstore.delete_async(self._handle, key)
        except NotFound:
            return

    async def address(self, key: str, *, life: timedelta) -> str:
        """
        Where a reader can fetch an object; no traffic, and no look whether it exists.

        The CDN's address when there is a CDN (it does not end), a signed one on S3, GCS and Azure, the absolute path
        in a local folder, `memory:key` in memory. Mint it on read and never store it: a signed address dies with
        its life, or earlier with the temporary credentials that signed it.

        Args:
            key: The object.
            life: How long a signed address works; more than nothing, at most 7 days.
        """
        if not timedelta() < life <= WEEK:
            raise InvalidInput("the life of an address must be more than 0 and at most 7 days")
        if self._cdn is not None:
            return f"{self._cdn}/{quote(checked_key(key))}"
        if isinstance(self._handle, self._kind.signing):
            with translated(f"sign an address for {checked_key(key)}", self.location()):
                return await obstore.sign_async(self._handle, "GET", key, life)
        return self.location(checked_key(key))

    async def _create(
        self,
        key: str,
        source: Path | bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str],
        share: bool = False,
    ) -> bool:
        attributes = {"Content-Type": content_type, "Cache-Control": CACHE_CONTROL, **metadata}
        if isinstance(source, Path) and not await asyncio.to_thread(source.is_file):
            raise StorageError(
                f"storage {self.location()}: the file to store as {key} is gone; download it again"
            )
        with translated(f"write {checked_key(key)}", self.location(), writing=True):
            kept = attributes if self._kind.keeps_attributes else {}
            return await create(self._handle, self._place.folder, key, source, kept, share=share)

    async def _holds(self, key: str, path: Path) -> bool:
        there = await self.head(key)
        if there is None or there.size_bytes != (await asyncio.to_thread(path.stat)).st_size:
            return False
        async with aclosing(self.read(key)) as chunks:
            return await same_content(chunks, path)
