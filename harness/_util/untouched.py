"""Whether files may have changed, told from their entries: names, sizes, times and inodes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from pathlib import Path

__all__ = ["entry_mark", "mark_of"]

_SETTLED = 2 * 10**9  # ns; two writes within a tick of the file system's clock look like one
_COMPILED = "__pycache__"


def entry_mark(at: os.stat_result, since: int | None = None) -> tuple[int, ...] | None:
    """What stays equal while nobody writes to a file.

    Args:
        at: Its entry.
        since: When it was read, nanoseconds since the epoch; None for now.

    Returns:
        Size, times of content and entry in nanoseconds, inode; None where they are not to be
        relied on: it was written since or just before.
    """
    latest = max(at.st_mtime_ns, at.st_ctime_ns)
    if latest > (time.time_ns() if since is None else since) - _SETTLED:
        return None
    return (at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino)


def mark_of(*places: Path | str, since: int | None = None) -> str | None:
    """What stays equal while nobody writes to some files, nor anywhere below some folders.

    A place where nothing is has a mark too. Links are followed. What a disk changes without a write
    is not seen.

    Args:
        places: Files and folders.
        since: When they were read, nanoseconds since the epoch; None for now.

    Returns:
        32 hexadecimal digits; None where that is not to be relied on: something was written since
        or just before, or cannot be looked at.
    """
    seen = _Seen(time.time_ns() if since is None else since)
    try:
        for number, place in enumerate(places):
            seen.look(place, str(number))
    except OSError:
        return None
    if not seen.settled:
        return None
    return hashlib.blake2b(repr(sorted(seen.files)).encode(), digest_size=16).hexdigest()


class _Seen:
    def __init__(self, since: int) -> None:
        self.files: list[tuple[str, tuple[int, ...]]] = []
        self.settled = True
        self._since = since
        self._folders: set[tuple[int, int]] = set()

    def look(self, place: Path | str, name: str) -> None:
        """Note a file, or everything below a folder, once."""
        with contextlib.suppress(FileNotFoundError):
            self._note(os.stat(place), place, name)  # noqa: PTH116 - a path takes as long again

    def _note(self, at: os.stat_result, place: Path | str | os.DirEntry[str], name: str) -> None:
        if stat.S_ISDIR(at.st_mode):
            self._look_into(place, name, (at.st_dev, at.st_ino))
            return
        mark = entry_mark(at, self._since)
        self.settled = self.settled and mark is not None
        self.files.append((name, mark or ()))

    def _look_into(
        self, folder: Path | str | os.DirEntry[str], name: str, identity: tuple[int, int]
    ) -> None:
        if identity in self._folders:  # by a link, or a loop of them
            return
        self._folders.add(identity)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name == _COMPILED:
                    continue
                try:  # thousands of folders are looked at in a row: no call more than it takes
                    at = entry.stat()
                except FileNotFoundError:
                    continue
                self._note(at, entry, f"{name}/{entry.name}")
