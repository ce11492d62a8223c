"""A disk that is full, read-only or shut, wherever a command meets it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from harness.errors import StoreError

__all__ = ["disk_named"]

_REFUSALS = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)
)


@contextlib.contextmanager
def disk_named() -> Iterator[None]:
    """Make one line of a disk that refuses what nobody expected it to.

    Raises:
        StoreError: For a full, read-only or failing disk, a used up quota, a file that is not ours.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise StoreError(
            f"a file cannot be read or written: {error}",
            hint="free some space or fix the permissions, then run the same command again",
        ) from error
