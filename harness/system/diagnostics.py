"""Diagnostics of clips - gates, routing, quality scores - summed up by sentiment."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["MIXED", "MIXED_LAW", "SENTIMENTS", "by_sentiment", "columns", "swapped"]

SENTIMENTS = ("negative", "neutral", "positive")

MIXED, MIXED_LAW = "mixed", "spectrum"
"""Condition under which predictions are stored where every clip went through its own drawing of
that law of ``harness.spec.laws``."""


def swapped(condition: str) -> str:
    """The name of predictions under a condition whose clips swapped what a network judged of them.

    ``harness.spec.PredictionCell.named`` takes it apart into condition and variant.
    """
    return f"{condition}, judgements swapped"


def by_sentiment(told: pd.DataFrame, labels: pd.Series) -> dict[str, dict[str, float]]:
    """Mean of each column over all clips and over those of each sign of the label.

    Args:
        told: One row per clip, indexed by id, one column per value.
        labels: Clip id -> label; a label of 0 is neutral.

    Returns:
        Column -> ``all``, ``negative``, ``neutral``, ``positive`` -> mean; no entry for a sentiment
        that no clip has.

    Example:
        >>> told = pd.DataFrame({"gate": [0.0, 1.0, 0.5]}, index=["a", "b", "c"])
        >>> by_sentiment(told, pd.Series([-1.0, 2.0, 1.0], index=["a", "b", "c"]))
        {'gate': {'all': 0.5, 'negative': 0.0, 'positive': 0.75}}
    """
    sign = np.sign(labels.loc[told.index].to_numpy())
    groups = {"all": np.ones(len(told), dtype=bool)}
    groups |= {name: sign == value for value, name in enumerate(SENTIMENTS, start=-1)}
    return {
        str(column): {
            name: float(values.to_numpy(np.float64)[rows].mean())
            for name, rows in groups.items()
            if rows.any()
        }
        for column, values in told.items()
    }


def columns(told: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Values (n,) or (n, K) by name as columns (n,), those of a wide one numbered.

    Example:
        >>> list(columns({"quality": np.zeros(4), "load": np.zeros((4, 2))}))
        ['quality', 'load_0', 'load_1']
    """
    return {
        name if values.ndim == 1 else f"{name}_{place}": column
        for name, values in told.items()
        for place, column in enumerate(values.reshape(len(values), -1).T)
    }
