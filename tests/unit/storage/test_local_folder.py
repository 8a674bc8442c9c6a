"""The local folder: whole objects only, on real disks with real limits."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import time

import pytest

from pressroom.errors import StorageDenied, StorageError, StorageFull
from pressroom.storage import ObjectStore, StoreOptions
from pressroom.storage.local import INCOMING, sweep_unfinished, write_new

KEY = "2026/01/31/5-a.png"


def opened(home):
    return ObjectStore.open("file:assets", options=StoreOptions(), home=home)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def test_many_writers_of_one_key_leave_one_whole_object(tmp_path):
    """One wins, the others are told, and the object is the winner's, byte for byte."""
    store = opened(tmp_path)
    pictures = []
    for number in range(8):
        path = tmp_path / str(number)
        path.write_bytes(bytes([number]) * 300_000)
        pictures.append(path)

    ends = await asyncio.gather(
        *(store.put(KEY, path, content_type="image/png", metadata={}) for path in pictures),
        return_exceptions=True,
    )

    winner = [number for number, end in enumerate(ends) if end is None]
    assert len(winner) == 1
    assert all(isinstance(end, StorageError) for end in ends if end is not None)
    assert (tmp_path / "assets" / KEY).read_bytes() == pictures[winner[0]].read_bytes()
    assert names(tmp_path / "assets") == [KEY]


WRITER = """
import sys
from pathlib import Path
from pressroom.storage.local import write_new
folder, source = Path(sys.argv[1]), Path(sys.argv[2])
for number in range(100_000):
    write_new(folder, f"d/{number}.png", source)
    print(number, flush=True)
"""


@pytest.mark.parametrize("after_ms", [0, 1, 2, 3, 5, 7])
def test_a_killed_writer_leaves_whole_objects_only(tmp_path, after_ms):
    """kill -9 in the middle of writing: whatever has a key is complete, the rest is swept later."""
    folder = tmp_path / "assets"
    folder.mkdir()
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_000))
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(source)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as writer:
        for _ in range(3):
            writer.stdout.readline()
        time.sleep(after_ms / 1_000)
        writer.kill()

    stored = [name for name in names(folder) if not name.startswith(INCOMING)]
    assert len(stored) >= 3
    assert {(folder / name).read_bytes() == source.read_bytes() for name in stored} == {True}
    sweep_unfinished(folder, older_than_s=0)
    assert names(folder) == stored


async def test_a_folder_that_went_away_is_not_made_anew(tmp_path, picture):
    """It may be a disk that was unmounted, and what is written in its place would be lost to everybody else."""
    store = opened(tmp_path)
    (tmp_path / "assets").rmdir()

    with pytest.raises(StorageDenied, match=r"folder is gone|does not exist"):
        await store.put(KEY, picture, content_type="image/png", metadata={})
    with pytest.raises(StorageDenied, match=r"folder is gone|does not exist"):
        await store.check()
    assert not (tmp_path / "assets").exists()


async def test_check_removes_old_leftovers_and_no_running_write(tmp_path):
    """A write that started a moment ago may still be running in another process."""
    store = opened(tmp_path)
    incoming = tmp_path / "assets" / INCOMING
    incoming.mkdir()
    (incoming / "old").write_bytes(b"x")
    (incoming / "new").write_bytes(b"x")
    os.utime(incoming / "old", (1, 1))

    await store.check()

    assert names(tmp_path / "assets") == [f"{INCOMING}/new"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_file_system_without_hard_links_still_refuses_a_taken_key(tmp_path, number):
    """There the file is renamed into place, and an existing object stays."""

    def refuse(_source, _target):
        raise OSError(number, "no hard links here")

    assert write_new(tmp_path, KEY, b"one", link=refuse)
    assert not write_new(tmp_path, KEY, b"two", link=refuse)

    assert (tmp_path / KEY).read_bytes() == b"one"
    assert names(tmp_path) == [KEY]


async def test_a_full_disk_is_said_and_nothing_half_remains(small_disk, tmp_path):
    """The check still passes, the large picture does not fit, and its bytes are given back."""
    store = opened(small_disk)
    big = tmp_path / "big"
    big.write_bytes(os.urandom(3_000_000))
    await store.check()

    with pytest.raises(StorageFull, match="free some space"):
        await store.put(KEY, big, content_type="image/png", metadata={})

    assert names(small_disk / "assets") == []
    await store.check()


async def test_check_finds_a_full_disk(small_disk):
    """Before anything is bought."""
    store = opened(small_disk)
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(bytes(3_000_000))

    with pytest.raises(StorageFull):
        await store.check()


async def test_check_finds_a_read_only_disk(small_disk, read_only, picture):
    """Reading goes on, writing and deleting are refused with what to do."""
    store = opened(small_disk)
    await store.put(KEY, picture, content_type="image/png", metadata={})
    read_only(small_disk)

    with pytest.raises(StorageDenied, match="read-only"):
        await store.check()
    with pytest.raises(StorageDenied, match="read-only"):
        await store.delete(KEY)
    assert (await store.head(KEY)).size_bytes == 100_000
