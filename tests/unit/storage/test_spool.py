"""The spool: finished downloads survive, unfinished ones never look finished."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from pressroom.errors import InvalidInput, InvalidSettings, StorageDenied, StorageFull
from pressroom.storage import Spool
from pressroom.storage.durable import sync_path

HOUR = timedelta(hours=1)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool", reserve_bytes=0)


async def downloaded(spool, attempt_id, index, content=b"picture"):
    path = await spool.prepare(attempt_id, index)
    part = path.with_name(f".{index}.part")
    part.write_bytes(content)
    return part.replace(path)


def age(spool, attempt_id):
    folder = spool.path(attempt_id, 0).parent
    for path in (*folder.iterdir(), folder):
        os.utime(path, (1, 1))


async def test_a_finished_download_is_found_again_after_a_restart(spool, tmp_path):
    """A new process on the same folder can store it without a second download."""
    path = await downloaded(spool, "t1", 2)

    again = Spool(tmp_path / "spool", reserve_bytes=0)

    assert again.finished("t1") == {2: path}
    assert path == again.path("t1", 2)
    assert path.read_bytes() == b"picture"


async def test_a_download_cut_short_never_looks_finished(spool):
    """Its file has another name until it is whole."""
    path = await spool.prepare("t1", 0)
    path.with_name(".0.1f2e.part").write_bytes(b"pict")

    assert spool.finished("t1") == {}
    assert not path.exists()


async def test_attempts_are_listed_and_strangers_left_alone(spool):
    """What is not the spool's own is neither listed nor swept."""
    await downloaded(spool, "t2", 0)
    await downloaded(spool, "t1", 10)
    (spool.path("t1", 0).parent.parent / ".hidden").mkdir()

    assert spool.attempt_ids() == ["t1", "t2"]


async def test_discard_removes_one_attempt_and_can_be_repeated(spool):
    """The other attempt keeps its files."""
    await downloaded(spool, "t1", 0)
    kept = await downloaded(spool, "t2", 0)

    spool.discard("t1")
    spool.discard("t1")

    assert kept.exists()
    assert spool.attempt_ids() == ["t2"]


async def test_sweep_removes_old_attempts_that_nobody_needs(spool):
    """A live one stays however old, a young one stays whatever the list says."""
    for attempt_id in ("live", "old", "young"):
        await downloaded(spool, attempt_id, 0)
    age(spool, "live")
    age(spool, "old")

    assert spool.sweep({"live"}, min_age=HOUR) == ["old"]
    assert spool.attempt_ids() == ["live", "young"]


async def test_sweep_keeps_an_attempt_whose_download_is_still_growing(spool):
    """The folder is old, the file in it was written a moment ago."""
    part = (await spool.prepare("slow", 0)).with_name(".0.part")
    part.write_bytes(b"x")
    os.utime(part.parent, (1, 1))

    assert spool.sweep(set(), min_age=HOUR) == []
    assert part.exists()


def test_room_is_checked_against_the_reserve(tmp_path, spool):
    """What must stay free is not for downloads."""
    free = spool.free_bytes()
    spool.check_room(0)

    with pytest.raises(StorageFull, match="bytes more must be free"):
        spool.check_room(free * 2)
    with pytest.raises(StorageFull, match="in reserve"):
        Spool(tmp_path / "spool", reserve_bytes=free * 2).check_room(1)


def test_a_negative_reserve_is_refused(tmp_path):
    """A setting to mend."""
    with pytest.raises(InvalidSettings, match="reserve_bytes"):
        Spool(tmp_path, reserve_bytes=-1)


async def test_room_is_what_the_disk_really_has(small_disk):
    """On a disk of 2 MB."""
    spool = Spool(small_disk / "spool", reserve_bytes=500_000)
    spool.check_room(1_000_000)
    await downloaded(spool, "t1", 0, os.urandom(1_000_000))

    with pytest.raises(StorageFull):
        spool.check_room(1_000_000)
    spool.discard("t1")
    spool.check_room(1_000_000)


async def test_a_read_only_disk_is_said(small_disk, read_only):
    """By the method that was called, not by a raw error."""
    spool = Spool(small_disk / "spool", reserve_bytes=0)
    await downloaded(spool, "t1", 0)
    read_only(small_disk)

    with pytest.raises(StorageDenied, match="read-only"):
        await spool.prepare("t2", 0)
    with pytest.raises(StorageDenied, match="read-only"):
        spool.discard("t1")
    with pytest.raises(StorageDenied, match="read-only"):
        Spool(small_disk / "other", reserve_bytes=0)
    assert list(spool.finished("t1")) == [0]


@pytest.mark.parametrize("attempt_id", ["", "..", "a/b", "a.b", "/etc", "-x", "a" * 129, "a\n"])
def test_an_attempt_id_that_is_no_file_name_is_refused(spool, attempt_id):
    """By everything that turns it into a path."""
    for call in (spool.finished, spool.discard, lambda name: spool.path(name, 0)):
        with pytest.raises(InvalidInput):
            call(attempt_id)


@pytest.mark.parametrize("index", [-1, 10_000])
def test_an_index_out_of_range_is_refused(spool, index):
    """No answer of the vendor has that many images."""
    with pytest.raises(InvalidInput):
        spool.path("t1", index)


def test_sync_takes_files_and_folders(tmp_path):
    """And reports what is not there."""
    sync_path(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_path(tmp_path / "nothing")
