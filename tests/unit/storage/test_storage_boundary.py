"""What errors of obstore and of the operating system become."""

from __future__ import annotations

import errno
import inspect

import pytest
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
from pressroom.storage.boundary import HTTP_STATUSES, OS_ERRORS, classify, translated

LIBRARY = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize(
    "kind", [*LIBRARY, ValueError, NotImplementedError, FileNotFoundError, OSError], ids=str
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_error_of_the_library_escapes(kind):
    """Every class that obstore exports, and the built-in ones that it raises, become ours with the cause kept."""
    original = kind("Generic S3 error: something new")

    with pytest.raises(PressroomError) as caught, translated("write k", "s3://b"):
        raise original

    assert caught.value.__cause__ is original
    assert "something new" not in str(caught.value)
    assert str(caught.value).startswith("storage s3://b: cannot write k: ")


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_operating_system_error_has_a_meaning(number):
    """Raised by Python, or quoted in obstore's text, the number means the same."""
    ours, _ = classify(OSError(number, "x"))
    quoted, _ = classify(exceptions.GenericError(f"Generic LocalFileSystem error: x (os error {number})"))

    assert issubclass(ours, StorageError)
    assert ours is quoted
    assert (number in OS_ERRORS) or (ours is StorageError)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EACCES, StorageDenied),
        (errno.EROFS, StorageDenied),
        (errno.EIO, StorageUnavailable),
        (errno.ESTALE, StorageUnavailable),
        (errno.ELOOP, StorageError),
    ],
)
def test_disk_trouble_is_told_apart(number, expected):
    """Full, forbidden, gone, and the rest."""
    assert classify(OSError(number, "x"))[0] is expected


@pytest.mark.parametrize("status", range(300, 600))
def test_every_http_status_has_a_meaning(status):
    """Total: 5xx pass unless the table knows better, and no status escapes."""
    ours, advice = classify(exceptions.GenericError(f"Server returned non-2xx status code: {status} X: body"))

    expected = HTTP_STATUSES.get(status, (StorageUnavailable if status >= 500 else StorageError,))[0]
    assert ours is expected
    assert advice


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, StorageDenied),
        (403, StorageDenied),
        (429, StorageUnavailable),
        (503, StorageUnavailable),
        (507, StorageFull),
    ],
)
def test_the_statuses_that_matter_most(status, expected):
    """Written out, so that an edit of the table shows here."""
    text = f"Server returned non-2xx status code: {status} X: "

    assert classify(exceptions.GenericError(text))[0] is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status code: 404 Not Found: <Error><Code>NoSuchBucket</Code></Error>", StorageDenied),
        ("status code: 403 Forbidden: <Error><Code>QuotaExceeded</Code></Error>", StorageFull),
        (
            "Error performing PUT http://169.254.169.254/latest/api/token in 1s - kind: Connect,",
            StorageDenied,
        ),
        ("HTTP error: builder error source: BadScheme,", StorageDenied),
        (
            "Received redirect without LOCATION, this normally indicates an incorrectly configured region",
            StorageDenied,
        ),
        ("Generic MicrosoftAzure error: source: SASforSASNotSupported,", StorageDenied),
        ("source: InvalidRange { source: StartTooLarge", InvalidInput),
        ("HTTP error: error sending request kind: Timeout,", StorageUnavailable),
    ],
)
def test_exact_marks_win_over_the_class(text, expected):
    """One row of text per mark, as obstore 0.12 writes it."""
    assert classify(exceptions.GenericError(text))[0] is expected


def test_a_key_that_spells_a_mark_changes_nothing():
    """Marks hold characters that no key may hold."""
    key = "NoSuchBucket/QuotaExceeded/BadScheme/status-code-507/os-error-28"
    text = f"Error performing GET http://h/b/{key} in 1s - Server returned non-2xx status code: 503 X: "

    assert classify(exceptions.GenericError(text))[0] is StorageUnavailable


def test_nothing_found_while_writing_means_the_bucket():
    """A write cannot miss an object, so not every 404 is one."""
    with pytest.raises(StorageDenied, match="create it first"), translated("write k", "s3://b", writing=True):
        raise FileNotFoundError("Object at location k not found: status code: 404 Not Found: ")
    with pytest.raises(NotFound), translated("read k", "s3://b"):
        raise FileNotFoundError("Object at location k not found: status code: 404 Not Found: ")
