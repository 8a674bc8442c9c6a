"""What the maintenance loop does beside the spine's own tasks: one line for each, wherever in the house it lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressroom.app.money_chores import MoneyChores
from pressroom.fleet.gate import GateCache
from pressroom.fleet.maintenance import every
from pressroom.fleet.probing import probe_while_open
from pressroom.fleet.switches import expire
from pressroom.generation.dispatch import waiting
from pressroom.generation.upkeep import expiry, policy
from pressroom.generation.upkeep.backfill import Backfill
from pressroom.generation.upkeep.releases import Releases

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pressroom.generation.run.context import Parts
    from pressroom.settings import Settings

ANOMALY_S = 60.0
"""Seconds between two looks at the rate of spending; it sums up a week."""

FORGET_S = 3600.0
"""Seconds between two clearings of old notices."""


def chores(parts: Parts, settings: Settings) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """Tasks by name, in the order to do them; `fleet.maintenance.every` slows one down."""

    def fingerprint() -> str:
        return parts.keys.current().fingerprint

    gates = GateCache(parts.upstream, settings, fingerprint=fingerprint)
    backfill = Backfill(parts.database, parts.upstream, settings=settings.fallback, gates=gates)

    async def buy_again() -> None:
        await policy.buy_again(parts.database, parts.upstream, settings=settings.generation)

    releases = Releases(parts.database, parts.upstream, settings=settings)

    async def probe() -> None:
        with parts.keys.using() as key:
            await probe_while_open(parts.database, parts.upstream, key.client.probe)

    money = MoneyChores(parts.database, settings, parts.upstream)

    async def expire_switches() -> None:
        await expire(parts.database, parts.upstream)

    async def mend_flows() -> None:
        await waiting.mend_flows(parts.database, parts.upstream)

    async def cancel_late() -> None:
        await expiry.cancel_late(parts.database, parts.upstream)

    return {
        "switches": expire_switches,
        "trials": releases.end_lost_trials,
        "probe": every(settings.breaker.probe_s, probe),
        "lifted": releases.release_lifted,
        "offers": releases.offer_trials,
        "backfill": backfill.release,
        "flows": mend_flows,
        "too_late": cancel_late,
        "budgets": money.release,
        "nearly_used": money.tell_nearly_used,
        "unusual": every(ANOMALY_S, money.tell_unusual),
        "notices": money.deliver_notices,
        "old_notices": every(FORGET_S, money.forget_notices),
        "placeholders": backfill.expire,
        "buy_again": buy_again,
    }
