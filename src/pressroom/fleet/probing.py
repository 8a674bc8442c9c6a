"""The free probe while some breaker is open: trials cost money, so they go only while the vendor answers at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pressroom.fleet import breakers, trials
from pressroom.fleet.breakers import BreakerState
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pressroom.database import Database

log = event_logger(__name__)


class Seen(Protocol):
    """What a probe saw."""

    @property
    def failing(self) -> bool:
        """Whether the vendor did not answer, or answered that it cannot."""


async def probe_while_open(database: Database, upstream: str, probe: Callable[[], Awaitable[Seen]]) -> None:
    """Probe once for all open breakers, and write down whether the vendor answered; nothing while all are closed."""
    async with database.read() as connection:
        known = await breakers.all_breakers(connection, upstream)
    if all(one.state is not BreakerState.OPEN for one in known):
        return
    answered = not (await probe()).failing
    async with database.write() as connection:
        await trials.probed(connection, upstream, answered=answered)
    log.info("breaker.probed", answered=answered)
