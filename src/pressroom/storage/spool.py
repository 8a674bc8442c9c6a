"""The worker's scratch on disk: images between the vendor's address and the object store."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from pressroom.errors import InvalidInput, InvalidSettings, StorageFull
from pressroom.storage.boundary import translated
from pressroom.storage.durable import make_folders

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

_ATTEMPT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_DONE = re.compile(r"\d{1,4}")
_MAX_INDEX = 9_999

MIN_SWEEP_AGE = timedelta(hours=1)
"""A folder touched later than this ago is kept by `sweep` whatever the caller's list says: the list may be older than
the attempt."""


class Spool:
    """
    Files by attempt and image number: `{folder}/{attempt id}/{index}`.

    Whoever downloads gives a file its name only once it is whole and on the disk, and writes under a name of his own
    until then. So a file under `path` is complete, also after a crash, and can be stored without a second download;
    and two runs of one attempt never write into the same file. The folder must be on a disk that survives a restart.
    Several processes may share it.

    Every method raises `StorageFull`, `StorageDenied`, `StorageUnavailable` or `StorageError` when the disk does not
    do what was asked, and `InvalidInput` for an attempt id or index that is no file name. Methods that are not async
    touch only names, sizes and small folders.
    """

    def __init__(self, folder: Path, *, reserve_bytes: int) -> None:
        """
        Create the folder if it is missing.

        Args:
            folder: On a persistent disk.
            reserve_bytes: What `check_room` keeps free on that disk.

        Raises:
            InvalidSettings: The reserve is negative.
        """
        if reserve_bytes < 0:
            raise InvalidSettings("spool: reserve_bytes must be 0 or more")
        self._folder = folder.absolute()
        self._reserve_bytes = reserve_bytes
        with translated("create the spool", str(self._folder), writing=True):
            make_folders(self._folder)

    def __repr__(self) -> str:
        """Say where."""
        return f"Spool({str(self._folder)!r})"

    def identity(self) -> str:
        """Tells this disk's spool from others, the same for every process and after every restart."""
        path = self._folder / ".identity"
        with translated("name the spool", str(self._folder), writing=True):
            if not path.exists():
                draft = self._folder / f".identity-{uuid4().hex}"
                draft.write_text(f"spool_{uuid4().hex}")
                try:
                    path.hardlink_to(draft)
                except FileExistsError:  # another process was faster
                    pass
                finally:
                    draft.unlink()
            return path.read_text()

    def path(self, attempt_id: str, index: int) -> Path:
        """Where the complete file is, or will be."""
        if not 0 <= index <= _MAX_INDEX:
            raise InvalidInput(f"the index of an image on the spool must be between 0 and {_MAX_INDEX}")
        return self._of(attempt_id) / str(index)

    async def prepare(self, attempt_id: str, index: int) -> Path:
        """Where the complete file will be, in a folder that is there. Whoever writes it must give it that name at once."""
        final = self.path(attempt_id, index)
        with translated("prepare a download", str(self._folder), writing=True):
            await asyncio.to_thread(make_folders, final.parent)
        return final

    def finished(self, attempt_id: str) -> dict[int, Path]:
        """The complete files of one attempt by index, found again after a restart."""
        folder = self._of(attempt_id)
        with translated(f"list {attempt_id}", str(self._folder)):
            paths = list(folder.iterdir()) if folder.is_dir() else []
        return {int(path.name): path for path in sorted(paths) if _DONE.fullmatch(path.name)}

    def discard(self, attempt_id: str) -> None:
        """Remove everything of one attempt; nothing there is success."""
        with translated(f"discard {attempt_id}", str(self._folder)):
            _remove(self._of(attempt_id))

    def attempt_ids(self) -> list[str]:
        """Attempts that have files here."""
        with translated("list", str(self._folder)):
            return [folder.name for folder in self._attempts()]

    def sweep(self, live: AbstractSet[str], *, min_age: timedelta = MIN_SWEEP_AGE) -> list[str]:
        """
        Remove what no attempt needs any more. Reads the whole spool: call it in a thread.

        Args:
            live: Ids of the attempts whose files are still wanted.
            min_age: Folders changed later than this ago stay.

        Returns:
            The ids of the attempts that were removed.
        """
        limit = time.time() - min_age.total_seconds()
        removed = []
        with translated("sweep", str(self._folder)):
            for folder in self._attempts():
                if folder.name not in live and _changed_at(folder) <= limit:
                    _remove(folder)
                    removed.append(folder.name)
        return removed

    def free_bytes(self) -> int:
        """Bytes that this user can still write on the spool's disk, the reserve included."""
        with translated("measure free space", str(self._folder)):
            return shutil.disk_usage(self._folder).free

    def check_room(self, needed: int) -> None:
        """
        Refuse when `needed` bytes would eat into the reserve. Reserves nothing: the caller counts what is in flight.

        Raises:
            StorageFull: Says how much is missing.
        """
        missing = needed + self._reserve_bytes - self.free_bytes()
        if missing > 0:
            raise StorageFull(
                f"spool {self._folder}: {missing} bytes more must be free ({needed} needed, {self._reserve_bytes} "
                "kept in reserve); free some space or move PRESSROOM_HOME to a larger disk"
            )

    def _of(self, attempt_id: str) -> Path:
        if not _ATTEMPT_ID.fullmatch(attempt_id):
            raise InvalidInput("an attempt id on the spool takes letters, digits, '_' and '-', at most 128")
        return self._folder / attempt_id

    def _attempts(self) -> list[Path]:
        return sorted(
            path for path in self._folder.iterdir() if path.is_dir() and _ATTEMPT_ID.fullmatch(path.name)
        )


def _changed_at(folder: Path) -> float:
    try:
        times = [path.stat().st_mtime for path in (folder, *folder.iterdir())]
    except FileNotFoundError:  # another process is working in it right now
        return time.time()
    return max(times)


def _remove(folder: Path) -> None:
    try:
        for path in list(folder.iterdir()):
            path.unlink(missing_ok=True)
        folder.rmdir()
    except FileNotFoundError:  # never there, or removed by another process at the same moment
        return
