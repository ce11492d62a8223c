"""How this process gets its memory from the operating system."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEPT = 2**30
"""Bytes: smaller blocks come from the heap, which keeps as many free ones at its end."""


def keep_freed() -> bool:
    """Keep freed memory for the next allocation instead of handing it back; changes no number.

    Training frees and allocates arrays of the same sizes in each step. By default glibc returns
    those above 32 MiB at once, and the kernel clears every page of the next one.

    Returns:
        Whether the C library is one that can be told, as glibc is.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is None:
        return False
    return all([tell(_MMAP_THRESHOLD, _KEPT), tell(_TRIM_THRESHOLD, _KEPT)])
