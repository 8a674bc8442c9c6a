"""What the maintenance loop does beside the spine's own tasks: one line for each, wherever in the house it lives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
from pressroom.generation.upkeep.unused_keys import lift_unused_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pressroom.generation.run.context import Parts
    from pressroom.settings import Settings

ANOMALY_S = 60.0
"""Seconds between two looks at the rate of spending; it sums up a week."""

FORGET_S = 3600.0
"""Seconds between two clearings of old notices."""

UNUSED_S = 60.0
"""Seconds between two looks for stops of keys that nobody uses."""


Chore = Callable[[], Awaitable[None]]


def chores(parts: Parts, settings: Settings) -> Mapping[str, Chore]:
    """Tasks by name, in the order to do them; `fleet.maintenance.every` slows one down."""

    def fingerprint() -> str:
        return parts.keys.current().fingerprint

    gates = GateCache(parts.upstream, settings, fingerprint=fingerprint)
    backfill = Backfill(parts.database, parts.upstream, settings=settings.fallback, gates=gates)

    async def buy_again() -> None:
        await policy.buy_again(parts.database, parts.upstream, settings=settings.generation)

    return {
        **_of_controls(parts, settings),
        "backfill": backfill.release,
        **_of_waiting(parts),
        **_of_money(parts, settings),
        "placeholders": backfill.expire,
        "buy_again": buy_again,
    }


def _of_controls(parts: Parts, settings: Settings) -> dict[str, Chore]:
    """Switches, stops and breakers, and what was held for them."""
    releases = Releases(parts.database, parts.upstream, settings=settings)

    async def expire_switches() -> None:
        await expire(parts.database, parts.upstream)

    async def probe() -> None:
        with parts.keys.using() as key:
            await probe_while_open(parts.database, parts.upstream, key.client.probe)

    async def lift_unused() -> None:
        await lift_unused_keys(parts.database, parts.upstream)

    return {
        "switches": expire_switches,
        "trials": releases.end_lost_trials,
        "probe": every(settings.breaker.probe_s, probe),
        "unused_keys": every(UNUSED_S, lift_unused),
        "lifted": releases.release_lifted,
        "offers": releases.offer_trials,
    }


def _of_waiting(parts: Parts) -> dict[str, Chore]:
    """Jobs that wait for their turn."""

    async def mend_flows() -> None:
        await waiting.mend_flows(parts.database, parts.upstream)

    async def cancel_late() -> None:
        await expiry.cancel_late(parts.database, parts.upstream)

    return {"flows": mend_flows, "too_late": cancel_late}


def _of_money(parts: Parts, settings: Settings) -> dict[str, Chore]:
    """Budgets, what people must be told of them, and the outbox."""
    money = MoneyChores(parts.database, settings, parts.upstream)
    return {
        "budgets": money.release,
        "nearly_used": money.tell_nearly_used,
        "unusual": every(ANOMALY_S, money.tell_unusual),
        "notices": money.deliver_notices,
        "old_notices": every(FORGET_S, money.forget_notices),
    }
