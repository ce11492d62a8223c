"""Submissions that leave out clips, ranked with all others on the clips that all of them predict.

Such a table is one of its own: its scores are of other clips than those of the whole split.

Shapes: N test clips, K of them common.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.metrics import score
from leaderboards.model.board import Grid, Row, Run, parts
from leaderboards.model.memo import once

__all__ = ["on_common_clips"]

_LEAST = 0.5  # share of the test clips below which a table would say little of the split


@once
def on_common_clips(grid: Grid) -> Grid | None:
    """The grid on the clips that its rows and the partial submissions all predict.

    Submissions are taken up that keep the protocol and are apart for the clips they leave out
    alone, those with the most clips first, as long as half of the clips are common to all.

    Returns:
        None where there is no such submission.
    """
    plain, places = parts(grid)[0], frozenset(range(len(grid.truth)))
    taken: list[Row] = []
    for row in sorted(_partial(grid), key=lambda row: (-(row.clips or 0), row.label)):
        left = places & _predicted(row)
        if len(left) >= _LEAST * len(grid.truth):
            places = left
            taken.append(dataclasses.replace(row, outside=""))
    if not taken:
        return None
    common = np.array(sorted(places), dtype=np.intp)
    truth = grid.truth.only(grid.truth.ids[place] for place in common)
    small = dataclasses.replace(grid, truth=truth, submissions=(), whole=None, under=None)
    return dataclasses.replace(
        small, rows=tuple(_restricted(row, common, small) for row in (*plain.rows, *taken))
    )


def _partial(grid: Grid) -> Sequence[Row]:
    return [
        row for row in grid.submissions if row.partial and row.track == parts(grid)[0].tracks[0]
    ]


def _predicted(row: Row) -> frozenset[int]:
    """The places of the clips that every run predicts."""
    there = np.isfinite(np.stack([run.pred for run in row.runs])).all(axis=0)
    return frozenset(np.flatnonzero(there).tolist())


def _restricted(row: Row, common: NDArray[np.intp], small: Grid) -> Row:
    return dataclasses.replace(row, runs=tuple(_run(run, common, small) for run in row.runs))


def _run(run: Run, common: NDArray[np.intp], small: Grid) -> Run:
    pred, truth = run.pred[common], small.truth
    scores = score(pred, truth.labels, truth.dataset, secondary=True)
    return dataclasses.replace(run, pred=pred, scores=scores, variants={}, passes=())
