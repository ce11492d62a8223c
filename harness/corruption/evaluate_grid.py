"""A trained system over a grid of conditions: one checkpoint, every cell.

Shapes: C conditions, n clips.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness._util import canonical
from harness._util.canonical import Json
from harness.corruption.corrupter import Corrupter
from harness.corruption.draws import VERSION
from harness.corruption.splits import split_under
from harness.data.corpus import STREAMS, Split
from harness.errors import RunFailed
from harness.spec.conditions import SEED, Condition, grid, told
from harness.system import Fitted, Params, System
from harness.system.diagnostics import columns

__all__ = ["GridAnswers", "answer_grid", "draws_digest", "obstacle"]

_REACHED = frozenset({"transcript", "tokens", "unimodal", *STREAMS})


@dataclass(frozen=True, kw_only=True, eq=False)
class GridAnswers:
    """What a system says under every condition but the clean one.

    Args:
        predictions: Columns ``id, split, condition, pred``.
        diagnostics: Columns ``id, split, condition`` and one for each value told; None for systems
            that tell nothing.
        record: Grid, number of cells, digest of the draws, for the manifest.
        cost: Seconds, for all cells and for one.
    """

    predictions: pd.DataFrame
    diagnostics: pd.DataFrame | None
    record: dict[str, Json]
    cost: dict[str, Json]


def obstacle(system: System, params: Params) -> str | None:
    """Why no condition can be put to a system; None when all can."""
    beyond = params.reads(system.inputs) - _REACHED
    if beyond:
        return f"reads {', '.join(sorted(beyond))}, made from clips that nothing had happened to"
    if system.supervision == "none":
        return "asks a model about clips; conditions change features, not media"
    return None


def answer_grid(
    fitted: Fitted, system: System, params: Params, split: Split, name: str
) -> GridAnswers:
    """Predict a split under every condition of a grid.

    Where a condition leaves nothing of any clip, the answer is the mean training label, whatever
    the system.

    Raises:
        RunFailed: When a prediction is not finite.
    """
    conditions = tuple(condition for condition in grid(name) if not condition.is_clean)
    asked = tuple(condition for condition in conditions if not condition.leaves_nothing)
    began = time.perf_counter()
    answers = dict(zip(asked, _predict(fitted, system, params, split, asked), strict=True))
    seconds = time.perf_counter() - began
    mean = np.full(len(split), split.corpus.split("train").labels.mean())
    values = [answers.get(condition, mean) for condition in conditions]
    return GridAnswers(
        predictions=_table(split, conditions, np.stack(values)),
        diagnostics=_diagnose(fitted, split, told(asked)),
        record={
            "grid": name,
            "cells": len(conditions) + 1,
            "draws": draws_digest(split, name),
            "train_mean": [c.name for c in conditions if c.leaves_nothing],
        },
        cost={"grid_seconds": seconds, "cell_seconds": seconds / max(1, len(asked))},
    )


def draws_digest(split: Split, name: str) -> str:
    """What identifies the draws that a split meets under a grid: equal for every system."""
    names = [condition.name for condition in grid(name)]
    payload = [VERSION, split.corpus.dataset.name, split.name, split.ids, SEED, names]
    return canonical.digest(payload)[:32]


def _predict(
    fitted: Fitted, system: System, params: Params, split: Split, conditions: Sequence[Condition]
) -> NDArray[np.float64]:
    """(C, n)."""
    if fitted.predict_under is not None:
        values = fitted.predict_under(split, conditions)
    else:
        reads, corrupter = params.reads(system.inputs), Corrupter(split)
        values = np.stack(
            [fitted.predict(split_under(split, c, corrupter, reads)) for c in conditions]
        )
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if broken.size:
        names = ", ".join(conditions[place].name for place in broken[:3])
        raise RunFailed(f"predictions are not finite under {broken.size} conditions: {names}")
    return values


def _table(
    split: Split, conditions: Sequence[Condition], values: NDArray[np.float64]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": np.tile(np.array(split.ids, dtype=object), len(conditions)),
            "split": split.name,
            "condition": np.repeat([c.name for c in conditions], len(split)),
            "pred": values.ravel(),
        }
    )


def _diagnose(fitted: Fitted, split: Split, conditions: Sequence[Condition]) -> pd.DataFrame | None:
    """One row per clip and condition."""
    if fitted.diagnose_under is None or not conditions:
        return None
    answers = fitted.diagnose_under(split, conditions)
    parts = [
        pd.DataFrame({"id": split.ids, "split": split.name, "condition": c.name, **columns(values)})
        for c, values in zip(conditions, answers, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)
