"""Submissions as rows of a board: scored like runs, ranked only when they kept the protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.split_labels import SplitLabels
from harness.errors import StoreError
from harness.metrics import score
from harness.runs.store import RunStore
from harness.stats import Collapse, collapse_of_runs
from harness.submissions import NOT_STATED, StoredSubmission, SubmissionRecord, SubmissionStore
from leaderboards.model.board import CorpusFacts, Row, Run

__all__ = ["collapse_of", "entries"]

_BY_VALIDATION = ("validation", "none (no training)")


def entries(
    store: RunStore, corpus: CorpusFacts, truth: SplitLabels, protocol: str
) -> Iterator[Row]:
    """The rows of every submission that predicts these clips; none for twins and own splits.

    Args:
        store: Whose submissions.
        corpus: The corpus of the grid.
        truth: Its test labels.
        protocol: Digest of the board's protocol.

    Raises:
        StoreError: When a stored submission is damaged or predicts clips that do not exist.
    """
    if corpus.twin or not corpus.official:
        return
    for submission in SubmissionStore(store.root).of(corpus.dataset.name):
        if submission.manifest.split == truth.split:
            yield _row(submission, truth, protocol)


def _row(submission: StoredSubmission, truth: SplitLabels, protocol: str) -> Row:
    record = submission.manifest
    runs = tuple(_runs(submission, truth))
    return Row(
        label=record.stated.display,
        system="submission",
        title=record.stated.display,
        text=record.stated.encoder or NOT_STATED,
        inputs=record.stated.inputs,
        changed={},
        deterministic=record.stated.deterministic,
        reference=False,
        runs=runs,
        missing_runs=(),
        outside=_outside(record, protocol),
        badge=record.badge,
        side_info=record.stated.side_info or NOT_STATED,
        selection=record.stated.selection,
        clips=record.clips,
        partial=record.clips < record.expected and not _elsewise(record, protocol),
        flags=tuple(flag.text for flag in record.flags),
        collapse=collapse_of(runs, truth.labels),
    )


def collapse_of(runs: Sequence[Run], labels: NDArray[np.float64]) -> Collapse | None:
    """Which runs of a row collapsed, each judged by the clips that it predicts.

    Args:
        runs: Of the row.
        labels: (N,) of the test clips.

    Returns:
        None without a run.
    """
    if not runs:
        return None
    there = [np.isfinite(run.pred) for run in runs]
    return collapse_of_runs(
        [(run.pred[is_], labels[is_]) for run, is_ in zip(runs, there, strict=True)]
    )


def _runs(submission: StoredSubmission, truth: SplitLabels) -> Iterator[Run]:
    for seed, part in submission.predictions().groupby("seed"):
        pred = _aligned(part, truth, submission.name)
        there = np.isfinite(pred)
        yield Run(
            seed=int(str(seed)),
            key="",
            pred=pred,
            scores=score(pred[there], truth.labels[there], truth.dataset, secondary=True),
            facts=None,
        )


def _aligned(part: pd.DataFrame, truth: SplitLabels, name: str) -> np.ndarray:
    """(N,) predictions in the order of the labels, NaN where there is none."""
    given = part.set_index("id")["pred"]
    unknown = given.index.difference(pd.Index(truth.ids))
    if len(unknown):
        raise StoreError(
            f"submission {name!r} predicts {len(unknown)} clips that the labels do not have,"
            f" such as {unknown[0]}",
            hint="msa submit FILE --replace",
        )
    return given.reindex(list(truth.ids)).to_numpy(dtype=np.float64)


def _outside(record: SubmissionRecord, protocol: str) -> str:
    """Why a submission is shown apart; empty when it takes part in the ranks."""
    if record.clips < record.expected:
        return f"predicts {record.clips} of {record.expected} clips"
    return _elsewise(record, protocol)


def _elsewise(record: SubmissionRecord, protocol: str) -> str:
    """What sets it apart besides the clips that it leaves out."""
    stated = record.stated
    if stated.protocol != protocol:
        return "states another protocol" if stated.protocol else "states no protocol"
    if stated.selection not in _BY_VALIDATION:
        return f"checkpoint selection: {stated.selection}"
    if stated.side_info != "none":
        return f"side information: {stated.side_info or NOT_STATED}"
    return ""
