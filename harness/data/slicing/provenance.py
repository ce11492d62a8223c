"""Which annotation does the label come from?"""

from __future__ import annotations

import numpy as np

from harness.data.corpus import Split
from harness.data.datasets import datasets
from harness.data.slicing import Divided, Slicing, divided

__all__ = ["PROVENANCE"]

_MARKS = {"sims": "video_"}
"""Dataset that recurs whole in another -> how its source videos are told there."""


def _divide(split: Split) -> Divided | None:
    held = [name for name in split.corpus.dataset.contains if name in _MARKS]
    if not held:
        return None
    videos = split.clips["video"].astype(str)
    members = [videos.str.startswith(_MARKS[name]).to_numpy() for name in held]
    names = [f"from {datasets[name].title}" for name in held]
    return divided((*names, "its own"), *members, ~np.any(members, axis=0))


PROVENANCE = Slicing(
    name="provenance",
    title="Origin of the label",
    definition="the clip and its label are those of an earlier dataset that recurs in this one",
    divide=_divide,
    place=8,
)
