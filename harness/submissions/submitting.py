"""A predictions file becomes a submission: read, checked against labels, scored, stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness._util.canonical import file_digest
from harness.data.datasets import Dataset, datasets
from harness.data.store import CorpusStore
from harness.home import Home
from harness.submissions.checking import check
from harness.submissions.flags import score_runs
from harness.submissions.gold import find_gold
from harness.submissions.manifest import SubmissionManifest
from harness.submissions.reading import read_submission
from harness.submissions.store import Outcome, SubmissionRecord, SubmissionStore

__all__ = ["Submitted", "submit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Submitted:
    """What became of a file that was submitted.

    Args:
        record: What is stated of the system, and what was found.
        dataset: The dataset it predicts.
        labels: Where the labels came from that it was checked and scored against.
        scores: Seed -> metric -> value, NaN where undefined.
        outcome: What was done to the store; None after a dry run, which stores nothing.
    """

    record: SubmissionRecord
    dataset: Dataset
    labels: str
    scores: Mapping[int, Mapping[str, float]]
    outcome: Outcome | None


def submit(
    path: Path | str,
    dataset: Dataset | str,
    manifest: SubmissionManifest | Path | str | None = None,
    *,
    name: str | None = None,
    labels: Path | None = None,
    corpus: str | None = None,
    split: str = "test",
    partial: bool = False,
    replace: bool = False,
    dry_run: bool = False,
    home: Home | None = None,
) -> Submitted:
    """Check, score and store an external system's predictions; boards of the dataset show them.

    Args:
        path: ``.csv``, ``.parquet`` or ``.jsonl`` with ``id`` (or ``video_id`` and ``clip_id``),
            ``pred``, optionally ``seed`` and ``label``.
        dataset: The dataset that is predicted, or its name.
        manifest: What is stated of the system, or the ``.toml`` or ``.json`` file that states it.
        name: Of the submission; default: that of a manifest file, else the file's.
        labels: An MMSA label file to check against; default: a stored corpus.
        corpus: The stored corpus whose labels to take.
        split: train, valid or test.
        partial: Whether less than half of the clips will do.
        replace: Whether a submission of the same name may be replaced.
        dry_run: Whether to check and score only.
        home: Where corpora and submissions live; ``Home.default()`` when None.

    Raises:
        SubmissionError: For a file or manifest that is not one, predictions that fail a check, or
            no labels to check against.
        SpecError: For an unknown dataset or split, or a corpus of other data.
        DataError: For a label file or corpus that cannot be read.
        StoreError: When the submission cannot be stored.
    """
    home, file = home or Home.default(), Path(path)
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    stated = _manifest(manifest, name, file)
    table = read_submission(file, stated)
    gold, origin = find_gold(known, split, CorpusStore(home.corpora), file=labels, corpus=corpus)
    checked = check(table, gold, stated, partial=partial)
    record = SubmissionRecord.of(
        checked, stated, dataset=known.name, split=split, source=file_digest(file)
    )
    outcome: Outcome | None = None
    if not dry_run:
        store = SubmissionStore(home.store)
        outcome = store.put(record, checked.predictions, replace=replace)
    return Submitted(
        record=record,
        dataset=known,
        labels=origin,
        scores=score_runs(checked.predictions, gold.truth.by_id, known),
        outcome=outcome,
    )


def _manifest(
    given: SubmissionManifest | Path | str | None, name: str | None, file: Path
) -> SubmissionManifest:
    if isinstance(given, SubmissionManifest):
        return given if name is None else dataclasses.replace(given, name=name)
    if given is None:
        return SubmissionManifest.parse({"name": name or file.stem}, where=file.name)
    return SubmissionManifest.load(Path(given), name=name, default=file.stem)
