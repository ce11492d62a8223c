"""The labels of one split: what every score, comparison and board is computed against.

Shapes: N clips of the split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.datasets import Dataset
from harness.data.rounding import rounded

__all__ = ["SplitLabels"]


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitLabels:
    """The labels of one split, a clip per place.

    Args:
        dataset: Whose metrics and label range apply.
        split: train, valid or test.
        ids: N clip ids, each once.
        videos: (N,) source video of each clip.
        labels: (N,) float64 labels, to six decimals.

    Example:
        >>> from harness.data.datasets import datasets
        >>> labels, videos = {"v_1": 0.6666667, "v_2": -1.0}, {"v_1": "v", "v_2": "v"}
        >>> truth = SplitLabels.of_clips(labels, videos, datasets["mosi"], "test")
        >>> len(truth), truth.by_id, truth.only(["v_2"]).labels.tolist()
        (2, {'v_1': 0.666667, 'v_2': -1.0}, [-1.0])
    """

    dataset: Dataset
    split: str
    ids: tuple[str, ...]
    videos: NDArray[np.str_]
    labels: NDArray[np.float64]

    @classmethod
    def of_table(cls, clips: pd.DataFrame, dataset: Dataset, split: str) -> SplitLabels:
        """The clips of a split among all clips of a corpus, a label file or a run store.

        Args:
            clips: Columns ``id, video, split, label``.
            dataset: The dataset they are of.
            split: Which split.
        """
        here = clips[clips["split"] == split]
        return cls(
            dataset=dataset,
            split=split,
            ids=tuple(here["id"]),
            videos=here["video"].to_numpy(dtype=str),
            labels=rounded(here["label"].to_numpy(dtype=np.float64)),
        )

    @classmethod
    def of_clips(
        cls, labels: Mapping[str, float], videos: Mapping[str, str], dataset: Dataset, split: str
    ) -> SplitLabels:
        """From a label and a source video per clip id.

        Args:
            labels: Clip id -> label; their order counts.
            videos: Clip id -> source video, of these clips at least.
            dataset: The dataset they are of.
            split: Which split.
        """
        return cls(
            dataset=dataset,
            split=split,
            ids=tuple(labels),
            videos=np.array([videos[clip] for clip in labels], dtype=str),
            labels=rounded(list(labels.values())),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def by_id(self) -> Mapping[str, float]:
        """Clip id -> label, in their order."""
        return dict(zip(self.ids, self.labels.tolist(), strict=True))

    @cached_property
    def video_of(self) -> Mapping[str, str]:
        """Clip id -> source video, in their order."""
        return dict(zip(self.ids, self.videos.tolist(), strict=True))

    def only(self, ids: Iterable[str]) -> SplitLabels:
        """The labels of some of these clips, in the order given.

        Raises:
            KeyError: For a clip that has no label here.
        """
        at = {clip: place for place, clip in enumerate(self.ids)}
        places = np.array([at[clip] for clip in ids], dtype=np.intp)
        return SplitLabels(
            dataset=self.dataset,
            split=self.split,
            ids=tuple(self.ids[place] for place in places),
            videos=self.videos[places],
            labels=self.labels[places],
        )
