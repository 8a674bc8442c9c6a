"""A process that dispatches for a number of rounds and prints how many jobs it gave to the engine."""

from __future__ import annotations

import asyncio
import json
import sys

from pressroom.settings import Settings


async def main(spec: dict[str, object]) -> None:
    from tests.contract.test_dispatch import dispatcher_of

    settings = Settings.load(home=spec["home"], database_url=spec["database_url"])
    given = 0
    async with dispatcher_of(settings) as dispatcher:
        for _ in range(int(str(spec["rounds"]))):
            given += await dispatcher.dispatch()
            await asyncio.sleep(0.005)
    sys.stdout.write(str(given))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
