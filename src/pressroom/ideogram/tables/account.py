"""What the vendor tells about an account; only to a key whose owner is an administrator of its organization (reference 17)."""

from __future__ import annotations

from pressroom.ideogram.operations import Api, Body, Field, Kind, Mode, Operation, Response, fields
from pressroom.ideogram.tables import common


def _row(name: str, *query: Field) -> Operation:
    return Operation(
        name=f"v2/account/{name}",
        api=Api.V2,
        method="GET",
        path=f"/v2/account/{name}",
        body=Body.NONE,
        mode=Mode.SYNC,
        response=Response.REPORT,
        fields=fields(*query),
    )


USAGE = _row(
    "usage",
    Field(name="start_time", kind=Kind.TEXT, required=True),
    Field(name="end_time", kind=Kind.TEXT),
    common.choice("bucket_width", ("1d", "1h")),
    Field(name="sources", kind=Kind.TEXTS, minimum=1, maximum=2, pattern="api|app"),
)
INVOICES = _row("invoices")
API_KEYS = _row("api-keys")

ROWS = (USAGE, INVOICES, API_KEYS)
"""The fields of these travel in the query."""
