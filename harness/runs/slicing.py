"""Where what slices need of clips comes from: the label file, or a corpus that has these clips.

Shapes: N clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.corpus import Corpus
from harness.data.datasets import Dataset
from harness.data.known_labels import find_source
from harness.data.slicing import slices_of
from harness.data.split_labels import SplitLabels
from harness.data.store import CorpusStore
from harness.errors import SubmissionError

__all__ = ["members"]


def members(
    truth: SplitLabels,
    dataset: Dataset,
    split: str,
    store: CorpusStore,
    *,
    file: Path | None = None,
    corpus: str | None = None,
) -> Mapping[tuple[str, str], NDArray[np.bool_]]:
    """Which clips are in which slice.

    Args:
        truth: The N clips.
        dataset: The dataset that they are of.
        split: The split that they are of.
        store: The corpora at hand.
        file: A label file that was asked for.
        corpus: A stored corpus that was asked for.

    Returns:
        (slicing, part) -> (N,) the clips in it; slices without any of them are absent. Parts that
        are a share of a split, such as thirds, are those of the whole split.

    Raises:
        SubmissionError: When nothing at hand knows these clips.
        DataError: For a file or corpus that cannot be read.
    """
    for found in _sources(dataset, split, store, file=file, corpus=corpus):
        if _has(found, split, truth):
            masks = {
                (one.slicing, one.part): np.isin(truth.ids, one.ids)
                for one in slices_of(found, split)
            }
            return {name: inside for name, inside in masks.items() if inside.any()}
    raise SubmissionError(
        "no stored corpus has these clips with their labels, so nothing tells their slices",
        hint=f"msa data add LABEL.CSV --dataset {dataset.name}, or --labels LABEL.CSV",
    )


def _sources(
    dataset: Dataset, split: str, store: CorpusStore, *, file: Path | None, corpus: str | None
) -> Iterator[Corpus]:
    if file is not None or corpus is not None:
        asked = find_source(dataset, split, store, file=file, corpus=corpus)
        if asked is not None:
            yield asked.corpus
        return
    for name in store.names():
        if (found := store.load(name)).dataset is dataset:
            yield found


def _has(corpus: Corpus, split: str, truth: SplitLabels) -> bool:
    """Whether all clips are there, labelled as they are."""
    own = SplitLabels.of_table(corpus.clips, corpus.dataset, split).by_id
    return all(own.get(clip) == label for clip, label in truth.by_id.items())
