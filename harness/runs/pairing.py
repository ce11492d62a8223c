"""Two systems' predictions brought to the same clips and labels, saying what that leaves out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.datasets import Dataset
from harness.data.known_labels import KnownLabels, find_labels, own_labels, verified
from harness.data.labels import OwnLabels, contradiction
from harness.data.readers.predictions import refuse_misspelt
from harness.data.split_labels import SplitLabels
from harness.data.store import CorpusStore
from harness.errors import SpecError, SubmissionError
from harness.runs.contenders import Contender

__all__ = ["Side", "common", "dataset_of", "labels_of", "matrix"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one system's predictions do not share with the labels.

    Args:
        missing: Labelled clips that one of its runs lacks, in the order of the labels.
        extra: Clips that it predicts and that carry no label.
    """

    missing: list[str]
    extra: list[str]


def dataset_of(contenders: Sequence[Contender]) -> Dataset:
    """The one dataset that both systems predict."""
    named = [found.dataset for found in contenders if found.dataset is not None]
    if not named:
        raise SpecError("files do not say which dataset they predict", hint="add --dataset")
    if any(dataset is not named[0] for dataset in named):
        titles = " and ".join(dataset.title for dataset in named)
        raise SubmissionError(f"systems are compared on one dataset, found {titles}")
    return named[0]


def labels_of(
    contenders: Sequence[Contender],
    dataset: Dataset,
    split: str,
    store: CorpusStore,
    *,
    file: Path | None,
    corpus: str | None,
) -> KnownLabels:
    """Labels that were asked for, else those the stored systems were run on, else as for files."""
    own = [one for found in contenders for one in own_labels(found.predictions, found.name)]
    stored = [found.labels for found in contenders if found.labels is not None]
    if file is None and corpus is None and stored:
        return verified(_run_on(stored), own)
    chosen = find_labels(own, dataset, split, store, file=file, corpus=corpus)
    run_on = [OwnLabels(source=f"the runs on {s.origin}", labels=s.truth.by_id) for s in stored]
    return verified(chosen, run_on)


def _run_on(stored: Sequence[KnownLabels]) -> KnownLabels:
    """The labels that stored systems were run on: all that one of them has."""
    first = stored[0]
    for other in stored[1:]:
        clash = contradiction(
            *(other.truth.by_id, first.truth.by_id), source=other.origin, against=first.origin
        )
        if clash is not None:
            raise SubmissionError(
                f"the two systems were run on different labels: {clash.text}",
                hint="--labels LABEL.CSV says which are right",
            )
        first = dataclasses.replace(
            first,
            truth=_joined(other.truth, first.truth),
            origin=first.origin if other.origin == first.origin else "those of both suites' runs",
        )
    return first


def _joined(a: SplitLabels, b: SplitLabels) -> SplitLabels:
    """The clips of both; where both have one, with the label and video of ``b``."""
    labels, videos = {**a.by_id, **b.by_id}, {**a.video_of, **b.video_of}
    return SplitLabels.of_clips(labels, videos, b.dataset, b.split)


def _runs(table: pd.DataFrame) -> list[pd.Series[float]]:
    """Predictions by clip id, one series per run."""
    parts = [part for _, part in table.groupby("seed")] if "seed" in table else [table]
    return [part.set_index("id")["pred"] for part in parts]


def common(contenders: Sequence[Contender], found: KnownLabels) -> tuple[list[str], list[Side]]:
    """Labelled clips that every run of both systems predicts, and what each system's lack."""
    sides = [_side(contender, found) for contender in contenders]
    lacking = {clip for side in sides for clip in side.missing}
    shared = [clip for clip in found.truth.ids if clip not in lacking]
    if not shared:
        raise SubmissionError(
            "no labelled clip is predicted by every run of both systems",
            hint="ids are video and clip joined by an underscore; check --dataset and --split",
        )
    return shared, sides


def _side(contender: Contender, found: KnownLabels) -> Side:
    runs = [set(run.index) for run in _runs(contender.predictions)]
    predicted = list(dict.fromkeys(contender.predictions["id"]))
    refuse_misspelt(predicted, found.truth.ids, contender.name)
    return Side(
        missing=[clip for clip in found.truth.ids if not all(clip in run for run in runs)],
        extra=[clip for clip in predicted if clip not in found.truth.by_id],
    )


def matrix(table: pd.DataFrame, ids: list[str]) -> NDArray[np.float64]:
    """(S, N) predictions in the order of ``ids``."""
    return np.stack([run.loc[ids].to_numpy(dtype=np.float64) for run in _runs(table)])
