"""Writing into the local folder: whole or not at all, never over something else."""

from __future__ import annotations

import errno
import os
import shutil
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from pressroom.storage.durable import make_folders, sync_file, sync_path

if TYPE_CHECKING:
    from collections.abc import Callable

INCOMING = ".incoming"
"""Folder of unfinished writes in the store's root. No key can name it, since no segment starts with a dot."""

LEFTOVER_AGE_S = 86_400.0
"""Seconds. An unfinished write this old belongs to a crash: one write takes seconds."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_COPY_BYTES = 1024 * 1024


def write_new(
    folder: Path,
    key: str,
    source: Path | bytes,
    *,
    share: bool = False,
    link: Callable[[Path, Path], None] = os.link,
) -> bool:
    """
    Write an object that survives a power cut once this returns. A crash before leaves nothing under the key.

    Args:
        folder: The store's root, existing.
        key: A checked key.
        source: The file to copy, or the bytes.
        share: The file is on the disk already and its bytes will never change: where the file system can, the object is
            another name of it instead of a copy.
        link: Gives the finished file its name and fails when the name is taken. On file systems without hard links
            the name is checked and the file renamed instead, which two writers of one key could race.

    Returns:
        False when the key already exists; then nothing was changed.

    Raises:
        OSError: As the file system says; also when the root is gone, since that may be a disk that was unmounted.
    """
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    target = folder / key
    make_folders(target.parent)
    if share and isinstance(source, Path):
        shared = _share(source, target, link)
        if shared is not None:
            sync_path(target.parent)
            return shared
    make_folders(folder / INCOMING)
    unfinished = folder / INCOMING / uuid4().hex
    try:
        _copy(source, unfinished)
        created = _publish(unfinished, target, link)
    finally:
        unfinished.unlink(missing_ok=True)
    # also for an existing object: the run that named it may have died before this line
    sync_path(target.parent)
    return created


def sweep_unfinished(folder: Path, *, older_than_s: float = LEFTOVER_AGE_S) -> int:
    """
    Delete what crashed writes left behind; returns how many files.

    Raises:
        OSError: As the file system says.
    """
    removed = 0
    limit = time.time() - older_than_s
    for path in sorted((folder / INCOMING).glob("*")):
        try:
            if path.stat().st_mtime <= limit:
                path.unlink()
                removed += 1
        except FileNotFoundError:  # its own writer finished in between
            continue
    return removed


def _share(source: Path, target: Path, link: Callable[[Path, Path], None]) -> bool | None:
    """True: linked. False: the key is taken. None: these two folders cannot share a file."""
    try:
        link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS | {errno.EXDEV, errno.EMLINK}:
            return None
        raise
    return True


def _copy(source: Path | bytes, target: Path) -> None:
    with _opened(source) as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, _COPY_BYTES)
        writer.flush()
        sync_file(writer.fileno())


def _opened(source: Path | bytes) -> BinaryIO:
    return BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _publish(unfinished: Path, target: Path, link: Callable[[Path, Path], None]) -> bool:
    try:
        link(unfinished, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            return False
        unfinished.rename(target)
    return True
