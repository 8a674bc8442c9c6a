"""What the maintenance loop does about money and notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressroom.app.money import micros_of_setting
from pressroom.generation.upkeep.budget_releases import release_within_budgets
from pressroom.notify.outbox import deliver, forget_delivered, log_sink
from pressroom.spend import anomaly, caps

if TYPE_CHECKING:
    from pressroom.database import Database
    from pressroom.settings import Settings


class MoneyChores:
    """
    What the maintenance loop does about money.

    Args:
        database: Where the rows are.
        settings: Shares and factors.
        upstream: Whose.
    """

    def __init__(self, database: Database, settings: Settings, upstream: str) -> None:
        self._database = database
        self._settings = settings.spend
        self._upstream = upstream

    async def release(self) -> None:
        """Queue jobs whose budget has room again."""
        await release_within_budgets(self._database, self._upstream)

    async def tell_nearly_used(self) -> None:
        """Tell of budgets that are nearly used up."""
        share = self._settings.near_share
        async with self._database.read() as connection:
            known = await caps.all_budgets(connection, self._upstream)
        if any(one.is_near(share) for one in known):
            async with self._database.write() as connection:
                await caps.tell_nearly_used(connection, self._upstream, share=share)

    async def deliver_notices(self) -> None:
        """Give what people must be told to whom it may concern: so far, the log."""
        await deliver(self._database, self._upstream, {"log": log_sink})

    async def forget_notices(self) -> None:
        """Drop notices that were delivered long ago."""
        async with self._database.write() as connection:
            await forget_delivered(connection)

    async def tell_unusual(self) -> None:
        """Tell of unusual spending."""
        factor, minimum = self._settings.anomaly_factor, micros_of_setting(self._settings.anomaly_minimum_usd)
        async with self._database.read() as connection:
            rate = await anomaly.rate(connection, self._upstream)
        if rate.is_unusual(factor=factor, minimum_micros=minimum):
            async with self._database.write() as connection:
                await anomaly.tell_unusual(connection, self._upstream, factor=factor, minimum_micros=minimum)
