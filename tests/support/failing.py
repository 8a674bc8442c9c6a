"""A process whose purchases all meet a vendor that fails, or refuses, in turns; prints how many it settled."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from tests.support.running import sending

from pressroom import errors
from pressroom.database import Database, DatabaseAddress
from pressroom.fleet.switches import set_switch
from pressroom.generation.run import settling
from pressroom.generation.run.outcomes import outcome_of
from pressroom.settings import Settings
from pressroom.telemetry import configure

KINDS = {kind.__name__: kind for kind in (errors.NotSent, errors.OutcomeUnknown, errors.InflightLimit)} | {
    "CreditsExhausted": errors.CreditsExhausted
}


async def main(spec: dict[str, Any]) -> None:
    """Settle `count` purchases, several at a time, and set a switch beside every tenth."""
    settings = Settings.load(home=spec["home"], database_url=spec["database_url"], breaker=spec["breaker"])
    configure(settings.log)
    database = Database(DatabaseAddress.parse(settings), settings.database)

    async def settle(number: int) -> None:
        run = await sending(database, settings)
        error = KINDS[spec["kinds"][number % len(spec["kinds"])]]("the vendor's words")
        await settling.record_outcome(run, outcome_of(error), error=error)
        if number % 10 == 0:
            async with database.write() as connection:
                value = str(1 + number % 8)
                await set_switch(connection, "emulator", "concurrency", value, who="ada", reason="")

    for start in range(0, spec["count"], 5):
        await asyncio.gather(*(settle(number) for number in range(start, start + 5)))
    await database.close()
    sys.stdout.write(str(spec["count"]))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
