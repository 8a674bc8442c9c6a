"""The documents' environment variables: each sets its switch once, when its value differs from the value last seen.

So a variable that stays set does not undo what a person switched afterwards, and a restart with the same value changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom.database import now_ms
from pressroom.errors import InvalidRequest, InvalidSettings
from pressroom.fleet.switches import DEFAULT, Mode, SwitchName, all_switches, set_switch
from pressroom.fleet.tables import variables
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database
    from pressroom.settings import Settings

log = event_logger(__name__)

FALLBACK, ENABLED = "IDEOGRAM_FALLBACK", "IDEOGRAM_ENABLED"

SWITCH_OF = {
    FALLBACK: SwitchName.MODE,
    ENABLED: SwitchName.MODE,
    "IDEOGRAM_CONCURRENCY": SwitchName.CONCURRENCY,
    "RATE_LIMIT_MODE": SwitchName.RATE_LIMIT_MODE,
}
"""Which switch each variable sets, in the order in which they are applied."""


def given(settings: Settings) -> dict[str, str]:
    """The variables that are set here, with their values."""
    values = {name: getattr(settings, name.lower()) for name in SWITCH_OF}
    return {name: str(value).lower() for name, value in values.items() if value is not None}


async def apply(database: Database, upstream: str, settings: Settings) -> list[str]:
    """
    Set the switches of the variables that changed; a plain read when none did, and nothing at all when none is set.

    Returns:
        The variables that were applied.

    Raises:
        InvalidSettings: A variable has a value that its switch does not take; nothing was changed.
    """
    values = given(settings)
    if not values:
        return []
    async with database.read() as connection:
        seen = await _seen(connection, upstream)
    if seen | values == seen:
        return []
    try:
        async with database.write() as connection:
            new = [name for name in SWITCH_OF if name in values]
            new = [name for name in new if await _differs(connection, upstream, name, values[name])]
            changes = await _set_switches(connection, upstream, new, values, settings)
    except InvalidRequest as error:
        raise InvalidSettings(f"a variable cannot be applied: {error}") from error
    for change in changes:
        log.warning("variable.applied", **change)
    return new


async def _set_switches(
    connection: AsyncConnection,
    upstream: str,
    new: Sequence[str],
    values: Mapping[str, str],
    settings: Settings,
) -> list[dict[str, str]]:
    """Set them; what that changed for the fleet, and how to undo it."""
    before = {one.name: one.value or DEFAULT for one in await all_switches(connection, upstream)}
    changes = []
    for switch in dict.fromkeys(SWITCH_OF[name] for name in new):
        said = next(name for name in reversed(new) if SWITCH_OF[name] is switch)
        value = str(_mode(values)) if switch is SwitchName.MODE else values[said]
        await set_switch(
            connection,
            upstream,
            switch,
            value,
            who=f"environment {said}",
            reason=f"{said} is {values[said]}",
            account_limit=settings.fleet.account_limit,
        )
        if value != before[switch]:
            undo = f"pressroom switch set {switch} {before[switch]}"
            changes.append(
                {"variable": said, "switch": switch, "before": before[switch], "after": value, "undo": undo}
            )
    return changes


def _mode(values: Mapping[str, str]) -> Mode:
    """Both variables speak about one switch: the stricter one counts."""
    if values.get(ENABLED) == "false":
        return Mode.DISABLED
    return Mode.FALLBACK if values.get(FALLBACK) == "true" else Mode.LIVE


async def _seen(connection: AsyncConnection, upstream: str) -> dict[str, str]:
    found = await connection.execute(
        sa.select(variables.c.name, variables.c.value).where(variables.c.upstream == upstream)
    )
    return {row.name: row.value for row in found}


async def _differs(connection: AsyncConnection, upstream: str, name: str, value: str) -> bool:
    """Remember the value; True for the one process that does so first."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(variables).values(upstream=upstream, name=name, value=value, seen_at=now_ms())
    done = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["upstream", "name"],
            set_={"value": value, "seen_at": now_ms()},
            where=variables.c.value != value,
        ).returning(variables.c.name)
    )
    return done.first() is not None
