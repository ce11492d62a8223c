"""Whether files are what was written, read again only where they may have changed.

A file's digest is remembered, for all processes and later sessions, as long as its size, times and
inode stay what they were: to check a large file that nobody touched costs looking at its entry.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from harness._util import canonical
from harness._util.atomic import write_atomic
from harness._util.untouched import entry_mark

__all__ = ["KnownDigests"]

_SMALL = 2**20  # bytes; reading less costs about as much as remembering it


class KnownDigests:
    """Digests of the files below a folder.

    Args:
        path: Where they are remembered, a file in that folder. It is no authority: a lost, damaged
            or unwritable one costs reading files again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def differing(self, expected: Mapping[Path, str]) -> dict[Path, str]:
        """The files that are not what was written, each with what is wrong with it.

        Args:
            expected: File -> SHA-256 of its content.
        """
        known, learnt, wrong = self._read(), {}, {}
        for file, digest in expected.items():
            try:
                name, mark = self._name(file), _mark(file.stat())
                if mark is not None and known.get(name) == [*mark, digest]:
                    continue
                if canonical.file_digest(file) != digest:
                    wrong[file] = f"{file.name} is not what was written"
                elif mark is not None and mark == _mark(file.stat()):
                    learnt[name] = [*mark, digest]
            except FileNotFoundError:
                wrong[file] = f"{file.name} is missing"
            except OSError as error:
                wrong[file] = f"{file.name} cannot be read: {error.strerror}"
        if learnt:
            self._write(learnt)
        return wrong

    def _name(self, file: Path) -> str:
        return file.relative_to(self._path.parent).as_posix()

    def _read(self) -> dict[str, object]:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            found = json.loads(self._path.read_text("utf-8"))
            if isinstance(found, dict):
                return found
        return {}

    def _write(self, learnt: Mapping[str, object]) -> None:
        """Add to what is remembered; of two processes that do so at once, one may read again."""
        here = self._path.parent
        old = {name: mark for name, mark in self._read().items() if (here / name).exists()}
        with contextlib.suppress(OSError):  # a read-only home is checked anew each time
            write_atomic(self._path, json.dumps({**old, **learnt}, sort_keys=True))


def _mark(status: os.stat_result) -> tuple[int, ...] | None:
    """What stays equal while a file is not written to; None where it is not to be relied on."""
    return None if status.st_size < _SMALL else entry_mark(status)
