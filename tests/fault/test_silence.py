"""A process that stops saying anything in the middle of a transaction does not keep the fleet from its work."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from pressroom.database import Database, DatabaseAddress
from pressroom.errors import DatabaseUnavailable
from pressroom.generation.dispatch.dispatcher import LOCK
from pressroom.settings import Settings

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_the_server_takes_the_dispatchers_lock_from_a_process_that_is_silent(rig):
    """As one that was paused, or whose machine is gone: without this nothing is dispatched until it is back."""
    rig.place.values["database"] = {"silent_s": 1.0}
    settings = Settings.load(**rig.place.settings_by_name())

    async def hold_the_lock() -> None:
        database = Database(DatabaseAddress.parse(settings), settings.database)
        try:
            async with database.write() as connection:
                key = sa.func.hashtext(rig.place.upstream)
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK, key)))
                rig.signals += 1
                await asyncio.to_thread(work)
        finally:
            await database.close()

    def work() -> None:
        rig.start()
        assert rig.come_home(rig.place.submit(2))

    with pytest.raises(DatabaseUnavailable):
        asyncio.run(hold_the_lock())
