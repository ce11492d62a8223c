"""Rows in numbers: mean and spread over seeds, and the order of a board."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

import numpy as np

from harness.metrics import Metric
from leaderboards.model.board import Grid, Row

__all__ = ["Summary", "ordered", "summarise"]


@dataclass(frozen=True)
class Summary:
    """One quantity over the seeds of a row.

    Args:
        values: One per seed, NaN where undefined.

    Example:
        >>> Summary((0.5, 1.0, 1.5)).mean, Summary((0.5, 1.0, 1.5)).sd
        (1.0, 0.5)
    """

    values: tuple[float, ...]

    @property
    def undefined(self) -> int:
        """Number of seeds without a value."""
        return sum(map(math.isnan, self.values))

    @property
    def mean(self) -> float:
        """Mean over all seeds; NaN when any is undefined, for the others alone would flatter."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def sd(self) -> float:
        """Sample standard deviation (n - 1); NaN below two seeds or when any is undefined."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan


def summarise(row: Row, metric: Metric) -> Summary:
    """``metric`` over the committed seeds of ``row``."""
    return Summary(row.values(metric.name))


def ordered(grid: Grid) -> tuple[Row, ...]:
    """Constant predictors first, then rows by mean selection metric, rows without a run last.

    Rows of different tracks stay apart; equal means are ordered by label.
    """

    def place(row: Row) -> tuple[int, int, float, str]:
        group = 2 if not row.runs else 0 if row.reference else 1
        track = 0 if row.reference else grid.tracks.index(row.track)
        return group, track, grid.selection.cost(summarise(row, grid.selection).mean), row.label

    return tuple(sorted(grid.rows, key=place))
