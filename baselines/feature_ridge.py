"""Time-averaged feature streams and a ridge: what the features know linearly, stream by stream.

Shapes: n clips of a split, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.data.corpus import STREAMS, Split
from harness.errors import SpecError
from harness.system import Card, Fitted, System, Task, param
from harness.system.ridge import RidgeParams, fit_ridge, standardised

__all__ = ["FEATURE_RIDGE", "FeatureRidgeParams"]

_SUBSETS = tuple("+".join(names) for size in (3, 2, 1) for names in combinations(STREAMS, size))


@dataclass(frozen=True, kw_only=True)
class FeatureRidgeParams(RidgeParams):
    """Which streams are read besides the strengths."""

    streams: str = param(_SUBSETS[0], choices=_SUBSETS, source="ours: every stream")

    def reads(self, inputs: frozenset[str]) -> frozenset[str]:
        """The named streams."""
        return inputs & set(self.streams.split("+"))


def fit(task: Task, params: FeatureRidgeParams) -> Fitted:
    """Average over time, join the streams, standardise on train, fit the ridge.

    Raises:
        SpecError: When the corpus lacks one of the named streams.
    """
    names = params.streams.split("+")

    def features(split: Split) -> NDArray[np.float64]:
        return np.hstack([_time_mean(split, name) for name in names])  # (n, all D)

    return fit_ridge(task, params, standardised(features, task.train))


def _time_mean(split: Split, name: str) -> NDArray[np.float64]:
    """(n, D) mean over each clip's true frames; padding is zero and adds nothing to the sum."""
    stream = split.stream(name)
    if stream is None:
        present = "+".join(split.corpus.streams) or "no stream at all"
        raise SpecError(
            f"feature_ridge should read {name}, corpus {split.corpus.name} has {present}",
            hint="name the streams it has: streams = ...",
        )
    total: NDArray[np.float64] = stream.values.sum(axis=1, dtype=np.float64)  # (n, D)
    return total / stream.lengths[:, None]


FEATURE_RIDGE = System(
    name="feature_ridge",
    card=Card(
        title="Mean features + ridge",
        paper="linear anchor, no paper",
        year=None,
        text="T-feat",
    ),
    params=FeatureRidgeParams,
    inputs=frozenset(STREAMS),
    deterministic=True,
    fit=fit,
)
