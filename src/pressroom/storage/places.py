"""Reading a storage address: which store, which bucket or folder, which prefix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pressroom.errors import InvalidInput, InvalidSettings
from pressroom.storage.keys import checked_key

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_FOLDER = "images"
"""Folder under home that a bare `file:` means."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_FORMS = "file:, file:///folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or memory:"
_CLOUD = ("s3", "gs", "az")


@dataclass(frozen=True, kw_only=True)
class Place:
    """
    A parsed storage address.

    Attributes:
        scheme: `file`, `s3`, `gs`, `az` or `memory`.
        bucket: Bucket or container, empty for `file` and `memory`.
        prefix: Put before every key, without slashes at its ends; empty for none.
        folder: The absolute folder of a `file` store, else None.
    """

    scheme: str
    bucket: str = ""
    prefix: str = ""
    folder: Path | None = None

    def shown(self, key: str = "") -> str:
        """Text for people: an absolute path, or an address such as `s3://bucket/prefix/key`."""
        if self.folder is not None:
            return str(self.folder / key)
        if self.scheme == "memory":
            return f"memory:{key}"
        return "/".join(part for part in (f"{self.scheme}://{self.bucket}", self.prefix, key) if part)


def parse_place(url: str, *, home: Path) -> Place:
    """
    Read a storage address.

    `file:` is `home/images`, `file:name` is below `home`, `file:///folder` is absolute (percent escapes decoded).

    Raises:
        InvalidSettings: Not one of the known forms. The address itself is not repeated: it might hold a password.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or scheme not in {"file", "memory", *_CLOUD}:
        raise InvalidSettings(f"storage address: use {_FORMS}")
    if any(character in url for character in "?#\\") or not url.isprintable():
        raise InvalidSettings(
            "storage address: no '?', '#', backslash or control character is possible in it"
        )
    if scheme == "memory":
        return _memory(url)
    return _file(url, home) if scheme == "file" else _cloud(scheme, url)


def _memory(url: str) -> Place:
    if url not in {"memory:", "memory://", "memory:///"}:
        raise InvalidSettings("storage address: memory: takes nothing after the colon")
    return Place(scheme="memory")


def _file(url: str, home: Path) -> Place:
    rest = url.removeprefix("file:")
    if rest.startswith("//"):
        rest = rest.removeprefix("//")
        if not rest.startswith("/"):
            raise InvalidSettings(
                "storage address: use three slashes, file:///folder, for an absolute folder"
            )
    folder = unquote(rest) or DEFAULT_FOLDER
    if "\0" in folder or folder.startswith("//"):
        raise InvalidSettings("storage address: the folder after file: is not a path")
    return Place(scheme="file", folder=(home / folder).resolve())


def _cloud(scheme: str, url: str) -> Place:
    rest = url.removeprefix(f"{scheme}:")
    bucket, _, path = rest.removeprefix("//").partition("/")
    if not rest.startswith("//") or urlsplit(f"//{bucket}").netloc != bucket or not _BUCKET.fullmatch(bucket):
        raise InvalidSettings(
            f"storage address: write {scheme}://bucket/prefix, credentials and endpoint go into settings of their own"
        )
    prefix = path.strip("/")
    try:
        return Place(scheme=scheme, bucket=bucket, prefix=checked_key(prefix) if prefix else "")
    except InvalidInput as error:
        raise InvalidSettings(
            "storage address: the prefix after the bucket takes letters, digits, '.', '_' and '-'"
        ) from error
