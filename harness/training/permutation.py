"""Who gets what belongs to whom, in controls that give every clip something of another one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["others"]


def others(clips: int, seed: int) -> NDArray[np.int64]:
    """One cycle through all clips in random order, so that none gets its own.

    Args:
        clips: n, two or more; a single clip has nobody to exchange with and keeps its own.
        seed: Of the order.

    Returns:
        (n,) for each clip the position of another.
    """
    order = np.random.default_rng(seed).permutation(clips)
    source = np.empty_like(order)
    source[order] = np.roll(order, 1)
    return source
