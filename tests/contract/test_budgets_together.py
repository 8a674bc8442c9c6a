"""Budgets under many processes at once: dispatchers, settlements and people who change caps, on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support import buying
from tests.support.buying import buy, wanted

import pressroom
from pressroom.database import Database, DatabaseAddress
from pressroom.spend import attempts
from pressroom.spend.attempts import AttemptState
from pressroom.spend.budgets import OverBudget
from pressroom.spend.caps import all_budgets
from pressroom.spend.ledger import check_counters
from pressroom.spend.scopes import BudgetName
from pressroom.spend.setting import set_budget
from pressroom.spend.tables import attempts as attempt_rows

UP = "emulator"
PRICE = 60_000
PROCESSES, BUYERS = 4, 50


async def cap(database, words, micros):
    async with database.write() as connection:
        await set_budget(connection, BudgetName.parse(UP, words), micros, who="a test")


async def usage(database):
    """(spent, reserved) by budget, after the books were checked."""
    async with database.read() as connection:
        assert await check_counters(connection, UP) == []
        known = await all_budgets(connection, UP)
    return {one.name.words: (one.settled_micros, one.reserved_micros) for one in known}


async def test_two_hundred_buyers_in_four_processes_spend_not_a_millionth_too_much(database, base_settings):
    """Room for 77 purchases and a bit: 77 get their money, each buyer in a transaction of its own."""
    await cap(database, "day", 77 * PRICE + PRICE - 1)
    await cap(database, "total", 150 * PRICE)
    root = Path(pressroom.__file__).parents[2]
    url = base_settings.database_url
    spec = {
        "home": str(base_settings.home),
        "database_url": None if url is None else url.get_secret_value(),
        "buyers": BUYERS,
        "micros": PRICE,
        "upstream": UP,
    }
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            buying.__file__,
            json.dumps(spec),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        )
        for _ in range(PROCESSES)
    ]
    answers = await asyncio.gather(*(process.communicate() for process in processes))

    assert [process.returncode for process in processes] == [0] * PROCESSES
    assert sum(int(out) for out, _ in answers) == 77
    assert await usage(database) == {"day": (0, 77 * PRICE), "total": (0, 77 * PRICE)}


@asynccontextmanager
async def connected(settings, count):
    """As many databases as there would be processes: each with connections of its own."""
    opened = [Database(DatabaseAddress.parse(settings), settings.database) for _ in range(count)]
    yield opened
    for one in opened:
        await one.close()


async def dispatcher(database, rng, bought):
    """Batches of jobs of two projects, some of a campaign."""
    for _ in range(25):
        asked = [
            wanted(
                rng.randrange(1, PRICE),
                project=rng.choice(["shop", "blog"]),
                campaign=rng.choice([None, "spring"]),
            )
            for _ in range(rng.randrange(1, 8))
        ]
        async with database.write() as connection:
            answers = await buy(connection, asked)
        bought.extend(answer for answer in answers if not isinstance(answer, OverBudget))
        await asyncio.sleep(0)


async def settler(database, rng, bought, finished):
    """Settles what was bought, in any way, until there is nothing more."""
    while bought or not finished.is_set():
        if not bought:
            await asyncio.sleep(0.001)
            continue
        attempt_id = bought.pop(rng.randrange(len(bought)))
        async with database.write() as connection:
            end = rng.choice([AttemptState.BOUGHT, AttemptState.UNSOLD, AttemptState.UNCERTAIN])
            await attempts.transition(connection, attempt_id, AttemptState.SENDING)
            cost = {"cost_micros": rng.randrange(PRICE)} if end is AttemptState.BOUGHT else {}
            await attempts.transition(connection, attempt_id, end, **cost)


async def person(database, rng, finished):
    """Sets, changes and lifts caps while all that goes on."""
    while not finished.is_set():
        words = rng.choice(["day", "total", "project:shop", "campaign:spring"])
        await cap(database, words, rng.choice([None, rng.randrange(40 * PRICE), 100 * PRICE]))
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("seed", range(3))
async def test_caps_set_in_flight_count_everything_exactly(database, base_settings, seed):
    """Whoever sets a budget excludes reservations and waits for settlements, and nobody waits in a circle."""
    rng = random.Random(seed)
    bought, finished = [], asyncio.Event()
    async with connected(base_settings, 6) as (first, second, third, fourth, fifth, sixth):
        others = asyncio.gather(
            settler(third, rng, bought, finished),
            settler(fourth, rng, bought, finished),
            settler(fifth, rng, bought, finished),
            person(sixth, rng, finished),
        )
        await asyncio.gather(dispatcher(first, rng, bought), dispatcher(second, rng, bought))
        finished.set()
        await others
    for words in ("day", "total", "project:shop", "campaign:spring"):
        await cap(database, words, 10**9)
    counted = await usage(database)

    async def sums(*conditions):
        settled = attempt_rows.c.state.in_(sorted(attempts.SETTLED))
        async with database.read() as connection:
            row = (
                await connection.execute(
                    sa.select(
                        sa.func.sum(sa.case((settled, attempt_rows.c.cost_micros), else_=0)),
                        sa.func.sum(sa.case((settled, 0), else_=attempt_rows.c.reserved_micros)),
                    ).where(*conditions)
                )
            ).one()
        return tuple(int(value) for value in row)

    assert counted == {
        "day": await sums(),
        "total": await sums(),
        "project:shop": await sums(attempt_rows.c.project == "shop"),
        "campaign:spring": await sums(attempt_rows.c.campaign == "spring"),
    }


async def test_a_cap_that_falls_while_others_buy_is_never_exceeded_later(database, base_settings):
    """After the change is committed no reservation goes beyond it, however many were about to."""
    await cap(database, "total", 1_000 * PRICE)
    await cap(database, "day", 1_000 * PRICE)
    begun = asyncio.Event()

    async def buyer(own):
        for number in range(15):
            async with own.write() as connection:
                await buy(connection, [wanted(PRICE)] * 3)
            if number == 2:
                begun.set()
            await asyncio.sleep(0)

    async with connected(base_settings, 4) as (first, second, third, person_of_ours):
        buyers = asyncio.gather(buyer(first), buyer(second), buyer(third))
        await begun.wait()
        await cap(person_of_ours, "total", 20 * PRICE)
        before = (await usage(database))["total"]
        await buyers
    spent, reserved = (await usage(database))["total"]

    assert spent + reserved == max(sum(before), 20 * PRICE)
