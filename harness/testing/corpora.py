"""Small corpora with a signal that every modality carries.

Shapes: n clips, T frames, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.corpus import EXPLANATIONS, Corpus, Stream
from harness.data.datasets import datasets
from harness.data.store import CorpusStore, Draft

__all__ = ["CLIPS", "STREAMS", "small_corpus", "small_draft"]

CLIPS: Final[Mapping[str, int]] = MappingProxyType({"train": 24, "valid": 10, "test": 12})
"""Clips per split."""

STREAMS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"text": (6, 12), "audio": (11, 5), "vision": (8, 4)}
)
"""Longest clip in frames, features."""

_WORDS = {
    "en": (["awful", "weak", "boring"], ["lovely", "strong", "great"], ["the", "film", "is"], " "),
    "zh": (["坏", "差", "糟"], ["好", "美", "棒"], ["这", "片", "子"], ""),
}


def small_corpus(
    folder: Path,
    dataset: str = "mosi",
    *,
    streams: Mapping[str, tuple[int, int]] = STREAMS,
    clips: Mapping[str, int] = CLIPS,
    seed: int = 0,
) -> Corpus:
    """A stored corpus of a dataset's language and label scale, ``<dataset>@small``.

    Three clips share a source video. Lengths are ragged. Explanations are there, and uni-modal
    labels where the dataset has them.

    Args:
        folder: A folder of corpora; one that holds another ``<dataset>@small`` is refused.
        dataset: Registered name.
        streams: Stream -> (longest clip in frames, features).
        clips: Split -> clips.
        seed: Of everything drawn.

    Raises:
        SpecError: For an unknown dataset.
    """
    draft = small_draft(dataset, streams=streams, clips=clips, seed=seed)
    return CorpusStore(folder).add(draft)


def small_draft(
    dataset: str = "mosi",
    *,
    streams: Mapping[str, tuple[int, int]] = STREAMS,
    clips: Mapping[str, int] = CLIPS,
    seed: int = 0,
) -> Draft:
    """The same, not yet stored: what a reader of files would hand over.

    Raises:
        SpecError: For an unknown dataset.
    """
    rng, known = np.random.default_rng(seed), datasets[dataset]
    splits = [split for split, count in clips.items() for _ in range(count)]
    truth = rng.uniform(-1, 1, len(splits))
    words = _WORDS[known.language]
    table = pd.DataFrame(
        {
            "id": [f"v{i // 3}_{i}" for i in range(len(splits))],
            "video": [f"v{i // 3}" for i in range(len(splits))],
            "clip": [str(i) for i in range(len(splits))],
            "split": splits,
            "text": [_sentence(value, *words, rng) for value in truth],
            "label": truth * known.high,
            **{name: [_sentence(value, *words, rng) for value in truth] for name in EXPLANATIONS},
        }
    )
    if known.unimodal_labels:
        for modality in "TAV":
            table[f"label_{modality}"] = np.clip(truth + rng.normal(0, 0.1, len(truth)), -1, 1)
    made = {name: _stream(truth, *shape, rng) for name, shape in streams.items()}
    return Draft(name=f"{dataset}@small", clips=table, streams=made, manifest={})


def _stream(truth: NDArray[np.float64], frames: int, dim: int, rng: np.random.Generator) -> Stream:
    """Frames are noise around the truth times a direction; lengths are ragged."""
    lengths = rng.integers(1, frames + 1, len(truth))
    values = rng.normal(0, 0.3, (len(truth), frames, dim))  # (n, T, D)
    values += truth[:, None, None] * rng.normal(0, 1, dim)
    values[np.arange(frames) >= lengths[:, None]] = 0
    return Stream(values.astype(np.float32), lengths)


def _sentence(
    value: float,
    low: Sequence[str],
    high: Sequence[str],
    neutral: Sequence[str],
    joint: str,
    rng: np.random.Generator,
) -> str:
    count = rng.integers(1, 5)
    mood = high if value > 0 else low
    words = [str(rng.choice(mood if rng.random() < 0.6 else neutral)) for _ in range(count)]
    return joint.join([str(rng.choice(mood)), *words])
