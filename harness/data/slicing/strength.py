"""How strong is the sentiment?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.data.corpus import Split
from harness.data.slicing import Divided, Slicing, divided

__all__ = ["STRENGTH"]

_ENDS: Mapping[str, tuple[float, float]] = {"mosi": (0.5, 1.5), "sims": (0.1, 0.7)}
"""Metric family -> largest size of a neutral and of a weak label: the borders of its classes."""


def _divide(split: Split) -> Divided | None:
    dataset = split.corpus.dataset
    neutral, weak = _ENDS.get(dataset.family, (dataset.high / 6, dataset.high / 2))
    size = np.abs(split.labels)
    return divided(
        (f"neutral (to {neutral:.2g})", f"weak (to {weak:.2g})", "strong"),
        size <= neutral,
        size <= weak,
        size > weak,
    )


STRENGTH = Slicing(
    name="strength",
    title="Strength of sentiment",
    definition="size of the label, parted where the classes of the dataset end: half points on the"
    " scale of CMU-MOSI, 0.1 and 0.7 on that of CH-SIMS, else a sixth and a half of the scale",
    divide=_divide,
    place=2,
)
