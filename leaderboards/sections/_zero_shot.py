"""Zero-shot models as data: which one, outcomes of its questions, scores under every policy.

Shapes: N test clips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness._util.canonical import Json
from harness.metrics import score
from harness.spec import PredictionCell
from leaderboards.model import Grid, Row, Run

__all__ = ["facts_of", "fields", "policies", "zero_shot_runs"]


def zero_shot_runs(grid: Grid) -> Iterator[tuple[Row, Run]]:
    """Runs of zero-shot models, with their rows, in the order of the grid."""
    for row in grid.rows:
        for run in row.runs:
            if run.facts is not None and run.facts.zero_shot:
                yield row, run


def facts_of(run: Run) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What the manifest says of the model, and of the questions about test clips."""
    assert run.facts is not None
    return run.facts.zero_shot, run.facts.zero_shot["splits"]["test"]


def policies(grid: Grid, run: Run) -> dict[PredictionCell, dict[str, float]]:
    """Other policy, calibrated or one prompt -> the primary metrics of such predictions."""
    return {cell: _score(grid, pred) for cell, pred in run.variants.items()}


def _score(grid: Grid, pred: NDArray[np.float64]) -> dict[str, float]:
    """Every metric on the clips that have a prediction; NaN where none has."""
    there = np.isfinite(pred)
    if not there.any():
        shown = grid.metrics
        return dict.fromkeys((metric.name for metric in shown), math.nan)
    return score(pred[there], grid.truth.labels[there], grid.corpus.dataset)


def fields(grid: Grid, row: Row) -> dict[str, Json]:
    """The same as data, unrounded; nothing for other rows."""
    found = [run for other, run in zero_shot_runs(grid) if other is row]
    if not found:
        return {}
    facts, _ = facts_of(found[0])
    scored: dict[str, Json] = {
        cell.variant: {metric: v if math.isfinite(v) else None for metric, v in values.items()}
        for cell, values in policies(grid, found[0]).items()
    }
    return {"zero_shot": {**facts, "policies": scored}}
