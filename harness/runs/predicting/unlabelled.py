"""Clips without labels as a corpus that is never stored.

All of them are in one split, the one that a corpus is asked by for what it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.corpus import Corpus, Stream
from harness.data.datasets import datasets
from harness.data.store import fingerprint
from harness.runs.weights.card import ModelFacts

__all__ = ["SPLIT", "loaded", "without_labels"]

SPLIT = "train"


def without_labels(
    clips: pd.DataFrame,
    streams: Mapping[str, Stream],
    tokens: NDArray[np.int32] | None,
    model: ModelFacts,
    *,
    manifest: Mapping[str, Any] | None = None,
) -> Corpus:
    """The corpus of some clips.

    Args:
        clips: ``id`` and what else is known of each; a text that is missing is empty.
        streams: (N, T, D) each.
        tokens: (N, 3, L), or None.
        model: Of the network that is to read them; says the dataset, whose labels it predicts.
        manifest: How they came about.
    """
    ids = clips["id"]
    whole = pd.DataFrame(
        {
            "id": ids,
            "video": ids,
            "clip": "",
            "split": SPLIT,
            "text": clips.get("text", ""),
            "label": math.nan,
        }
    )
    others = [name for name in clips if name not in whole]
    table = whole.assign(**{str(name): clips[name] for name in others}).reset_index(drop=True)
    return Corpus(
        name=f"{model.dataset}@{model.feature_set}",
        dataset=datasets[model.dataset],
        fingerprint=fingerprint(table, streams, tokens),
        clips=table,
        streams=dict(streams),
        tokens=tokens,
        manifest=manifest or {},
    )


def loaded(stream: Stream) -> Stream:
    """The stream in memory, wherever its file goes."""
    return Stream(np.array(stream.values), np.array(stream.lengths))
