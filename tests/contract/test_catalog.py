"""What the catalog promises, on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.support.rows import asset

from pressroom.catalog import assets as catalog
from pressroom.database import Database, DatabaseAddress
from pressroom.errors import DatabaseUnusable


async def _add(database, *found):
    async with database.write() as connection:
        await catalog.add(connection, found)


async def _get(database, asset_id):
    async with database.read() as connection:
        return await catalog.get_one_or_none(connection, asset_id)


async def test_every_field_comes_back_as_it_was_given(database):
    """Only the time is the database's own."""
    given = asset()
    await _add(database, given)
    found = await _get(database, given.id)

    assert found.created_at > 0
    assert given == replace(found, created_at=given.created_at)


async def test_what_is_absent_stays_absent(database):
    """None is not an empty text, and an empty list is not none."""
    optional = [
        "generation_id",
        "expanded_prompt",
        "negative_prompt",
        "style_type",
        "aspect_ratio",
        "seed",
        "resolution",
        "campaign",
        "product",
        "format",
        "reproduced_from",
    ]
    given = asset(**dict.fromkeys(optional), fallback=False, is_safe=False, tags=[], metadata={})
    await _add(database, given)

    assert given == replace(await _get(database, given.id), created_at=0)


@pytest.mark.parametrize("number", [0, 2**31 - 1, 2**31, 2**63 - 1])
async def test_numbers_of_64_bits_are_kept(database, number):
    """Seeds, sizes and costs."""
    given = asset(seed=number, size_bytes=number, cost_micros=number)
    await _add(database, given)
    found = await _get(database, given.id)

    assert (number, number, number) == (found.seed, found.size_bytes, found.cost_micros)


async def test_a_second_record_of_the_same_picture_changes_nothing(database):
    """A repeated run adds nothing twice; the first record stays."""
    first = asset()
    await _add(database, first)
    await _add(database, replace(first, id="as_another", sha256="cd" * 32))
    await _add(database, first)

    assert (await _get(database, first.id)).sha256 == first.sha256
    assert await _get(database, "as_another") is None


async def test_a_run_that_repeats_half_of_its_work_adds_the_other_half(database):
    """Positions are told apart."""
    first = asset()
    second = replace(first, id="as_second", position=1)
    await _add(database, first)
    await _add(database, first, second)
    async with database.read() as connection:
        found = await catalog.of_jobs(connection, [first.job_id])

    assert [first.id, "as_second"] == [one.id for one in found[first.job_id]]


async def test_two_runs_at_the_same_time_leave_one_record(base_settings):
    """From connections of their own."""
    databases = [Database(DatabaseAddress.parse(base_settings), base_settings.database) for _ in range(4)]
    given = asset()
    await asyncio.gather(*(_add(one, replace(given, id=f"as_{n}")) for n, one in enumerate(databases)))
    async with databases[0].read() as connection:
        found = await catalog.of_jobs(connection, [given.job_id])

    assert len(found[given.job_id]) == 1
    for one in databases:
        await one.close()


async def test_a_record_is_there_when_its_transaction_is(database):
    """Rolled back with it, so that a picture and the end of its job are one fact."""
    given = asset()
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction is what is tested
        async with database.write() as connection:
            await catalog.add(connection, [given])
            _ = 1 / 0

    assert await _get(database, given.id) is None


async def test_pictures_come_in_the_order_of_the_vendors_answer(database):
    """Attempt by attempt, each from position 0; a job without any has an empty list."""
    first, second = asset(attempt_id="at_1"), asset(attempt_id="at_2")
    rows = [
        replace(base, id=f"{base.attempt_id}-{position}", job_id="job_1", position=position)
        for base in (second, first)
        for position in (2, 0, 1)
    ]
    await _add(database, *rows, asset(job_id="job_other"))
    async with database.read() as connection:
        found = await catalog.of_jobs(connection, ["job_1", "job_2"])
        assert await catalog.of_jobs(connection, []) == {}

    assert [f"at_{attempt}-{position}" for attempt in (1, 2) for position in (0, 1, 2)] == [
        one.id for one in found["job_1"]
    ]
    assert found["job_2"] == []


async def test_nothing_to_add_is_no_mistake(database):
    """As when every picture was refused: the catalog stays as it was, empty here."""
    await _add(database)
    async with database.read() as connection:
        assert not await catalog.holds_any(connection)
    await _add(database, asset())
    async with database.read() as connection:
        assert await catalog.holds_any(connection)


async def test_a_record_without_what_it_must_have_is_refused(database):
    """The database says so, not a reader years later."""
    with pytest.raises(Exception, match=r"(?i)null") as caught:
        await _add(database, replace(asset(), sha256=None))

    assert not isinstance(caught.value, DatabaseUnusable)
