"""A local store takes the spool's file as its own where the file system can, and copies it where it cannot."""

from __future__ import annotations

import errno
import os

import pytest

from pressroom.storage.local import write_new


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "store"
    root.mkdir()
    return root


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(b"picture")
    return path


def test_one_file_gets_a_second_name(root, picture):
    """No byte is written twice, and the object outlives the spool's name."""
    assert write_new(root, "2026/a.png", picture, share=True)

    assert (root / "2026/a.png").stat().st_ino == picture.stat().st_ino
    picture.unlink()
    assert (root / "2026/a.png").read_bytes() == b"picture"


def test_without_the_promise_it_is_a_copy(root, picture):
    """What the caller does to his file afterwards is no business of the store."""
    assert write_new(root, "a.png", picture)
    picture.write_bytes(b"changed")

    assert (root / "a.png").read_bytes() == b"picture"


def test_a_taken_key_is_left_alone(root, picture):
    """As with a copy."""
    (root / "a.png").write_bytes(b"first")

    assert not write_new(root, "a.png", picture, share=True)
    assert (root / "a.png").read_bytes() == b"first"


@pytest.mark.parametrize("reason", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_folders_that_cannot_share_get_a_copy(root, picture, reason):
    """Another disk, a file system without links, too many links already."""
    asked = []

    def link(source, target):
        asked.append(source)
        if source == picture:
            raise OSError(reason, os.strerror(reason))
        os.link(source, target)

    assert write_new(root, "a.png", picture, share=True, link=link)

    assert asked[0] == picture
    assert (root / "a.png").read_bytes() == b"picture"
    assert (root / "a.png").stat().st_ino != picture.stat().st_ino


def test_any_other_trouble_is_told(root, picture):
    """A full disk is no reason to try the same in another way."""

    def full(_source, _target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space"):
        write_new(root, "a.png", picture, share=True, link=full)
