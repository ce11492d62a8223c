"""A corpus: one dataset in one feature set, memory-mapped, with a content fingerprint.

Arrays hold all clips, ordered train, valid, test, so that a split is a contiguous view.

Shapes: N clips of the corpus, T frames (padded), D features, L tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness._util.canonical import Json
from harness.data.datasets import SPLITS, Dataset, datasets
from harness.errors import DataError

__all__ = ["EXPLANATIONS", "LABELS", "STREAMS", "Corpus", "Split", "Stream"]

STREAMS = ("text", "audio", "vision")
"""Feature streams. ``text`` is frozen encoder output; transcripts are ``clips["text"]``."""

LABELS = ("label", "label_T", "label_A", "label_V")
"""The clip's label, and its label from text, audio and vision alone where the dataset has them."""

EXPLANATIONS = ("audio_clue", "visual_clue", "summary")
"""Columns of ``clips`` that hold texts written about a clip (side information)."""


@dataclass(frozen=True, eq=False)
class Stream:
    """One feature stream, zero-padded at the end.

    Args:
        values: (N, T, D) float32, finite, memory-mapped; zero from ``lengths`` on.
        lengths: (N,) int64, frames that carry signal, 1 to T.
    """

    values: NDArray[np.float32]
    lengths: NDArray[np.int64]

    @property
    def frames(self) -> int:
        """T, the padded number of frames (some published models divide by it)."""
        return int(self.values.shape[1])

    @property
    def dim(self) -> int:
        """D, features per frame."""
        return int(self.values.shape[2])

    def __getitem__(self, rows: slice) -> Stream:
        return Stream(self.values[rows], self.lengths[rows])


@dataclass(frozen=True, eq=False)
class Corpus:
    """A dataset in one feature set, as stored.

    Args:
        name: ``dataset@feature-set``, ``dataset-twin@feature-set`` for synthetic data.
        dataset: The dataset it is (for a twin: the dataset it imitates).
        fingerprint: SHA-256 over every array and column.
        clips: One row per clip: ``id, video, clip, split, text, label`` (text but for the label),
            then label_T/A/V, explanations and any other published column.
        streams: Present feature streams by name; a corpus may have none.
        tokens: (N, 3, L) int32 published ids, mask, segments, or None.
        manifest: What the reader recorded: source file, cleaning, twin ceilings.
    """

    name: str
    dataset: Dataset
    fingerprint: str
    clips: pd.DataFrame
    streams: Mapping[str, Stream]
    tokens: NDArray[np.int32] | None
    manifest: Mapping[str, Json]

    @property
    def feature_set(self) -> str:
        """The part of the name after ``@``."""
        return self.name.partition("@")[2]

    @property
    def is_twin(self) -> bool:
        """Whether the data is synthetic."""
        return self.name.partition("@")[0].endswith("-twin")

    @cached_property
    def splits(self) -> Mapping[str, Split]:
        """The splits by name."""
        return {name: self.split(name) for name in SPLITS}

    @property
    def differs_from_official(self) -> str | None:
        """What the sizes of its splits have other than the official ones, None where nothing.

        Boards compare the same sizes. Twins imitate a dataset at their own scale: None. Sizes that
        are another dataset's are said to be.

        Example: ``1 of 1,284 train, 1 of 229 valid and 2 of 686 test clips``.
        """
        if self.is_twin:
            return None
        found = {name: len(part) for name, part in self.splits.items()}
        wrong = [
            f"{found[name]:,} {'of' if found[name] <= size else 'instead of'} {size:,} {name}"
            for name, size in self.dataset.sizes.items()
            if found[name] != size
        ]
        if not wrong:
            return None
        others = [f", as in {known.title}" for known in datasets.values() if known.sizes == found]
        return f"{_joined(wrong)} clips{''.join(others)}"

    def split(self, name: str) -> Split:
        """The clips of one split, in storage order.

        Raises:
            DataError: For a name that is not a split.
        """
        if name not in SPLITS:
            raise DataError(f"splits are {', '.join(SPLITS)}; found {name!r}")
        rows = np.flatnonzero((self.clips["split"] == name).to_numpy())
        start = int(rows[0]) if rows.size else 0
        return Split(self, name, slice(start, start + len(rows)))


@dataclass(frozen=True, eq=False)
class Split:
    """A contiguous view of a corpus."""

    corpus: Corpus
    name: str
    rows: slice

    def __len__(self) -> int:
        start, stop = self.rows.start, self.rows.stop
        return int(stop - start)

    @cached_property
    def clips(self) -> pd.DataFrame:
        """The split's rows of ``corpus.clips``, index 0 to len - 1."""
        return self.corpus.clips.iloc[self.rows].reset_index(drop=True)

    @property
    def ids(self) -> list[str]:
        """Clip ids."""
        return self.clips["id"].tolist()

    @property
    def texts(self) -> list[str]:
        """Transcripts."""
        return self.clips["text"].tolist()

    @property
    def labels(self) -> NDArray[np.float64]:
        """(n,) float64 labels, rounded to 6 decimals when the corpus was stored."""
        return self.clips["label"].to_numpy(dtype=np.float64)

    def stream(self, name: str) -> Stream | None:
        """The split's part of one stream, None where the corpus lacks it."""
        whole = self.corpus.streams.get(name)
        return None if whole is None else whole[self.rows]

    @property
    def tokens(self) -> NDArray[np.int32] | None:
        """(n, 3, L) published ids, mask, segments, or None."""
        return None if self.corpus.tokens is None else self.corpus.tokens[self.rows]


def _joined(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
