from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest


@contextmanager
def tmpfs(folder, size):
    """A file system of its own with `size` bytes; skips where this user cannot mount one."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs Linux and root")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        yield folder
    finally:
        # lazily: the library's threads close a file a moment after its last reader is done
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB."""
    with tmpfs(tmp_path / "disk", "2m") as folder:
        yield folder


@pytest.fixture
def read_only():
    """Turns a mounted disk read-only."""

    def turn(folder):
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)

    return turn


@pytest.fixture
def picture(tmp_path):
    """A file of 100,000 random bytes."""
    path = tmp_path / "picture"
    path.write_bytes(os.urandom(100_000))
    return path
