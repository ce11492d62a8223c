"""Arrays that were computed once, by the content of what they were computed from.

A folder of small sealed files, each named by a digest of everything that its numbers depend on: it
is never out of date. It is no authority either: a file that is lost, damaged or cannot be written
costs computing again, and never an error. Two processes that write one name write the same bytes.

Shapes: N numbers.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness._util import canonical
from harness._util.atomic import write_atomic
from harness._util.canonical import Json
from harness._util.sealed import read_sealed, sealed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ByContent", "computed_by"]

_MOST = 2**29  # bytes in a folder; beyond it the oldest quarter goes


class ByContent:
    """What is remembered in a folder.

    Args:
        folder: Where.
        rules: What computes: the numbers of others are others.
    """

    def __init__(self, folder: Path, rules: str) -> None:
        self._folder, self._rules = folder, rules
        self._has_room = False

    def of(
        self, content: Json, size: int, compute: Callable[[], NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """(N,) numbers, remembered or computed.

        Args:
            content: All that they depend on besides the rules.
            size: N.
            compute: Makes them.
        """
        path = self._folder / f"{canonical.digest([self._rules, content])[:32]}.f8"
        with contextlib.suppress(OSError, ValueError):
            found = np.frombuffer(read_sealed(path), dtype="<f8")
            if found.size == size:
                return found.astype(np.float64)
        computed = np.asarray(compute(), dtype=np.float64)
        with contextlib.suppress(OSError):
            if not self._has_room:
                self._make_room()
                self._has_room = True
            write_atomic(path, sealed(computed.astype("<f8").tobytes(), path.name))
        return computed

    def _make_room(self) -> None:
        """Take the oldest files away where there are far too many."""
        files = {file: status for file in self._folder.glob("*.f8") if (status := _entry(file))}
        there = sum(status.st_size for status in files.values())
        if there <= _MOST:
            return
        for file in sorted(files, key=lambda file: files[file].st_mtime_ns):
            if there <= _MOST - _MOST // 4:
                break
            file.unlink(missing_ok=True)
            there -= files[file].st_size


def _entry(file: Path) -> os.stat_result | None:
    """None for a file that another process just took away."""
    try:
        return file.stat()
    except FileNotFoundError:
        return None


def computed_by(files: Iterable[Path], *packages: str) -> str:
    """A digest of what computes: source files, installed packages, and the kind of processor."""
    return _computed_by(tuple(sorted(files)), packages)


@functools.cache
def _computed_by(files: tuple[Path, ...], packages: tuple[str, ...]) -> str:
    from importlib.metadata import version

    return canonical.digest(
        {
            "files": [[file.name, canonical.file_digest(file)] for file in files],
            "packages": {name: version(name) for name in packages},
            "machine": platform.machine(),
        }
    )
