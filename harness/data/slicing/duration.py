"""How long does the clip last?"""

from __future__ import annotations

import math

import numpy as np

from harness.data.corpus import Split
from harness.data.slicing import Divided, Slicing, thirds

__all__ = ["DURATION"]


def _divide(split: Split) -> Divided | None:
    if not {"start", "stop"} <= set(split.clips):
        return None
    start, stop = (split.clips[name].to_numpy(dtype=np.float64) for name in ("start", "stop"))
    seconds = np.where(stop > start, stop - start, math.nan).round(1).astype(np.float64)
    return thirds(seconds, ("short", "medium", "long"), "s")


DURATION = Slicing(
    name="duration",
    title="Length of the clip",
    definition="thirds of the split's clips by seconds from start to stop, to a tenth",
    divide=_divide,
    place=4,
)
