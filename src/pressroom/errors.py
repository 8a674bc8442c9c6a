"""Every error that pressroom raises.

    PressroomError
    ├── InvalidInput              the caller's own mistake; nothing was paid or written
    │   ├── InvalidRequest        a generation request
    │   └── InvalidSettings       a setting, an address, a key file
    ├── NotFound                  no such job, asset, worker
    ├── Conflict                  the state it is in does not allow that
    ├── Busy                      no turn now, and the switch rate_limit_mode says reject
    ├── VendorError               what Ideogram answered, or failed to
    │   ├── NotSent               no byte of the request left (DNS, connect, TLS)
    │   ├── Refused               declined; nothing was bought
    │   │   ├── RequestRefused    the request is at fault (400, 404, 413, 403 of a model, other 4xx)
    │   │   ├── KeyRefused        the key is at fault
    │   │   ├── CreditsExhausted  no credit left
    │   │   ├── QuotaExhausted    the day's quota is used up
    │   │   ├── ContentRefused    the safety check said no (422)
    │   │   └── RateLimited       too many requests (429)
    │   │       └── InflightLimit too many at the same time
    │   ├── OutcomeUnknown        a paid request may or may not have been accepted
    │   ├── Unavailable           a free request failed in a way that may pass (5xx, timeout, connection)
    │   ├── GenerationNotFound    the vendor does not know that generation id
    │   └── DownloadError
    │       ├── DownloadExpired   the address is dead (403, 404, 410)
    │       └── DownloadRejected  what came is not the image that was promised
    ├── StorageError              the object store or the spool
    │   ├── StorageUnavailable    it does not answer; may pass
    │   ├── StorageFull           no room left
    │   └── StorageDenied         it refuses us
    └── DatabaseError
        ├── DatabaseUnavailable   it does not answer; may pass
        └── DatabaseUnusable      wrong address, read-only, wrong schema

A folder that speaks to an outside library translates that library's errors into these at its boundary and keeps
the cause. `str()` of any of them holds no key, no prompt and at most `MAX_VENDOR_TEXT` characters of the vendor's
words. All of them survive pickling with their attributes.
"""

from __future__ import annotations

from typing import Any

MAX_VENDOR_TEXT = 2048
"""Characters. The longest piece of a vendor's body that an error keeps (spec: no body over 2 kB)."""


def _rebuild(kind: type[PressroomError], message: str, state: dict[str, Any]) -> PressroomError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class PressroomError(Exception):
    """
    Base of every error that pressroom raises.

    Attributes:
        message: One sentence for a person: what is wrong and what to do next.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from attributes, so that keyword-only constructors survive pickling."""
        return _rebuild, (type(self), self.message, dict(self.__dict__))


class InvalidInput(PressroomError):
    """The caller's own mistake, found before anything was paid or written."""


class InvalidRequest(InvalidInput):
    """
    A generation request that cannot be sent as it is.

    Attributes:
        field: Name of the field at fault, dotted where nested.
        value: What was given, shortened; for a prompt only its length.
        allowed: What would be accepted.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        shown = value if isinstance(value, str) and value.startswith("(") else repr(value)
        self.field = field
        self.value = str(shown)[:120]
        self.allowed = allowed
        super().__init__(f"{field}: {self.value} is not possible; {allowed}")


class InvalidSettings(InvalidInput):
    """A setting, an address or a key file that cannot be used."""


class NotFound(PressroomError):
    """No job, asset or worker has that id."""


class Conflict(PressroomError):
    """The thing exists, and the state it is in does not allow what was asked."""


class Busy(PressroomError):
    """Nothing is free, and the fleet was told to refuse instead of to queue."""


class VendorError(PressroomError):
    """
    Something between us and Ideogram went wrong.

    Attributes:
        status: HTTP status, None when no answer came.
        vendor_message: The vendor's own words, at most `MAX_VENDOR_TEXT` characters, empty when none came. It may
            quote the request, so it is kept out of `str()`.
        reject_reason: The vendor's machine-readable reason, where its body gave one.
        retry_after: Seconds the server asked us to wait, None when it did not say.
        headers: Rate-limit headers of the answer, where there were any.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        vendor_message: str = "",
        reject_reason: str | None = None,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.vendor_message = vendor_message[:MAX_VENDOR_TEXT]
        self.reject_reason = reject_reason
        self.retry_after = retry_after
        self.headers = headers or {}


class NotSent(VendorError):
    """No byte of the request left this machine; repeating it cannot buy twice."""


class Refused(VendorError):
    """The vendor declined before accepting; nothing was bought."""


class RequestRefused(Refused):
    """The request itself is at fault; repeating it unchanged fails again."""


class KeyRefused(Refused):
    """The key is missing, wrong or revoked."""


class CreditsExhausted(Refused):
    """The account has no credit left (402 insufficient_funds)."""


class QuotaExhausted(Refused):
    """The account's daily quota is used up (402 daily_limit); it opens again at 00:00 UTC."""


class ContentRefused(Refused):
    """The safety check refused the prompt or an image (422)."""


class RateLimited(Refused):
    """Too many requests (429)."""


class InflightLimit(RateLimited):
    """
    Too many requests in flight at the same time.

    Attributes:
        max_inflight: The account's limit as the vendor stated it, None when it did not.
        queue: Which of the vendor's queues was full, `fast` or `slow`, None when it did not say.
    """

    max_inflight: int | None = None
    queue: str | None = None


class OutcomeUnknown(VendorError):
    """
    A paid request may have been accepted: it must not be repeated blindly.

    Raised for anything that goes wrong after the first byte of a paid request's body may have left and that is not a
    clear refusal: a lost or broken answer, a timeout, a 5xx.
    """


class Unavailable(VendorError):
    """A request that costs nothing failed in a way that may pass; it can be repeated."""


class GenerationNotFound(VendorError):
    """The vendor does not know that generation id (404 on a poll)."""


class DownloadError(VendorError):
    """An image could not be brought home."""


class DownloadExpired(DownloadError):
    """The result address is dead (403, 404, 410)."""


class DownloadRejected(DownloadError):
    """What came is not an image as promised: wrong type, too large, cut short, or from a forbidden host."""


class StorageError(PressroomError):
    """The object store or the spool cannot do what was asked."""


class StorageUnavailable(StorageError):
    """The store does not answer; it may come back."""


class StorageFull(StorageError):
    """No room is left on the spool or in the store."""


class StorageDenied(StorageError):
    """The store refuses us: missing bucket, wrong credentials, no permission."""


class DatabaseError(PressroomError):
    """The database cannot do what was asked."""


class DatabaseUnavailable(DatabaseError):
    """The database does not answer; it may come back."""


class DatabaseUnusable(DatabaseError):
    """The database address is wrong, the file is read-only, or the schema does not fit this version."""
