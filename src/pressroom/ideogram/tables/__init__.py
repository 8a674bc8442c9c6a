"""Every operation that the client can send or poll, as data."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pressroom.errors import InvalidRequest
from pressroom.ideogram.operations import Api, Body, Mode, Operation, Response, fields
from pressroom.ideogram.tables import account, legacy, others, v2, v3, v4

if TYPE_CHECKING:
    from collections.abc import Mapping


def _poll(api: Api) -> Operation:
    return Operation(
        name=f"{api.value}/poll",
        api=api,
        method="GET",
        path=f"/{api.value}/generations/{{generation_id}}",
        body=Body.NONE,
        mode=Mode.SYNC,
        response=Response.GENERATION,
        fields=fields(),
    )


OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        operation.name: operation
        for operation in (
            *legacy.ROWS,
            *v3.ROWS,
            *v4.ROWS,
            *v2.ROWS,
            *others.ROWS,
            *account.ROWS,
            _poll(Api.V1),
            _poll(Api.V2),
        )
    }
)
"""Operations by name. Sources of every row: the vendor's published description of 2026-10."""


def operation_named(name: str) -> Operation:
    """
    One row of the table.

    Raises:
        InvalidRequest: There is no such operation.
    """
    try:
        return OPERATIONS[name]
    except KeyError:
        allowed = "operations are " + ", ".join(OPERATIONS)
        raise InvalidRequest("operation", name, allowed) from None
