"""Do text, sound and picture by themselves say the same as each other?"""

from __future__ import annotations

import numpy as np

from harness.data.corpus import Split
from harness.data.slicing import Divided, Slicing, divided

__all__ = ["CONFLICT"]

_MODALITIES = ["label_T", "label_A", "label_V"]


def _divide(split: Split) -> Divided | None:
    if not set(_MODALITIES) <= set(split.clips):
        return None
    labels = split.clips[_MODALITIES].to_numpy(dtype=np.float64)
    known = ~np.isnan(labels).any(axis=1)
    if not known.any():
        return None
    signs = np.sign(labels)
    agree = known & (signs == signs[:, :1]).all(axis=1)
    conflict = known & (signs == 1).any(axis=1) & (signs == -1).any(axis=1)
    return divided(("agree", "conflict", "mixed"), agree, conflict, known)


CONFLICT = Slicing(
    name="conflict",
    title="Modality conflict",
    definition="signs of the labels from text, sound and picture alone: all equal, both positive"
    " and negative among them, or some neutral beside one sign",
    divide=_divide,
    place=1,
)
