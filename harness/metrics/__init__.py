"""Metrics: canonical definitions, every named repository's convention, comparison of values.

>>> scores = score([1.4, -0.2, -2.0], [1.0, 0.0, -2.0], "mosi")
>>> round(scores["mae"], 3), scores["acc2_has0"]
(0.2, 0.6666666666666666)
"""

from harness.metrics.base import (
    Metric,
    Score,
    Values,
    best_index,
    better,
    metrics,
    metrics_for,
    prepare,
    score,
)
from harness.metrics.conventions import CONVENTIONS, Convention, score_conventions

__all__ = [
    "CONVENTIONS",
    "Convention",
    "Metric",
    "Score",
    "Values",
    "affine",
    "best_index",
    "better",
    "classification",
    "conventions",
    "metrics",
    "metrics_for",
    "mmdg_bench",
    "prepare",
    "regression",
    "score",
    "score_conventions",
    "sums",
    "transfer",
]
