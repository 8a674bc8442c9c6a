"""What people see and change of the whole fleet: switches, stops, breakers, and who changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressroom import audit
from pressroom.errors import InvalidRequest, NotFound
from pressroom.fleet import breakers, stops, switches, trials
from pressroom.fleet.breakers import BreakerState

if TYPE_CHECKING:
    from pressroom.audit import Entry
    from pressroom.database import Database
    from pressroom.fleet.breakers import Breaker
    from pressroom.fleet.gate import Gate, GateCache
    from pressroom.fleet.stops import Stop
    from pressroom.fleet.switches import Switch
    from pressroom.settings import Settings


class Controls:
    """The part of `App` that acts on the whole fleet of its upstream."""

    settings: Settings
    database: Database
    upstream: str
    _gates: GateCache

    async def gate(self) -> Gate:
        """What stands for purchases now, with everything considered."""
        async with self.database.read() as connection:
            return await self._gates.current(connection)

    async def switches(self) -> list[Switch]:
        """Every switch as it acts now."""
        async with self.database.read() as connection:
            return await switches.all_switches(connection, self.upstream)

    async def set_switch(
        self, name: str, value: str, *, who: str | None = None, reason: str = "", for_s: float | None = None
    ) -> Switch:
        """
        Set a switch for the whole fleet; it acts within two seconds and leaves running work alone.

        Args:
            name: `mode`, `concurrency`, `batch` or `rate_limit_mode`.
            value: What it takes, or `default`.
            who: For the audit log; default: the person at this terminal.
            reason: Why; no key, no prompt.
            for_s: Seconds until it falls back to its default; None for ever.

        Raises:
            InvalidRequest: There is no such switch, or it does not take that value; says what is allowed.
        """
        async with self.database.write() as connection:
            await switches.set_switch(
                connection,
                self.upstream,
                name,
                value,
                who=who or audit.person(),
                reason=reason,
                for_s=for_s,
                account_limit=self.settings.fleet.account_limit,
            )
            now = await switches.all_switches(connection, self.upstream)
        return next(one for one in now if one.name == name)

    async def stops(self) -> list[Stop]:
        """Why nothing is sold to the account or a key, oldest first; empty when nothing stands."""
        async with self.database.read() as connection:
            return await stops.all_stops(connection, self.upstream)

    async def breakers(self) -> list[Breaker]:
        """The breaker of every family that ever failed."""
        async with self.database.read() as connection:
            return await breakers.all_breakers(connection, self.upstream)

    async def order_trial(self, name: str, *, who: str | None = None) -> list[str]:
        """
        Let the next job go as a trial now, instead of when it is due.

        Args:
            name: A family whose breaker is open, or the cause of a stop: `credits` or `quota`. A key is tried by free
                requests, every `fleet.key_trial_s`.
            who: For the audit log; default: the person at this terminal.

        Returns:
            What else stands in the way of the trial, and must end first; empty where it goes.

        Raises:
            NotFound: Neither an open breaker nor a stop has that name; says which there are.
        """
        asked_by = who or audit.person()
        async with self.database.write() as connection:
            ordered = await trials.order_trial(
                connection, self.upstream, name, who=asked_by
            ) or await stops.order_trial(connection, self.upstream, name, who=asked_by)
        if ordered:
            return await self._in_the_way(name)
        async with self.database.read() as connection:
            broken = await breakers.all_breakers(connection, self.upstream)
            standing = [
                one.cause for one in await stops.all_stops(connection, self.upstream) if not one.of_key
            ]
        names = [one.family for one in broken if one.state is BreakerState.OPEN] + standing
        there = f"these wait for one: {', '.join(names)}" if names else "nothing waits for one"
        raise NotFound(f"no trial can be ordered for {name!r:.80}; {there}")

    async def _in_the_way(self, name: str) -> list[str]:
        """What keeps an ordered trial from going, for people: the mode, and stops that are not due for a trial."""
        gate = await self.gate()
        mode = [] if gate.mode is switches.Mode.LIVE else [f"the switch mode at {gate.mode}"]
        return mode + [f"the stop {cause}" for cause in gate.stops_not_due if cause != name]

    async def audit(self, *, limit: int = 20) -> list[Entry]:
        """
        The newest lines of the audit log, newest first.

        Raises:
            InvalidRequest: `limit` is below 1 or above 1000.
        """
        if not 1 <= limit <= MOST_LINES:
            raise InvalidRequest("limit", limit, f"1 to {MOST_LINES}")
        async with self.database.read() as connection:
            return await audit.newest(connection, self.upstream, limit=limit)


MOST_LINES = 1000
"""Lines of the audit log in one answer."""
