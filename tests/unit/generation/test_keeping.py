"""Nothing is bought that could not be kept."""

from __future__ import annotations

import pytest

from pressroom.database import Database, DatabaseAddress
from pressroom.errors import DatabaseUnusable, StorageDenied, StorageFull
from pressroom.generation.run import keeping as module
from pressroom.generation.run.keeping import Keeping
from pressroom.settings import Settings
from pressroom.storage import ObjectStore, Spool, StoreOptions


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
async def keeping(home):
    settings = Settings.load(home=home)
    database = Database(DatabaseAddress.parse(settings), settings.database)
    store = ObjectStore.open("file:images", options=StoreOptions(), home=home)
    yield Keeping(database=database, store=store, spool=Spool(home / "spool", reserve_bytes=0))
    await database.close()


async def test_with_room_everywhere_nothing_stands_in_the_way(keeping):
    """Eight images at once."""
    await keeping.check(images=8)
    await keeping.check_store()


async def test_images_need_room_on_the_spool(home, keeping):
    """The more images, the more room."""
    free = Spool(home / "spool", reserve_bytes=0).free_bytes()
    crowded = Keeping(
        database=keeping._database,
        store=keeping._store,
        spool=Spool(home / "spool", reserve_bytes=free - 3 * module.IMAGE_ROOM_BYTES),
    )

    await crowded.check(images=1)
    with pytest.raises(StorageFull, match="must be free"):
        await crowded.check(images=8)


async def test_rows_need_room_too(keeping, monkeypatch):
    """A disk without room for a SQLite file stops purchases, and says which file."""
    monkeypatch.setattr("pressroom.database.connections.ROOM_BYTES", 1 << 60)

    with pytest.raises(DatabaseUnusable, match=r"pressroom\.sqlite.*free some space"):
        await keeping.check(images=1)


async def test_a_store_that_refused_stops_purchases_until_it_takes_again(home, keeping, monkeypatch):
    """It is asked again after a while, not at every purchase; once it takes a file, buying goes on."""
    (home / "images").rename(home / "gone")
    with pytest.raises(StorageDenied):
        await keeping.check_store()
    (home / "gone").rename(home / "images")

    with pytest.raises(StorageDenied):
        await keeping.check(images=1)
    monkeypatch.setattr(keeping, "_look_at", 0.0)
    await keeping.check(images=1)


async def test_a_store_that_refuses_still_stays_refused(home, keeping, monkeypatch):
    """The time to ask again comes and the answer is the same."""
    (home / "images").rename(home / "gone")
    keeping.refused(StorageDenied("no"))
    monkeypatch.setattr(keeping, "_look_at", 0.0)

    with pytest.raises(StorageDenied, match="images"):
        await keeping.check(images=1)
    with pytest.raises(StorageDenied):
        await keeping.check(images=1)
