"""
The account calls: usage, invoices and keys, told from the emulator's own books. Source: reference section 17.

A generation is billed at its acceptance and told once it has ended and `usage_lag_s` have passed. A key is shown by its
fingerprint: the books hold no key.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pressroom.emulator import answers, playing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from pressroom.emulator.core import Emulator

    Tell = Callable[[Emulator, Request], Response]

_MICROS: Final = 1_000_000
_WIDTHS: Final = {
    "1d": (timedelta(days=1), timedelta(days=92)),
    "1h": (timedelta(hours=1), timedelta(hours=168)),
}
"""Width of a bucket and longest span. Source: reference section 17.2."""


class _BadQueryError(Exception):
    """The query is wrong; its argument says how."""


@dataclass(frozen=True, slots=True)
class _Sale:
    """One billed generation; `at` as the vendor's clock tells it."""

    at: datetime
    operation: str
    model: str
    key: str
    images: int
    micros: int


def _amount(micros: int) -> str:
    return f"{micros // _MICROS}.{micros % _MICROS:06d}"


def _sales(emulator: Emulator) -> list[_Sale]:
    """What was billed and can be told by now, in the order of acceptance."""
    now, settings = time.time(), emulator.settings
    rows = emulator.books.execute(
        """SELECT accepted_at, operation, model, key_fingerprint, json_array_length(seeds), billed_micros
        FROM generation WHERE billed_micros > 0 AND ready_at <= ? AND accepted_at <= ? ORDER BY seq""",
        now,
        now - settings.usage_lag_s,
    )
    return [_Sale(datetime.fromtimestamp(emulator.told_time(at), UTC), *rest) for at, *rest in rows]


def _key(fingerprint: str) -> dict[str, object]:
    return {"id": fingerprint, "redacted_key": fingerprint}


