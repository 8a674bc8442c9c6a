"""Slots: numbered places under the limit."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from tests.support.rows import add_attempt, add_job

from pressroom.database import Database, DatabaseAddress, now_ms
from pressroom.fleet.slots import free_lost_slots, free_slots
from pressroom.settings import Settings
from pressroom.spend import attempts
from pressroom.spend.attempts import AttemptState


async def _take(connection, slot, **values):
    return await add_attempt(connection, await add_job(connection), slot=slot, **values)


@pytest.mark.parametrize(
    ("taken", "limit", "free"),
    [
        ([], 3, [0, 1, 2]),
        ([0, 1, 2], 3, []),
        ([1], 3, [0, 2]),
        ([0, 2], 4, [1, 3]),
        ([5, 6], 3, [0]),  # lowered from 7: two high places are busy and count
        ([5, 6, 7], 3, []),
        ([0, 5, 6, 7], 2, []),
        ([], 0, []),
    ],
)
async def test_free_places_are_the_lowest_ones_that_the_limit_leaves(sqlite_database, taken, limit, free):
    """After the limit was lowered, higher places stay busy until their attempts end, and count meanwhile."""
    async with sqlite_database.write() as connection:
        for slot in taken:
            await _take(connection, slot)
        assert free == await free_slots(connection, "emulator", limit)
        assert list(range(limit)) == await free_slots(connection, "api.example:443", limit)


@pytest.mark.parametrize(
    ("state", "generation_id", "age_s", "freed"),
    [
        (AttemptState.SENDING, None, 181, True),
        (AttemptState.UNCERTAIN, None, 181, True),
        (AttemptState.SENDING, None, 179, False),
        (AttemptState.ACCEPTED, "gen-1", 181, False),
        (AttemptState.UNCERTAIN, "gen-1", 181, False),
        (AttemptState.ACCEPTED, "gen-1", 901, True),
        (AttemptState.UNCERTAIN, "gen-1", 901, True),
        (AttemptState.RESERVED, None, 181, False),
        (AttemptState.RESERVED, None, 901, False),
    ],
)
async def test_a_lost_answer_frees_its_place_after_its_time(
    sqlite_database, state, generation_id, age_s, freed
):
    """Only what was sent and has no id; a known generation is polled for, and a reservation was never sent."""
    sent = None if state is AttemptState.RESERVED else now_ms() - age_s * 1000
    async with sqlite_database.write() as connection:
        attempt_id = await _take(connection, 0, state=state, generation_id=generation_id, sending_at=sent)
        assert int(freed) == await free_lost_slots(connection, "emulator", life_s=180, pending_s=900)
        found = await connection.execute(
            attempts.attempts.select().where(attempts.attempts.c.id == attempt_id)
        )
        row = found.mappings().one()

    assert (None if freed else 0, state) == (row["slot"], row["state"])


async def test_the_lost_places_of_another_upstream_are_left_alone(sqlite_database):
    """Its own workers look after them."""
    async with sqlite_database.write() as connection:
        await _take(
            connection, 0, state=AttemptState.SENDING, sending_at=now_ms() - 10**6, upstream="api.example:443"
        )
        assert await free_lost_slots(connection, "emulator", life_s=180, pending_s=900) == 0


@pytest.fixture
async def postgres_database(upgraded_postgres, tmp_path):
    settings = Settings.load(home=tmp_path, database_url=upgraded_postgres)
    opened = Database(DatabaseAddress.parse(settings), settings.database)
    yield opened
    await opened.close()


async def test_a_lost_place_whose_attempt_is_being_changed_is_left_to_the_next_round(postgres_database):
    """Whoever locks several attempts waits for none; on SQLite there is one writer anyway."""
    database = postgres_database
    lost = {"state": AttemptState.SENDING, "sending_at": now_ms() - 10**6}
    async with database.write() as connection:
        first, second = [await _take(connection, slot, **lost) for slot in (0, 1)]
    rows = attempts.attempts
    async with database.write() as settling:
        await settling.execute(sa.select(rows.c.id).where(rows.c.id == first).with_for_update())
        async with asyncio.timeout(5), database.write() as connection:
            assert await free_lost_slots(connection, "emulator", life_s=180, pending_s=900) == 1
    async with database.read() as connection:
        found = await connection.execute(sa.select(rows.c.id, rows.c.slot))
        assert {first: 0, second: None} == {row.id: row.slot for row in found}
