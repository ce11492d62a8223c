"""Where commands that take prediction files find the labels to score against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import SubmissionError

if TYPE_CHECKING:
    import pandas as pd

    from harness.data.corpus import Corpus
    from harness.data.datasets import Dataset

__all__ = ["Labels", "LabelsOption", "SplitOption", "find_labels", "official_corpus"]

LabelsOption = Annotated[
    Path | None,
    typer.Option(help="An MMSA label.csv; default: a stored corpus, else the file's own labels."),
]
SplitOption = Annotated[str, typer.Option(help="train, valid or test.")]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels of one split.

    Args:
        truth: Clip id -> label.
        videos: Clip id -> source video.
        origin: Where the labels came from.
        videos_origin: Where the source videos came from.
    """

    truth: Mapping[str, float]
    videos: Mapping[str, str]
    origin: str
    videos_origin: str


def find_labels(table: pd.DataFrame, dataset: Dataset, labels: Path | None, split: str) -> Labels:
    """Labels from a file, else from a stored corpus, else from the predictions themselves.

    Args:
        table: Predictions as read, used for their own ``label`` column as a last resort.
        dataset: The dataset they are of.
        labels: A label file, None to look for stored labels.
        split: train, valid or test.

    Raises:
        SubmissionError: When there are no labels anywhere.
    """
    from harness.data import label_csv

    if labels is not None:
        clips = label_csv.read(labels, dataset).clips
        return of_clips(clips[clips["split"] == split], labels.name)
    stored = _stored(dataset, split)
    if stored is not None:
        return stored
    if "label" in table:
        unique = table.drop_duplicates("id")
        own = dict(zip(unique["id"], unique["label"].round(6), strict=True))
        return Labels(
            truth=own,
            videos=_videos_by_id(own),
            origin="the file's own label column (unverified)",
            videos_origin="the part of the clip id before the last underscore",
        )
    raise SubmissionError(
        f"no labels of {dataset.name} at hand to score against",
        hint=f"msa data add LABEL.CSV --dataset {dataset.name}, or --labels LABEL.CSV",
    )


def _stored(dataset: Dataset, split: str) -> Labels | None:
    corpus = official_corpus(dataset)
    return None if corpus is None else of_clips(corpus.split(split).clips, corpus.name)


def official_corpus(dataset: Dataset) -> Corpus | None:
    """The first stored corpus that is the whole dataset in its official split, None without one."""
    from harness.data.store import CorpusStore
    from harness.home import Home

    store = CorpusStore(Home.default().corpora)
    official = {name: counts.clips for name, counts in dataset.splits.items()}
    for name in store.names():
        if name.partition("@")[0] == dataset.name:
            corpus = store.load(name)
            if {key: len(part) for key, part in corpus.splits.items()} == official:
                return corpus
    return None


def of_clips(clips: pd.DataFrame, origin: str) -> Labels:
    """Labels of a table with columns ``id, video, label``."""
    return Labels(
        truth=dict(zip(clips["id"], clips["label"].round(6), strict=True)),
        videos=dict(zip(clips["id"], clips["video"], strict=True)),
        origin=origin,
        videos_origin=origin,
    )


def _videos_by_id(ids: Iterable[str]) -> dict[str, str]:
    return {clip: clip.rpartition("_")[0] or clip for clip in ids}
