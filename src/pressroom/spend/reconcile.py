"""
What the vendor says it billed beside what our attempts say, hour by hour. It settles nothing.

When the vendor counts a purchase, at its acceptance or at its end, is not published, and two clocks differ: so an
attempt belongs to every hour that it may have been billed in, and an hour agrees when the vendor's sum lies between the
least and the most that these attempts allow: where no attempt touches the full hour, that is to the micro-dollar.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

import sqlalchemy as sa

from pressroom.database import at, now_ms
from pressroom.errors import InvalidRequest
from pressroom.spend.reconciliation import Evidence, Hour, Reconciliation, Suggestion, Verdict
from pressroom.spend.sent import HOUR_MS, Kind, Sent, Unknown, read_sent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pressroom.database import Database
    from pressroom.ideogram import Usage

LAG_S = 1800.0
"""Seconds after its end before an hour is compared: the vendor's report may lag by minutes (reference 17.2)."""

SPAN = timedelta(hours=168)
"""Longest span of one usage report by the hour (reference 17.2); longer windows take several."""

LONGEST_WINDOW = timedelta(days=92)


class Reporting(Protocol):
    """Gives the vendor's usage report."""

    async def usage(
        self, start: datetime, end: datetime, *, bucket: Literal["1h"], sources: Sequence[str]
    ) -> Usage:
        """What was billed; raises a `VendorError` when the vendor does not say."""


async def reconcile(
    database: Database,
    vendor: Reporting,
    upstream: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    lag_s: float = LAG_S,
) -> Reconciliation:
    """
    Compare a window, widened to whole hours.

    Args:
        database: Where attempts are.
        vendor: The client; its key's owner has to administer the organization.
        upstream: Whose attempts.
        since: Aware; default: a day before `until`.
        until: Aware; default: now.
        lag_s: Seconds after its end before an hour is compared.

    Raises:
        InvalidRequest: A time without a zone, or a window that is empty, in the future, or longer than 92 days.
        VendorError: The vendor does not tell.
    """
    async with database.read() as connection:
        now = (await connection.execute(sa.select(now_ms()))).scalar_one()
    begin, end = _window(since, until, now)
    async with database.read() as connection:
        ours = await read_sent(connection, upstream, begin, end, now)
    theirs, by_key, currencies = await _ask(vendor, begin, end, now)
    told = min(end, max(begin, int((now - lag_s * 1000) // HOUR_MS)))
    hours = [_hour(ours, theirs, hour, hour + 1, fresh=hour >= told) for hour in range(begin, end)]
    total = _hour(ours, theirs, begin, told, fresh=told == begin)
    verdict = Verdict.CANNOT_TELL if currencies else _overall(total, hours)
    return Reconciliation(
        since=at(begin * HOUR_MS),
        until=at(end * HOUR_MS),
        total=_with(total, verdict),
        hours=[_with(hour, Verdict.CANNOT_TELL) for hour in hours] if currencies else hours,
        uncertain=[_evidence(one, ours, theirs, told=0 if currencies else told) for one in ours.unknown],
        vendor_by_key=dict(by_key),
        other_currencies=sorted(currencies),
    )


def _window(since: datetime | None, until: datetime | None, now: int) -> tuple[int, int]:
    for name, moment in {"since": since, "until": until}.items():
        if moment is not None and moment.tzinfo is None:
            raise InvalidRequest(name, moment.isoformat(), "give it a zone, such as 2026-11-20T08:00Z")
    last = until or at(now)
    first = since or last - timedelta(days=1)
    if not timedelta(0) < last - first <= LONGEST_WINDOW or first > at(now):
        allowed = (
            f"it lies before the end, in the past, and at most {LONGEST_WINDOW.days} days back from the end"
        )
        raise InvalidRequest("since", first.isoformat(), allowed)
    return _ms(first) // HOUR_MS, -(-min(_ms(last), now) // HOUR_MS)


async def _ask(
    vendor: Reporting, begin: int, end: int, now: int
) -> tuple[Counter[int], Counter[str], set[str]]:
    sums: Counter[int] = Counter()
    by_key: Counter[str] = Counter()
    currencies: set[str] = set()
    start, last = at(begin * HOUR_MS), at(min(end * HOUR_MS, now))
    while start < last:
        until = min(start + SPAN, last)
        report = await vendor.usage(start, until, bucket="1h", sources=("api",))
        for bucket in report.buckets:
            for item in bucket.items:
                if item.currency_code.upper() != "USD":
                    currencies.add(item.currency_code)
                    continue
                sums[_ms(bucket.start) // HOUR_MS] += item.cost_micros
                key = item.api_key
                by_key[(key and (key.label or key.redacted_key or key.id)) or "(not told)"] += (
                    item.cost_micros
                )
        start = until
    return sums, by_key, currencies


def _hour(ours: Sent, theirs: Mapping[int, int], begin: int, end: int, *, fresh: bool) -> Hour:
    vendor = sum(micros for hour, micros in theirs.items() if begin <= hour < end)
    if fresh:
        verdict = Verdict.TOO_FRESH
    elif vendor > ours.most(begin, end):
        verdict = Verdict.VENDOR_HAS_MORE
    elif vendor < ours.least(begin, end):
        verdict = Verdict.WE_HAVE_MORE
    else:
        verdict = Verdict.AGREES
    return Hour(
        start=at(begin * HOUR_MS),
        vendor_micros=vendor,
        bought_micros=ours.sent_in(Kind.BOUGHT, begin, end),
        written_off_micros=ours.sent_in(Kind.WRITTEN_OFF, begin, end),
        open_micros=ours.sent_in(Kind.OPEN, begin, end),
        uncertain_micros=ours.sent_in(Kind.UNCERTAIN, begin, end),
        verdict=verdict,
    )


def _overall(total: Hour, hours: Sequence[Hour]) -> Verdict:
    """Sums that agree do not hide hours that do not, nor that only hours without a purchase could be told."""
    if total.verdict is not Verdict.AGREES:
        return total.verdict
    if total.empty and not all(hour.empty for hour in hours):
        return Verdict.CANNOT_TELL
    differing = [h for h in hours if h.verdict in {Verdict.VENDOR_HAS_MORE, Verdict.WE_HAVE_MORE}]
    return (
        max(differing, key=lambda hour: abs(hour.difference_micros)).verdict if differing else total.verdict
    )


def _with(hour: Hour, verdict: Verdict) -> Hour:
    return Hour(**{**hour.__dict__, "verdict": verdict})


def _evidence(one: Unknown, ours: Sent, theirs: Mapping[int, int], *, told: int) -> Evidence:
    begin, end = one.where.first, one.where.last + 1
    vendor = sum(micros for hour, micros in theirs.items() if begin <= hour < end)
    rivals = sum(
        other.expected_micros
        for other in ours.unknown
        if other.where.first < end and other.where.last >= begin
    )
    suggests: Suggestion = "cannot tell"
    if end <= told:
        if vendor <= ours.least(begin, end):
            suggests = "not billed"
        elif vendor - ours.most(begin, end) >= rivals > 0:
            suggests = "billed"
    return Evidence(
        job_id=one.job_id,
        attempt_id=one.attempt_id,
        sent_at=at(one.sent_ms),
        expected_micros=one.expected_micros,
        suggests=suggests,
    )


def _ms(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)
