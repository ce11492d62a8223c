"""A store held by one process at a time, cleared of what killed ones left."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness._util.atomic import sweep
from harness.errors import StoreError

if TYPE_CHECKING:  # who counts runs holds nothing
    import filelock

__all__ = ["ANNOUNCEMENT", "held"]

ANNOUNCEMENT = ".driver.json"
"""Lies in a store while a driver is at work, and after one was killed."""

_DRIVER = "driver"
_SETTLED = 60.0  # seconds
_NO_SUCH_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextlib.contextmanager
def held(root: Path, who: str = _DRIVER) -> Iterator[None]:
    """Hold a store as its only writer; see ``harness._util.atomic.sweep`` for what is cleared.

    Args:
        root: Folder of the store.
        who: What this process is to others that want the store meanwhile.

    Raises:
        StoreError: When another process holds it (named with its id), or it cannot be written.
    """
    import filelock

    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = _lock(root / ".lock")
    except filelock.Timeout:
        raise StoreError(
            f"another {_holder(root)} is writing to this run store",
            hint="wait for it, or choose another store: msa --home FOLDER and the rest of the"
            " command; where the store was moved and no such process is left anywhere, delete"
            f" {root / '.lock'}",
        ) from None
    except OSError as error:
        raise StoreError(f"the run store cannot be written: {error}") from error
    try:
        _sign(root, who)
        sweep(root)
        yield
    finally:
        lock.release()


def _lock(path: Path) -> filelock.BaseFileLock:
    import filelock

    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if not _take_away_leftover(path):
            raise
        lock.acquire(timeout=0)
    return lock


def _take_away_leftover(path: Path) -> bool:
    """Whether a lock was only the file of one, from where the store lay before, and is gone now.

    Where the kernel locks files, an empty one stays for the next to lock. On a mount without such
    locks the file itself is the lock, and names its process.
    """
    away = path.with_name(f".new-lock-{os.getpid()}")
    try:
        left = path.stat()
        if left.st_size or _kernel_locks(path) or (path.parent / ANNOUNCEMENT).exists():
            return False
        signed = (path.parent / ".holder").stat().st_mtime
        if time.time() - max(signed, left.st_mtime) < _SETTLED:
            return False
        path.rename(away)
        if away.stat().st_ino == left.st_ino:
            return True
        away.rename(path)  # somebody else was faster, and this is theirs
    except OSError:
        return False
    return False


def _kernel_locks(path: Path) -> bool:
    """Whether files can be locked there."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in _NO_SUCH_LOCKS
    return True


def _sign(root: Path, who: str) -> None:
    process = str(os.getpid())
    try:
        (root / ".holder").write_text(process if who == _DRIVER else f"{process} {who}", "utf-8")
    except OSError as error:
        raise StoreError(
            f"who holds the run store could not be stored: {error}",
            hint="free some space or fix the permissions; the same command continues",
        ) from error


def _holder(root: Path) -> str:
    """Who holds the store, in words."""
    signed = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        signed = (root / ".holder").read_text("utf-8")
    process, _, who = signed.partition(" ")
    return f"{who or _DRIVER} (process {process or 'unknown'})"
