"""Rows in numbers: mean and spread over seeds, the order of a board, and its unrounded records."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

import numpy as np

from harness._util.canonical import Json
from harness.metrics import Metric, metrics_for
from leaderboards.asked import record as asked_record
from leaderboards.board import Board, Grid, Row

__all__ = ["Summary", "ordered", "records", "summarise"]


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

    Rows of different strata stay apart; equal means are ordered by label.
    """

    def place(row: Row) -> tuple[int, int, float, str]:
        group = 2 if not row.runs else 0 if row.reference else 1
        stratum = 0 if row.reference else grid.strata.index(row.stratum)
        return group, stratum, grid.selection.cost(summarise(row, grid.selection).mean), row.label

    return tuple(sorted(grid.rows, key=place))


def records(board: Board) -> list[dict[str, Json]]:
    """One record per row in board order, numbers unrounded, None where undefined."""
    return [_record(board, grid, row) for grid in board.grids for row in ordered(grid)]


def _record(board: Board, grid: Grid, row: Row) -> dict[str, Json]:
    return {
        "corpus": grid.corpus.name,
        "data": grid.corpus.data,
        "twin": grid.corpus.twin,
        "protocol": board.protocol["digest"],
        "row": row.label,
        "system": row.system,
        "reference": row.reference,
        "deterministic": row.deterministic,
        "inputs": list(row.inputs),
        "side_info": row.side_info,
        "knowledge": row.knowledge,
        "supervision": row.supervision,
        "n": len(row.runs),
        "N": row.planned,
        "seeds": [run.seed for run in row.runs],
        "runs": [run.key for run in row.runs],
        "holes": [
            {"seed": hole.seed, "state": hole.state, "reason": hole.reason} for hole in row.holes
        ],
        "metrics": {m.name: _metric(summarise(row, m)) for m in metrics_for(grid.corpus.dataset)},
        **asked_record(grid, row),
    }


def _metric(summary: Summary) -> dict[str, Json]:
    return {
        "mean": _or_none(summary.mean),
        "sd": _or_none(summary.sd),
        "values": [_or_none(value) for value in summary.values],
    }


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
