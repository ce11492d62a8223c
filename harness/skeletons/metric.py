"""A skeleton: the share of clips whose error is at most half a unit.

    msa check metric skeleton
    msa score predictions.csv --dataset mosi

Shapes: N clips.
"""

from __future__ import annotations

import numpy as np

from harness.metrics import Metric, Values

__all__ = ["SKELETON"]


def score(pred: Values, truth: Values) -> float:
    """The value for (N,) predictions and (N,) labels, both finite; NaN where it is undefined.

    Predictions come as they are. What has edges or signs passes them through ``six_decimals`` of
    ``harness.metrics.base`` first.
    """
    return float((np.abs(pred - truth) <= 0.5).mean())


SKELETON = Metric(
    name="skeleton",
    title="A skeleton",  # the heading of its column
    definition="share of clips with |p - y| <= 0.5",
    otherwise=score,  # on every dataset; functions={"sims": other} where a family has its own
    higher_is_better=True,
    low=0.0,
    high=1.0,
    undefined="never",  # else: when it is NaN
    source="ours",
    primary=False,  # True: a column of every table
    percent=True,  # whether it is printed times 100
    # place=15 puts it among the others. harness.metrics.sums makes its bootstrap fast.
)