def _groups(sales: Iterable[_Sale]) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Images and micro-dollars by operation, model and key."""
    sums: dict[tuple[str, str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for sale in sales:
        images, micros = sums[sale.operation, sale.model, sale.key]
        sums[sale.operation, sale.model, sale.key] = images + sale.images, micros + sale.micros
    return sums


def _line_items(sales: Iterable[_Sale]) -> list[dict[str, object]]:
    return [
        {
            "product": model,
            "endpoint": operation,
            "description": f"Images by {model}",
            "source": "api",
            "cost_total": _amount(micros),
            "currency_code": "USD",
            "dimensions": {"model": model},
            "billed_units": {
                "unit": "image",
                "quantity": str(images),
                "unit_price": _amount(round(micros / images)),
            },
            "api_key": _key(key),
        }
        for (operation, model, key), (images, micros) in _groups(sales).items()
    ]


def _moment(request: Request, name: str) -> datetime | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _BadQueryError(f"{name} is not an RFC 3339 time") from None
    if moment.tzinfo is None:
        raise _BadQueryError(f"{name} has no zone")
    return moment.astimezone(UTC)


def _usage(emulator: Emulator, request: Request) -> Response:
    start = _moment(request, "start_time")
    end = _moment(request, "end_time") or datetime.fromtimestamp(emulator.told_time(time.time()), UTC)
    bucket = request.query_params.get("bucket_width", "1d")
    sources = request.query_params.getlist("sources")
    if start is None:
        raise _BadQueryError("start_time is required")
    if bucket not in _WIDTHS:
        raise _BadQueryError(f"bucket_width must be one of {', '.join(_WIDTHS)}")
    if not set(sources) <= {"api", "app"}:
        raise _BadQueryError("sources must be api or app")
    width, longest = _WIDTHS[bucket]
    if not timedelta(0) < end - start <= longest:
        raise _BadQueryError(f"the span must be above 0 and at most {longest}")
    epoch = datetime.fromtimestamp(0, UTC)
    sales = [sale for sale in _sales(emulator) if start <= sale.at < end] if sources != ["app"] else []
    buckets = []
    opens = epoch + (start - epoch) // width * width
    while opens < end:
        inside = [sale for sale in sales if opens <= sale.at < opens + width]
        buckets.append(
            {
                "start_time": opens.isoformat(),
                "end_time": (opens + width).isoformat(),
                "line_items": _line_items(inside),
            }
        )
        opens += width
    return answers.json_answer({"buckets": buckets})


def _invoices(emulator: Emulator, _: Request) -> Response:
    """One for each month with sales; the running one is a draft."""
    now = datetime.fromtimestamp(emulator.told_time(time.time()), UTC)
    months: dict[datetime, list[_Sale]] = defaultdict(list)
    for sale in _sales(emulator):
        months[_month(sale.at)].append(sale)
    told = []
    for month, sales in sorted(months.items()):
        ends = _month(month + timedelta(days=32))
        invoice: dict[str, object] = {
            "status": "draft" if ends > now else "paid",
            "total": _amount(sum(sale.micros for sale in sales)),
            "currency_code": "USD",
            "start_time": month.isoformat(),
            "end_time": ends.isoformat(),
            "line_items": [
                {
                    "description": f"Images by {model}",
                    "quantity": str(images),
                    "unit_price": _amount(round(micros / images)),
                    "cost_total": _amount(micros),
                    "currency_code": "USD",
                    "api_key": _key(key),
                }
                for (_, model, key), (images, micros) in _groups(sales).items()
            ],
        }
        if ends <= now:
            invoice |= {"issued_time": ends.isoformat(), "paid_time": ends.isoformat()}
        told.append(invoice)
    return answers.json_answer({"invoices": told})


def _month(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _api_keys(emulator: Emulator, _: Request) -> Response:
    """Every key that is accepted by name or has bought; one that has not bought is as old as the epoch."""
    accepted = emulator.settings.keys
    first_used = dict(
        emulator.books.execute(
            "SELECT key_fingerprint, min(accepted_at) FROM generation GROUP BY key_fingerprint"
        )
    )
    told = [
        {
            "api_key_id": key,
            "redacted_api_key": key,
            "status": "active" if accepted is None or key in accepted else "disabled",
            "creation_time": answers.rfc3339(emulator.told_time(first_used[key]) if key in first_used else 0),
        }
        for key in sorted({*first_used, *(accepted or ())})
    ]
    return answers.json_answer({"api_keys": told})


REPORTS: Final[dict[str, tuple[str, Tell]]] = {
    "/v2/account/usage": ("v2.account.usage", _usage),
    "/v2/account/invoices": ("v2.account.invoices", _invoices),
    "/v2/account/api-keys": ("v2.account.api-keys", _api_keys),
}
"""Path of an account call, what fault scripts call it, and what tells it."""


def _answer(emulator: Emulator, request: Request, tell: Tell) -> Response:
    if emulator.accepted_key(request) is None:
        return answers.refusal("v2", 401, "The Api-Key header is missing or names no valid key")
    if not emulator.settings.admin:
        return answers.refusal("v2", 404, "There is no such resource")
    try:
        return tell(emulator, request)
    except _BadQueryError as error:
        return answers.refusal("v2", 400, str(error))


async def report(emulator: Emulator, request: Request) -> Response:
    """Answer one account call; faults of polls act on it by its name."""
    name, tell = REPORTS[request.url.path]
    verdict = emulator.decide("poll", name)
    if not await playing.stays(request.receive, verdict.delay_s):
        return playing.close()
    fault = verdict.answer
    if fault is None:
        return _answer(emulator, request, tell)
    if fault.manner == "status":
        retry_after = int(float(str(verdict.params["seconds"]))) if "seconds" in verdict.params else None
        sentence = f"Declined by the fault script: {fault.name}"
        return answers.refusal("v2", fault.status, sentence, retry_after=retry_after)
    return playing.spoil(fault.manner, _answer(emulator, request, tell), verdict.params)
