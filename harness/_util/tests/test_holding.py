"""A store on any mount: locks that stay behind, folders that cannot be synced, litter."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest

from harness._util import checksums
from harness._util.atomic import commit_folder, write_atomic
from harness._util.holding import ANNOUNCEMENT, held
from harness.errors import StoreError

HOUR = 3600.0


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A store that was held where the kernel locks files, an hour ago."""
    with held(tmp_path):
        pass
    aged(tmp_path)
    return tmp_path


def aged(root: Path) -> None:
    for name in (".lock", ".holder"):
        os.utime(root / name, (time.time() - HOUR,) * 2)


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount without such locks, as some network and FUSE mounts are."""

    def refuse(*given: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)


pytestmark = pytest.mark.filterwarnings("ignore:flock not supported")


def test_a_lock_of_another_mount_is_no_lock(left: Path, no_locks: None) -> None:
    with held(left), pytest.raises(StoreError, match="is writing to this run store"), held(left):
        pass
    with held(left):
        pass
    assert not list(left.glob(".new-*"))


def test_what_may_be_a_lock_is_respected(left: Path, no_locks: None) -> None:
    (left / ANNOUNCEMENT).write_text("{}")
    with pytest.raises(StoreError, match="is writing") as caught, held(left):
        pass
    assert "delete" in str(caught.value.hint)
    (left / ANNOUNCEMENT).unlink()
    (left / ".holder").touch()
    with pytest.raises(StoreError, match="is writing"), held(left):
        pass
    aged(left)
    (left / ".lock").write_text("1\nsomewhere\n")
    os.utime(left / ".lock", (time.time() - 30,) * 2)
    with pytest.raises(StoreError, match="is writing"), held(left):
        pass


def test_a_lock_of_the_kernel_is_a_lock_however_old(left: Path) -> None:
    with held(left):
        aged(left)
        with pytest.raises(StoreError, match="is writing"), held(left):
            pass


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_folders_that_cannot_be_synced(tmp_path: Path, monkeypatch, number: int) -> None:
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)

    def write() -> None:
        write_atomic(tmp_path / "file", "x")
        with commit_folder(tmp_path / "folder") as folder:
            (folder / "file").write_text("y")

    if number == errno.EIO:
        with pytest.raises(OSError, match="Input/output"):
            write()
        return
    write()
    assert (tmp_path / "folder" / "file").read_text() == "y"


LITTER = [".DS_Store", "._manifest.json", "Thumbs.db", "desktop.ini", ".nfs0000000a1", "@eaDir"]


def test_litter_is_no_damage_and_strangers_are(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    checksums.seal(tmp_path)
    for name in LITTER:
        (tmp_path / name).mkdir() if name.startswith("@") else (tmp_path / name).write_text("x")
    assert checksums.damage(tmp_path, 1) == []
    for name in ("notes.txt", ".hidden", "DS_Store", "manifest.json.bak", ".nfs", "my.Thumbs.db"):
        (tmp_path / name).write_text("x")
        assert checksums.damage(tmp_path, 1) == [f"{name} was added"]
        (tmp_path / name).unlink()
    (tmp_path / "manifest.json").write_text("[]")
    assert checksums.damage(tmp_path, 1) == ["manifest.json is not what was written"]
