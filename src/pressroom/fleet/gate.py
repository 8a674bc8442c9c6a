"""The gate: what the whole fleet agrees on about buying now, read together and kept for a moment in each process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pressroom.audit import PRESSROOM
from pressroom.database import now_ms
from pressroom.fleet import breakers, limit, stops, trials, workers
from pressroom.fleet.breakers import BreakerState
from pressroom.fleet.controls import changed, version_of
from pressroom.fleet.switches import Batch, Mode, RateLimitMode, SwitchName, all_switches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.fleet.breakers import Breaker
    from pressroom.fleet.stops import Stop
    from pressroom.fleet.switches import Switch
    from pressroom.settings import Settings

__all__ = ["Flow", "Gate", "GateCache", "Mode", "RateLimitMode", "changed", "read_gate", "trial_began"]


class Flow(StrEnum):
    """Whether purchases may go."""

    OPEN = "open"
    """As many as there are slots."""
    TRIAL = "trial"
    """Exactly one, to see whether the vendor sells again: the oldest waiting job, batch first."""
    SHUT = "shut"
    """None."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """
    What stands for purchases of one upstream.

    Attributes:
        upstream: Whose.
        now_ms: The database's clock when it was read.
        version: Of the controls it was read from.
        mode: Nothing is bought but in `live`.
        batch_paused: Batch jobs have no turn; never while a trial may go that only missing credits stand against.
        concurrency: The switch; None where nobody has set it.
        rate_limit_mode: What happens to an interactive request that would have to wait.
        limit: Purchases in flight at most.
        account: What stops on key, credits and quota leave.
        families: What breakers leave, of each family that ever failed; use `family`.
        reasons: For people: why `account` (key `""`) or a family is not open.
        stops_due: Causes of the stops that a trial now would try.
        stops_not_due: Causes of the stops that no trial may try now.
        stop_trial_ms: Until the next trial of those.
    """

    now_ms: int
    upstream: str = ""
    version: int = 0
    mode: Mode = Mode.LIVE
    batch_paused: bool = False
    concurrency: int | None = None
    rate_limit_mode: RateLimitMode = RateLimitMode.QUEUE
    limit: int
    account: Flow = Flow.OPEN
    families: Mapping[str, Flow] = field(default_factory=lambda: MappingProxyType({}))
    reasons: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    stops_due: tuple[str, ...] = ()
    stops_not_due: tuple[str, ...] = ()
    stop_trial_ms: int = 0

    def family(self, name: str) -> Flow:
        """Whether purchases of a family may go, as far as its own breaker says."""
        return self.families.get(name, Flow.OPEN)

    def flow(self, name: str) -> Flow:
        """Whether purchases of a family may go, everything considered but the pause of batches."""
        if self.mode is not Mode.LIVE:
            return Flow.SHUT
        return max(self.account, self.family(name), key=list(Flow).index)

    def blocked_by(self, family: str, *, batch: bool = False) -> str | None:
        """What a waiting job of this family waits for beside its turn, for people; None for nothing."""
        if self.mode is not Mode.LIVE:
            return f"the switch mode is {self.mode}"
        for flow, name in ((self.account, ""), (self.family(family), family)):
            if flow is not Flow.OPEN:
                return self.reasons.get(name, f"purchases are {flow}")
        return "the switch batch is paused" if batch and self.batch_paused else None


async def read_gate(
    connection: AsyncConnection,
    upstream: str,
    settings: Settings,
    *,
    fingerprint: str | None = None,
    of_workers: bool = False,
) -> Gate:
    """
    Read everything anew.

    Args:
        connection: For reading.
        upstream: Whose.
        settings: Limits and waits.
        fingerprint: Of the key that would buy: a stop on another key says nothing about it. Without one, every stop counts.
        of_workers: Go by the keys that live workers buy with instead, where there are any.
    """
    version = await version_of(connection, upstream)  # first: what changes meanwhile is read again
    now = (await connection.execute(sa.select(now_ms()))).scalar_one()
    switched = {one.name: one for one in await all_switches(connection, upstream)}
    keys = frozenset() if fingerprint is None else frozenset({fingerprint})
    if of_workers:
        live_s = settings.fleet.dead_after_s
        keys = await workers.keys_in_use(connection, upstream, within_s=live_s) or keys
    standing = stops.standing_for(await stops.all_stops(connection, upstream), keys)
    broken = await breakers.all_breakers(connection, upstream)
    learned = await limit.all_learned(connection, upstream)
    value = switched[SwitchName.CONCURRENCY].value
    concurrency = None if value is None else int(value)
    account = _account(standing, now)
    return Gate(
        upstream=upstream,
        now_ms=now,
        version=version,
        mode=Mode(switched[SwitchName.MODE].value or Mode.LIVE),
        batch_paused=_pauses(switched[SwitchName.BATCH], account),
        concurrency=concurrency,
        rate_limit_mode=RateLimitMode(switched[SwitchName.RATE_LIMIT_MODE].value or RateLimitMode.QUEUE),
        limit=limit.effective(learned, now, settings, concurrency=concurrency),
        account=account,
        families={one.family: _family(one, now, settings) for one in broken},
        reasons=_reasons(standing, broken),
        stops_due=tuple(one.cause for one in standing) if account is Flow.TRIAL else (),
        stops_not_due=tuple(one.cause for one in standing if not _is_due(one, now)),
        stop_trial_ms=int(settings.fleet.refused_trial_s * 1000),
    )


def _account(standing: list[Stop], now: int) -> Flow:
    if not standing:
        return Flow.OPEN
    return Flow.TRIAL if all(_is_due(one, now) for one in standing) else Flow.SHUT


def _is_due(one: Stop, now: int) -> bool:
    """Whether a trial may try it; a refused key is tried by a free request, which lifts its stop (`generation.upkeep.key_watch`)."""
    return one.trial_at <= now and not one.of_key


def _pauses(batch: Switch, account: Flow) -> bool:
    """Our own pause lets the one trial pass that may end it: perhaps nothing but batch jobs waits."""
    ours = batch.set_by == PRESSROOM and batch.reason == stops.CREDITS
    return batch.value == Batch.PAUSED and not (ours and account is Flow.TRIAL)


def _family(breaker: Breaker, now: int, settings: Settings) -> Flow:
    if breaker.state is BreakerState.CLOSED:
        return Flow.OPEN
    return Flow.TRIAL if breaker.trial_is_due(now, probe_s=settings.breaker.probe_s) else Flow.SHUT


def _reasons(standing: list[Stop], broken: list[Breaker]) -> dict[str, str]:
    reasons = {
        one.family: f"the vendor fails: {one.message}"
        for one in broken
        if one.state is not BreakerState.CLOSED
    }
    return reasons | ({"": standing[0].message} if standing else {})


async def trial_began(connection: AsyncConnection, gate: Gate, *, family: str, attempt_id: str) -> None:
    """
    Count the one trial that `gate` allows as begun, in the transaction that reserves its attempt (`attempts.trial`).

    Until it has ended nothing more of the family is bought; after a trial of a stop, until its next one is due.
    """
    await changed(connection, gate.upstream)
    if gate.family(family) is Flow.TRIAL:
        await trials.trial_began(connection, gate.upstream, family, attempt_id=attempt_id)
    if gate.stops_due:
        await stops.trial_taken(connection, gate.upstream, gate.stops_due, again_in_ms=gate.stop_trial_ms)


class GateCache:
    """
    The gate as one process goes by it: read anew when the version moved, or after `fleet.switch_cache_s`.

    The second is for what time changes: a limit that grows, a switch that expires, a trial that is due.

    Args:
        upstream: Whose.
        settings: Limits and waits.
        fingerprint: Tells the key that this process would buy with now, where it has one.
        of_workers: For who asks and does not buy: what counts is the keys of live workers, where there are any.
    """

    def __init__(
        self,
        upstream: str,
        settings: Settings,
        *,
        fingerprint: Callable[[], str | None] | None = None,
        of_workers: bool = False,
    ) -> None:
        self._of_workers = of_workers
        self._upstream = upstream
        self._settings = settings
        self._fingerprint = fingerprint or (lambda: None)
        self._kept: tuple[Gate, str | None, float] | None = None

    async def current(self, connection: AsyncConnection) -> Gate:
        """The gate now; one small read while nothing changes."""
        fingerprint = self._fingerprint()
        if self._kept is not None:
            gate, theirs, read_at = self._kept
            fresh = time.monotonic() - read_at < self._settings.fleet.switch_cache_s
            if (
                fresh
                and theirs == fingerprint
                and await version_of(connection, self._upstream) == gate.version
            ):
                return gate
        read_at = time.monotonic()
        gate = await read_gate(
            connection,
            self._upstream,
            self._settings,
            fingerprint=fingerprint,
            of_workers=self._of_workers,
        )
        self._kept = (gate, fingerprint, read_at)
        return gate
