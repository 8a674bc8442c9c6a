"""Buying without a vendor: money set aside under budgets and attempts reserved on it, as a dispatch does it.

    python tests/support/buying.py JSON      buys in a process of its own and prints how many it got

The JSON names `home`, `database_url`, `buyers`, `micros` and `upstream`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from pressroom.database import Database, DatabaseAddress, new_id
from pressroom.settings import Settings
from pressroom.spend.budgets import OverBudget, Wanted, set_aside
from pressroom.spend.reservations import Price, Reservation, reserve_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection


def wanted(micros: int, **values: Any) -> Wanted:
    """Money for a job of the default project."""
    return Wanted(
        **{
            "upstream": "emulator",
            "project": "default",
            "campaign": None,
            "key_fingerprint": "0123456789ab",
            "backfill": False,
            "micros": micros,
            **values,
        }
    )


async def buy(
    connection: AsyncConnection, asked: Sequence[Wanted], *, expected: int | None = None
) -> list[str | OverBudget]:
    """For each its attempt's id, or the budget that refused it."""
    answers = await set_aside(connection, asked)
    granted = [
        (one, answer)
        for one, answer in zip(asked, answers, strict=True)
        if not isinstance(answer, OverBudget)
    ]
    made = await reserve_many(
        connection,
        [
            Reservation(
                job_id=new_id("job"),
                upstream=one.upstream,
                operation="v2/generate/ideogram-4-5",
                project=one.project,
                campaign=one.campaign,
                model="ideogram-4-5",
                slot=None,  # as one that was freed: places play no part here
                price=Price(
                    micros=one.micros,
                    expected_micros=one.micros if expected is None else expected,
                    source="quote",
                ),
                counters=answer,
                key_fingerprint=one.key_fingerprint,
            )
            for one, answer in granted
        ],
    )
    ids = iter(made)
    return [answer if isinstance(answer, OverBudget) else next(ids) for answer in answers]


async def main(spec: dict[str, Any]) -> None:
    settings = Settings.load(home=spec["home"], database_url=spec["database_url"])
    database = Database(DatabaseAddress.parse(settings), settings.database)
    got = 0

    async def one_buyer() -> None:
        nonlocal got
        async with database.write() as connection:
            [answer] = await buy(connection, [wanted(spec["micros"], upstream=spec["upstream"])])
        got += not isinstance(answer, OverBudget)

    await asyncio.gather(*(one_buyer() for _ in range(spec["buyers"])))
    await database.close()
    sys.stdout.write(str(got))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
