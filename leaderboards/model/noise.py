"""How far a score moves when the same weights see the same clips once more."""

from __future__ import annotations

import numpy as np

from harness.metrics import Metric
from leaderboards.model.board import Row

__all__ = ["evaluation_noise", "passes_of"]


def passes_of(row: Row) -> int:
    """Passes over the test clips that each run of a row has; 1 where one is as good as many."""
    return 1 + min((len(run.passes) for run in row.runs), default=0)


def evaluation_noise(row: Row, metric: Metric) -> float:
    """Sample standard deviation of a metric between passes, pooled over the runs of a row.

    Returns:
        NaN for a row with one pass, and where the metric is undefined in any.
    """
    if passes_of(row) < 2:
        return float("nan")
    each = [[scores[metric.name] for scores in (run.scores, *run.passes)] for run in row.runs]
    return float(np.sqrt(np.mean([np.var(values, ddof=1) for values in each])))
