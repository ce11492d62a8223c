"""What was found out once, kept beside what it is about so that later calls need not look again.

Such a file is no authority: one that is lost, damaged, unwritable or of other rules costs looking
again, and never an error.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import filelock

from harness._util.atomic import write_atomic
from harness._util.sealed import read_sealed, sealed

__all__ = ["Remembered"]

T = TypeVar("T")

_PATIENCE = 5.0  # seconds to wait for another process that writes what it learnt


class Remembered:
    """A JSON object in a sealed file.

    Args:
        path: The file.
        rules: What decided: what was found by others says nothing about these.
    """

    def __init__(self, path: Path, rules: str | int) -> None:
        self._path, self._rules = path, rules

    def read(self, parse: Callable[[Mapping[str, Any]], T]) -> T | None:
        """What is remembered, or None.

        Args:
            parse: Makes of the object what is wanted; may fail on one that has not its form.
        """
        try:
            table = json.loads(read_sealed(self._path))
            return parse(table) if table["rules"] == self._rules else None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    def write(self, make: Callable[[], Mapping[str, Any] | None]) -> None:
        """Replace what is remembered, while no other process does.

        Args:
            make: The new object, from what is there now; None to leave that.
        """
        lock = filelock.FileLock(self._path.with_name(f"{self._path.name}.lock"), timeout=_PATIENCE)
        with contextlib.suppress(OSError, filelock.Timeout):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with lock:
                if (table := make()) is not None:
                    whole = {"rules": self._rules, **table}
                    content = json.dumps(whole, separators=(",", ":")).encode()
                    write_atomic(self._path, sealed(content, self._path.name))
