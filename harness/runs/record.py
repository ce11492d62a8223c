"""What carrying out one cell yields: the data that crosses from a worker to the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from harness._util.canonical import Json
from harness.runs.manifest import Manifest
from harness.runs.weights.placing import KeptWeights

__all__ = ["RunRecord"]


@dataclass(frozen=True, eq=False, kw_only=True)
class RunRecord:
    """What a worker returns and the driver commits.

    Args:
        key: The run's identity.
        manifest: Spec, result, provenance and cost.
        predictions: Columns ``id, split, condition, variant, pred`` (float64).
        history: One mapping per epoch.
        curves: Split -> table of one float32 column per epoch, rows in the order of the split.
        diagnostics: Columns ``id, split``, under a grid ``condition``, and one float32 column per
            diagnostic; None for systems without any.
        answers: Answers of a zero-shot model, one row per question; None otherwise.
        weights: Those selected, where they are kept.
    """

    key: str
    manifest: Manifest
    predictions: pd.DataFrame
    history: tuple[Mapping[str, Json], ...] = ()
    curves: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    diagnostics: pd.DataFrame | None = None
    answers: pd.DataFrame | None = None
    weights: KeptWeights | None = None
