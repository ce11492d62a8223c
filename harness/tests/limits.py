"""Disks that are full, for one process: what it writes is cut off, and nobody else's files are.

Python does not notice that bytecode which it keeps beside a package was cut off, and every later
process fails to import that package. A process with limited files must therefore keep none.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Callable, Iterator
from unittest import mock

__all__ = ["KEEPS_NO_BYTECODE", "files_up_to", "limited_files"]

KEEPS_NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Environment of a process that is started with ``files_up_to``."""


def files_up_to(size: int) -> Callable[[], None]:
    """What a child calls before it begins: its files may have ``size`` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@contextlib.contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Files of this very process may have ``size`` bytes, for a while."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with mock.patch.object(sys, "dont_write_bytecode", new=True):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
