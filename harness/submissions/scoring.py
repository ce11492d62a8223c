"""A predictions file against labels: every metric, in every convention, of every run in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.data.datasets import Dataset, datasets
from harness.data.known_labels import KnownLabels, find_labels, own_labels
from harness.data.labels import LabelNotice, copied
from harness.data.readers.predictions import (
    Aligned,
    align,
    check_predictions,
    others_than,
    read_predictions_table,
)
from harness.data.store import CorpusStore
from harness.home import Home
from harness.metrics import score as score_arrays
from harness.metrics import score_conventions
from harness.spec import PredictionCell
from harness.spec.prediction_cell import COUNTED

__all__ = ["ScoredFile", "score"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredFile:
    """The scores of one run of a file.

    Args:
        seed: The run's seed, None where the file does not tell runs apart.
        clips: Number of clips scored.
        missing: Labelled clips without a prediction.
        extra: Predicted clips that carry no label.
        labels: Where the labels came from.
        notices: What a reader of the scores must know.
        scores: Canonical metric -> value, NaN where undefined.
        conventions: What named repositories would have printed, a row each.
    """

    seed: int | None
    clips: int
    missing: Sequence[str]
    extra: Sequence[str]
    labels: str
    notices: Sequence[LabelNotice]
    scores: Mapping[str, float]
    conventions: Sequence[Mapping[str, object]]


def score(
    path: Path | str,
    dataset: Dataset | str,
    *,
    labels: Path | None = None,
    corpus: str | None = None,
    split: str = "test",
    cell: PredictionCell = COUNTED,
    home: Home | None = None,
) -> list[ScoredFile]:
    """Score a predictions file in the canonical definitions and in every repository's convention.

    Args:
        path: ``.csv``, ``.parquet`` or ``.jsonl`` with ``id`` (or ``video_id`` and ``clip_id``),
            ``pred``, optionally ``seed``, ``label``, ``condition`` and ``variant``.
        dataset: The dataset that is predicted, or its name.
        labels: An MMSA label file; default: a stored corpus, else the file's own labels.
        corpus: The stored corpus whose labels to take, official split or not.
        split: train, valid or test.
        cell: Which condition and variant of a file that tells them apart.
        home: Where corpora are stored; ``Home.default()`` when None.

    Returns:
        One per seed, in order; a single one for a file without seeds.

    Raises:
        SubmissionError: For a file that cannot be scored, no labels, or labels in the file that
            contradict the known ones.
        SpecError: For an unknown dataset or split, or a corpus of other data.
        DataError: For a label file or corpus that cannot be read.
    """
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    file, store = Path(path), CorpusStore((home or Home.default()).corpora)
    whole = read_predictions_table(file)
    table = check_predictions(whole, cell)
    own = own_labels(table, file.name)
    found = find_labels(own, known, split, store, file=labels, corpus=corpus)
    about = [*found.notices, *others_than(cell, whole)]
    return [_scored(seed, part, found, known, about) for seed, part in _runs(table)]


def _runs(table: pd.DataFrame) -> Iterator[tuple[int | None, pd.DataFrame]]:
    if "seed" not in table:
        yield None, table
        return
    for seed in sorted(set(table["seed"].tolist())):
        yield seed, table[table["seed"] == seed]


def _scored(
    seed: int | None,
    table: pd.DataFrame,
    found: KnownLabels,
    dataset: Dataset,
    about: Sequence[LabelNotice],
) -> ScoredFile:
    aligned = align(dict(zip(table["id"], table["pred"], strict=True)), found.truth)
    return ScoredFile(
        seed=seed,
        clips=len(aligned.truth),
        missing=aligned.missing,
        extra=aligned.extra,
        labels=found.origin,
        notices=[*about, *_copied(aligned, seed)],
        scores=score_arrays(aligned.pred, aligned.truth.labels, dataset, secondary=True),
        conventions=score_conventions(aligned.pred, aligned.truth.labels, dataset),
    )


def _copied(aligned: Aligned, seed: int | None) -> list[LabelNotice]:
    """A warning when the predictions are the labels."""
    equal = copied(aligned.pred, aligned.truth.labels)
    if not equal:
        return []
    run = "" if seed is None else f" of seed {seed}"
    text = (
        f"{equal} of {len(aligned.truth)} predictions{run} equal their label: these are the labels"
    )
    return [LabelNotice("labels-copied", text)]
