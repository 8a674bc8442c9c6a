"""The account operations of the client: what is asked for is held against the table before anything is sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from pressroom.errors import InvalidRequest
from pressroom.ideogram.account_reading import parse_api_keys, parse_invoices, parse_usage
from pressroom.ideogram.tables import account

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pressroom.ideogram.account import ApiKey, Invoice, Usage
    from pressroom.ideogram.operations import JSON, Operation

Parsed = TypeVar("Parsed")

Bucket = Literal["1d", "1h"]

LONGEST_SPAN: Final[Mapping[str, timedelta]] = {"1d": timedelta(days=92), "1h": timedelta(hours=168)}
"""Longest span of one usage report by the width of its buckets (reference 17.2)."""


class Reports(ABC):
    """
    What the vendor tells about the account; free, and only for a key whose owner administers its organization.

    Every method raises `RequestRefused` (status 404) for another key, `KeyRefused` for a wrong one, `RateLimited`, and
    `NotSent` or `Unavailable` where asking again may help.
    """

    @abstractmethod
    async def _report(
        self, operation: Operation, query: dict[str, JSON], parse: Callable[[Mapping[str, JSON]], Parsed]
    ) -> Parsed:
        """Ask one operation of the account."""

    @abstractmethod
    def _now(self) -> datetime:
        """The time, aware."""

    async def usage(
        self,
        start: datetime,
        end: datetime | None = None,
        *,
        bucket: Bucket = "1d",
        sources: Sequence[str] = (),
    ) -> Usage:
        """
        What was billed, by day or by hour; it may lag by minutes.

        Args:
            start: Aware; the first moment that counts.
            end: Aware; the first moment that does not count any more. Default: now.
            bucket: `1d` for at most 92 days, `1h` for at most 168 hours.
            sources: `api`, `app` or both; default: as the vendor does.

        Raises:
            InvalidRequest: A time without a zone, a span that is empty or too long, an unknown bucket or source.
        """
        _check_span(start, end, end or self._now(), bucket)
        query: dict[str, JSON] = {"start_time": _stamp(start), "bucket_width": bucket}
        if end is not None:
            query["end_time"] = _stamp(end)
        if sources:
            query["sources"] = list(sources)
        return await self._report(account.USAGE, query, parse_usage)

    async def invoices(self) -> tuple[Invoice, ...]:
        """Every invoice, in the vendor's order."""
        return await self._report(account.INVOICES, {}, parse_invoices)

    async def api_keys(self) -> tuple[ApiKey, ...]:
        """Every key of the organization, each shown in part."""
        return await self._report(account.API_KEYS, {}, parse_api_keys)


def _check_span(start: datetime, end: datetime | None, until: datetime, bucket: str) -> None:
    for name, moment in {"start": start, "end": end}.items():
        if moment is not None and moment.tzinfo is None:
            raise InvalidRequest(name, moment.isoformat(), "give it a zone, such as datetime.UTC")
    longest = LONGEST_SPAN.get(bucket)
    if longest is None:
        raise InvalidRequest("bucket", bucket, f"it is one of {', '.join(LONGEST_SPAN)}")
    if not timedelta(0) < until - start <= longest:
        allowed = (
            f"with buckets of {bucket} it lies at most {longest / timedelta(hours=1):g} hours before the end"
        )
        raise InvalidRequest("start", start.isoformat(), allowed)


def _stamp(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
