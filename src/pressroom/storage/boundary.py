"""
The one place where errors of obstore and of the file system become ours.

obstore reports a dead server, a full disk and a refused request as one `GenericError` whose text alone tells them
apart, so the text is read for three exact things: the HTTP status, the operating system's error number, and a few
codes that no key, bucket or prefix of ours can spell. No text of the library reaches our message; it stays in the cause.
"""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from obstore import exceptions

from pressroom.errors import (
    InvalidInput,
    NotFound,
    PressroomError,
    StorageDenied,
    StorageError,
    StorageFull,
    StorageUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_Row = tuple[type[PressroomError], str]

_MISSING_OBJECT: _Row = (NotFound, "there is no such object")
_DENIED: _Row = (
    StorageDenied,
    "it refuses us; check the credentials and their permissions (docs/storage.md)",
)
_DENIED_PATH: _Row = (
    StorageDenied,
    "this process may not write there; give its user read and write permission",
)
_MISSING_BUCKET: _Row = (StorageDenied, "the bucket, container or folder does not exist; create it first")
_FULL: _Row = (StorageFull, "no room is left; free some space or raise the quota")
_AWAY: _Row = (StorageUnavailable, "it does not answer; check address and network, it is safe to repeat")
_BUSY: _Row = (StorageUnavailable, "it is overloaded or failing at its end; it is safe to repeat")
_OTHER: _Row = (StorageError, "it failed in a way that pressroom does not know; the cause has the details")

OS_ERRORS: dict[int, _Row] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _DENIED_PATH,
    errno.EPERM: _DENIED_PATH,
    errno.EROFS: (StorageDenied, "the file system is read-only; mount it writable or choose another folder"),
    errno.ENOENT: _MISSING_BUCKET,
    errno.ENOTDIR: (
        StorageDenied,
        "a part of its path is a file where a folder is needed; choose another folder",
    ),
    errno.EIO: (StorageUnavailable, "the disk reports an input/output error; check it"),
    errno.ESTALE: _AWAY,
    errno.ENODEV: _AWAY,
    errno.ENOTCONN: _AWAY,
    errno.ETIMEDOUT: _AWAY,
    errno.EHOSTDOWN: _AWAY,
    errno.EMFILE: (StorageUnavailable, "too many files are open; raise the limit of open files"),
    errno.ENFILE: (StorageUnavailable, "too many files are open; raise the limit of open files"),
}
"""What each operating system error means; any other is a plain `StorageError`."""

HTTP_STATUSES: dict[int, _Row] = {
    301: (StorageDenied, "the bucket lives in another region; set the region"),
    307: (StorageDenied, "the bucket lives in another region; set the region"),
    400: (StorageError, "it calls the request malformed; check region and endpoint"),
    401: _DENIED,
    403: _DENIED,
    404: _MISSING_OBJECT,
    405: (StorageError, "it does not offer that operation; it must speak the S3, GCS or Azure protocol"),
    408: _BUSY,
    416: (InvalidInput, "the range starts behind the object's end"),
    429: _BUSY,
    501: (StorageError, "it does not offer that operation; conditional writes (If-None-Match) are needed"),
    507: _FULL,
}
"""What each HTTP status of a store means; other 5xx pass, other 4xx are a plain `StorageError`."""

CODES: tuple[tuple[re.Pattern[str], _Row], ...] = (
    (re.compile(r"<Code>(NoSuchBucket|ContainerNotFound|ContainerBeingDeleted)</Code>"), _MISSING_BUCKET),
    (re.compile(r"<Code>(QuotaExceeded|XMinioStorageFull|XMinioAdminBucketQuotaExceeded)</Code>"), _FULL),
    (
        re.compile(
            r"Error performing \w+ \S+/(latest/api/token|latest/meta-data|computeMetadata/|metadata/identity)"
        ),
        (StorageDenied, "no credentials were found; set them in the settings or the provider's environment"),
    ),
    (
        re.compile(r"source: BadScheme\b"),
        (StorageDenied, "its endpoint is plain http; use https or set allow_http"),
    ),
    (re.compile(r"incorrectly configured region"), HTTP_STATUSES[301]),
    (
        re.compile(r"\bSASforSASNotSupported\b"),
        (StorageDenied, "a SAS token cannot sign addresses; set account_key or a cdn_base_url"),
    ),
    (re.compile(r"source: (InvalidRange|Range) \{"), HTTP_STATUSES[416]),
)
"""Exact marks in obstore's text, tried in this order before status and error number."""

KINDS: tuple[tuple[type[BaseException], _Row], ...] = (
    (exceptions.PermissionDeniedError, _DENIED),
    (exceptions.UnauthenticatedError, _DENIED),
    (exceptions.AlreadyExistsError, (StorageError, "another object has that key already")),
    (exceptions.PreconditionError, (StorageError, "the object changed meanwhile")),
    (exceptions.InvalidPathError, (InvalidInput, "that is no key")),
    (FileNotFoundError, _MISSING_OBJECT),
    (NotImplementedError, (StorageError, "it does not offer that operation")),
)
"""What an exception's class says by itself, used when its text says nothing more exact."""

CAUGHT = (exceptions.BaseError, OSError, NotImplementedError, ValueError)
"""All that obstore and the file system raise for trouble with a store; `ValueError` is obstore's for a bad argument."""

_STATUS = re.compile(r"status code: (\d{3})\b")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_TRANSPORT = re.compile(r"kind: (Connect|Request|Timeout|Interrupted|Decode)\b|source: TimedOut\b")


@contextmanager
def translated(doing: str, where: str, *, writing: bool = False) -> Iterator[None]:
    """
    Raise obstore's and the system's errors as ours, the cause kept.

    Args:
        doing: What was tried, in words that follow "cannot": `write 2026/01/31/5-….png`.
        where: The store as people know it.
        writing: A write cannot miss an object, so "not found" then means bucket or folder.

    Raises:
        StorageUnavailable, StorageFull, StorageDenied, StorageError, NotFound, InvalidInput: By the tables above.
    """
    try:
        yield
    except CAUGHT as error:
        kind, advice = classify(error)
        if writing and kind is NotFound:
            kind, advice = _MISSING_BUCKET
        raise kind(f"storage {where}: cannot {doing}: {advice}") from error


def classify(error: BaseException) -> tuple[type[PressroomError], str]:
    """Our error class for one of theirs, with what to do next. Total: what no table knows is a `StorageError`."""
    if isinstance(error, OSError) and error.errno is not None:
        return OS_ERRORS.get(error.errno, _OTHER)
    text = str(error)
    for pattern, row in CODES:
        if pattern.search(text):
            return row
    by_class = next((row for kind, row in KINDS if isinstance(error, kind)), None)
    return by_class or _by_text(text)


def _by_text(text: str) -> _Row:
    if status := _STATUS.search(text):
        return _by_status(int(status[1]))
    if number := _OS_ERROR.search(text):
        return OS_ERRORS.get(int(number[1]), _AWAY if _TRANSPORT.search(text) else _OTHER)
    return _AWAY if _TRANSPORT.search(text) else _OTHER


def _by_status(status: int) -> _Row:
    return HTTP_STATUSES.get(status, _BUSY if status >= 500 else _OTHER)
