"""Records over all their values: what is written is what is read, and shares add up to the whole."""

from __future__ import annotations

import asyncio
import json
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.rows import asset

from pressroom.app import upgrade
from pressroom.catalog import assets as catalog
from pressroom.catalog.assets import Asset
from pressroom.catalog.tables import assets as asset_rows
from pressroom.database import Database, DatabaseAddress, new_id
from pressroom.generation.run.bring_home import _asset, _Home, asset_id_of
from pressroom.ideogram import Image
from pressroom.settings import Settings

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
NUMBER = st.integers(0, 2**63 - 1)
SMALL = st.integers(0, 2**31 - 1)
VALUES = {
    "position": SMALL,
    "seed": st.none() | NUMBER,
    "width": SMALL,
    "height": SMALL,
    "is_safe": st.booleans(),
    "size_bytes": NUMBER,
    "cost_micros": NUMBER,
    "tags": st.lists(TEXT, max_size=4),
    "metadata": st.dictionaries(TEXT, TEXT, max_size=4),
    "fallback": st.booleans(),
}
OPTIONAL = {name for name, column in asset_rows.columns.items() if column.nullable}
RECORDS = st.builds(
    asset,
    **{
        field.name: VALUES.get(field.name, (st.none() | TEXT) if field.name in OPTIONAL else TEXT)
        for field in fields(Asset)
        if field.name not in {"id", "job_id", "attempt_id", "created_at"}
    },
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def kept(request, tmp_path_factory):
    """Writes a record and reads it back, on a database of its own that all examples share."""
    url, server = None, None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        server.create_database("records")
        url = server.url("records")
    loaded = Settings.load(home=tmp_path_factory.mktemp("records"), database_url=url)
    asyncio.run(upgrade(loaded))
    loop = asyncio.new_event_loop()
    database = Database(DatabaseAddress.parse(loaded), loaded.database)

    async def write_and_read(record):
        async with database.write() as connection:
            await catalog.add(connection, [record])
            return await catalog.get_one_or_none(connection, record.id)

    yield lambda record: loop.run_until_complete(write_and_read(record))
    loop.run_until_complete(database.close())
    loop.close()
    if server is not None:
        server.drop_database("records")


@settings(max_examples=60)
@given(record=RECORDS)
def test_a_record_is_read_as_it_was_written(kept, record):
    """Every field, every character, every number; only the time is the database's."""
    found = kept(record)

    assert record == replace(found, created_at=record.created_at)


@given(record=RECORDS, created_at=st.integers(0, 4_000_000_000_000))
def test_a_record_as_json_loses_nothing(record, created_at):
    """Money to the millionth of a dollar as far as prices go, time to the millisecond."""
    shown = json.loads(
        json.dumps(replace(record, created_at=created_at, cost_micros=record.cost_micros % 10**12).to_json())
    )

    assert record.cost_micros % 10**12 == round(shown.pop("cost_usd") * 1_000_000)
    assert shown.pop("created_at").endswith("Z")
    assert all(shown[name] == getattr(record, name) for name in shown)


@given(cost=st.integers(0, 10**12), count=st.integers(1, 8))
@example(cost=100, count=3)
@example(cost=1, count=8)
def test_the_shares_of_a_cost_add_up_to_it(cost, count):
    """No millionth is lost or invented, and no picture of one answer is dearer than another by more than one."""
    job = SimpleNamespace(
        id="job_1",
        upstream="emulator",
        project="p",
        request={"prompt": "a heron", "model": "m"},
        request_hash="9f",
        tags=[],
        metadata={},
    )
    attempt = SimpleNamespace(id="at_1", cost_micros=cost, generation_id="gen-1")
    run = SimpleNamespace(job=job, attempt=attempt)
    image = Image(url="https://x", prompt=None, resolution=None, seed=None, is_image_safe=True)
    file = SimpleNamespace(width=1, height=1, content_type="image/png", size_bytes=1, sha256="ab" * 32)
    shares = [
        _asset(run, _Home(position, image, file, "key"), count).cost_micros for position in range(count)
    ]

    assert cost == sum(shares)
    assert max(shares) - min(shares) <= 1


@given(st.lists(st.integers(0, 7), unique=True, min_size=1), st.integers(1, 5))
def test_each_picture_has_one_id_in_every_run(positions, runs):
    """So that a repeated run stores and records nothing twice, and no two pictures share one."""
    attempt_ids = [new_id("at") for _ in range(3)]
    found = [
        {(one, position): asset_id_of(one, position) for one in attempt_ids for position in positions}
        for _ in range(runs)
    ]

    assert all(again == found[0] for again in found)
    assert len(set(found[0].values())) == len(found[0])


@given(st.integers(1, 200))
def test_ids_sort_in_the_order_they_were_made(count):
    """However many within a millisecond."""
    made = [new_id("x") for _ in range(count)]

    assert sorted(set(made)) == made
