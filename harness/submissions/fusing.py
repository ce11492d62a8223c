"""A table with one column of predictions per system, and those columns fused into one.

Shapes: n clips of a split, m systems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data.datasets import Dataset, datasets
from harness.data.known_labels import KnownLabels, find_labels
from harness.data.labels import LabelNotice, OwnLabels, copied, gather
from harness.data.readers.predictions import read_predictions_table, refuse_misspelt, rows_of
from harness.data.readers.tables import InputTable
from harness.data.store import CorpusStore
from harness.errors import SubmissionError
from harness.home import Home
from harness.metrics import score

__all__ = ["Fit", "Fused", "FusedFile", "FusedSystem", "Input", "fuse_file", "read_input"]

_NOT_SYSTEMS = ("id", "video_id", "clip_id", "label", "seed", "condition", "variant")
_HOLE = "leave the cell of a missing prediction empty; it is shown as a hole"
_HINT = "--columns NAME,NAME,… names the columns of the systems"


@dataclass(frozen=True, kw_only=True, eq=False)
class Input:
    """Predictions of m systems beside the labels of two splits.

    Args:
        names: The systems' columns.
        predictions: Clip id -> (m,) predictions, NaN where a cell is empty.
        valid: What the weights are fitted on.
        test: What is scored.
        extra: Clips of the table that neither split has.
    """

    names: list[str]
    predictions: dict[str, NDArray[np.float64]]
    valid: KnownLabels
    test: KnownLabels
    extra: list[str]

    @property
    def notices(self) -> list[LabelNotice]:
        """What contradicts the labels, of both splits."""
        return list(dict.fromkeys((*self.valid.notices, *self.test.notices)))

    def of(self, labels: KnownLabels) -> NDArray[np.float64]:
        """(n, m) predictions of the labelled clips, NaN where there is none."""
        nothing = np.full(len(self.names), np.nan)
        return np.stack([self.predictions.get(clip, nothing) for clip in labels.truth.ids])

    def fitted(self) -> NDArray[np.float64]:
        """(n, m) predictions of the valid clips; a constant column is zero.

        A column of one value can have no weight, but differs from its mean by rounding, which
        least squares would take for a signal.
        """
        given = self.of(self.valid)
        constant = np.nanmax(given, axis=0) == np.nanmin(given, axis=0)
        return np.where(np.isfinite(given) & constant, 0.0, given)

    def predicted(self, labels: KnownLabels) -> int:
        """Number of labelled clips that some system predicts."""
        return sum(bool(np.isfinite(row).any()) for row in self.of(labels))

    def without(self, name: str) -> list[str]:
        """Test clips that a system does not predict."""
        column = self.of(self.test)[:, self.names.index(name)]
        clips = zip(self.test.truth.ids, column, strict=True)
        return [clip for clip, value in clips if value != value]


class FusedFile(Protocol):
    """Fitted weights of m systems."""

    @property
    def weights(self) -> NDArray[np.float64]:
        """(m,) none below zero."""

    def __call__(self, predictions: NDArray[np.float64], /) -> NDArray[np.float64]:
        """(n, m) predictions, NaN where missing, -> (n,)."""


class Fit(Protocol):
    """How weights are fitted."""

    def __call__(
        self, predictions: NDArray[np.float64], labels: NDArray[np.float64], /
    ) -> FusedFile:
        """From (n, m) predictions, NaN where missing, and (n,) labels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FusedSystem:
    """How one system does on the test clips it predicts.

    Args:
        name: Its column, or ``fusion``.
        clips: Number of clips scored.
        weight: In the fusion, None for the fusion itself.
        scores: Metric -> value, NaN where undefined.
        copied: Number of predictions that are the labels, 0 for predictions that merely hit some.
    """

    name: str
    clips: int
    weight: float | None
    scores: Mapping[str, float]
    copied: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Fused:
    """Several systems and their fusion.

    Args:
        table: What was fused.
        parts: The systems in the order of their columns, then the fusion.
        predictions: Test clip -> fused prediction.
        notices: What a reader must know.
    """

    table: Input
    parts: Sequence[FusedSystem]
    predictions: Mapping[str, float]
    notices: Sequence[LabelNotice]


def fuse_file(
    path: Path | str,
    dataset: Dataset | str,
    fit: Fit,
    *,
    columns: str = "pred_T,pred_A,pred_V",
    labels: Path | None = None,
    corpus: str | None = None,
    home: Home | None = None,
) -> Fused:
    """Late fusion of a table's columns: weights fitted on valid, all systems scored on test.

    Args:
        path: ``.csv``, ``.parquet`` or ``.jsonl`` with ``id`` (or ``video_id`` and ``clip_id``)
            and a column of predictions per system.
        dataset: The dataset that is predicted, or its name.
        fit: How weights are fitted, such as ``baselines.late_fusion.fuse``.
        columns: The systems' columns, with commas between.
        labels: An MMSA label file; default: a stored corpus, else the table's own labels.
        corpus: The stored corpus whose labels to take.
        home: Where corpora are stored; ``Home.default()`` when None.

    Raises:
        SubmissionError: For a table, columns or labels that cannot be fused.
        SpecError: For an unknown dataset, or a corpus of other data.
        DataError: For a label file or corpus that cannot be read.
    """
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    store = CorpusStore((home or Home.default()).corpora)
    table = read_input(Path(path), columns, known, store, labels=labels, corpus=corpus)
    truth = table.test.truth.labels
    fusion = fit(table.fitted(), table.valid.truth.labels)
    given = table.of(table.test)
    fused = fusion(given)
    parts = [
        _part(name, column, weight, truth, known)
        for name, column, weight in zip(table.names, given.T, fusion.weights.tolist(), strict=True)
    ]
    parts.append(_part("fusion", fused, None, truth, known))
    return Fused(
        table=table,
        parts=parts,
        predictions=dict(zip(table.test.truth.ids, fused.tolist(), strict=True)),
        notices=[*table.notices, *_unidentified(table), *_copied(parts)],
    )


def read_input(
    file: Path,
    columns: str,
    dataset: Dataset,
    store: CorpusStore,
    *,
    labels: Path | None = None,
    corpus: str | None = None,
) -> Input:
    """The table and its labels.

    Args:
        file: ``.csv``, ``.parquet`` or ``.jsonl`` with ``id`` (or ``video_id`` and ``clip_id``).
        columns: The systems' columns, with commas between.
        dataset: The dataset they are of.
        store: The corpora at hand.
        labels: A label file, None to look for stored labels.
        corpus: A stored corpus, None to look for one.

    Raises:
        SubmissionError: For a table, columns or labels that cannot be fused.
    """
    table = rows_of(read_predictions_table(file))
    names = _names(columns, table)
    ids = table.ids(unique=True)
    cells = [table.numbers(name, ids, empty=True, hint=_HOLE) for name in names]
    own = [_own_labels(table, ids)] if "label" in table.frame else []
    splits = {}
    for split in ("valid", "test"):
        splits[split] = find_labels(own, dataset, split, store, file=labels, corpus=corpus)
    valid, test = (set(known.truth.ids) for known in splits.values())
    if valid & test:
        raise SubmissionError(
            f"the labels of {file.name} do not say which clips are valid and which are test",
            hint=f"msa data add LABEL.CSV --dataset {dataset.name}, or --labels LABEL.CSV",
        )
    labelled = valid | test
    refuse_misspelt(ids, labelled, file.name)
    found = Input(
        names=names,
        predictions=dict(zip(ids, np.column_stack(cells), strict=True)),
        valid=splits["valid"],
        test=splits["test"],
        extra=[clip for clip in ids if clip not in labelled],
    )
    for split, known in splits.items():
        _refuse_missing(found, known, split, file.name)
    return found


def _unidentified(table: Input) -> list[LabelNotice]:
    """A warning of every weight that the valid split does not determine."""
    given = table.of(table.valid)
    centred = np.nan_to_num(table.fitted() - np.nanmean(table.fitted(), axis=0))
    spread = np.linalg.norm(centred, axis=0)
    constant = [name for name, size in zip(table.names, spread, strict=True) if not size]
    notices = [
        LabelNotice(
            "constant",
            f"{name} predicts {np.nanmax(given[:, table.names.index(name)]):g} for every valid"
            " clip: it has weight 0 whatever it may tell elsewhere",
        )
        for name in constant
    ]
    there = [place for place, size in enumerate(spread) if size]
    directions = centred[:, there] / spread[there]
    alike = _dependent(directions, [table.names[place] for place in there])
    if alike:
        notices.append(
            LabelNotice(
                "collinear",
                f"the valid clips cannot tell the weights of {', '.join(alike)} apart: one of these"
                " columns follows from the others, so other weights fit as well",
            )
        )
    return notices


def _part(
    name: str,
    predictions: NDArray[np.float64],
    weight: float | None,
    truth: NDArray[np.float64],
    dataset: Dataset,
) -> FusedSystem:
    there = np.isfinite(predictions)
    return FusedSystem(
        name=name,
        clips=int(there.sum()),
        weight=weight,
        scores=score(predictions[there], truth[there], dataset),
        copied=copied(predictions[there], truth[there]),
    )


def _copied(parts: Sequence[FusedSystem]) -> list[LabelNotice]:
    return [
        LabelNotice(
            "labels-copied",
            f"{part.copied} of {part.clips} predictions of {part.name} equal their label:"
            " these are the labels",
        )
        for part in parts
        if part.copied
    ]


def _dependent(directions: NDArray[np.float64], names: Sequence[str]) -> list[str]:
    """Columns (n, m) that are combinations of the others, by name."""
    rank = int(np.linalg.matrix_rank(directions, tol=1e-6)) if names else 0
    if rank == len(names):
        return []
    rest = [np.delete(directions, place, axis=1) for place in range(len(names))]
    return [
        name
        for name, others in zip(names, rest, strict=True)
        if np.linalg.matrix_rank(others, tol=1e-6) == rank
    ]


def _names(columns: str, table: InputTable) -> list[str]:
    names = [name.strip() for name in columns.split(",")]
    if "" in names:
        raise SubmissionError(f"--columns names an empty column: {columns!r}", hint=_HINT)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SubmissionError(f"--columns names {twice} twice", hint="each system once")
    reserved = next((name for name in names if name in _NOT_SYSTEMS), None)
    if reserved is not None:
        raise SubmissionError(
            f"--columns names {reserved}, which is no system's predictions", hint=_HINT
        )
    table.need(*names, hint=_HINT)
    return names


def _own_labels(table: InputTable, ids: list[str]) -> OwnLabels:
    """The labels of the table, of the clips that have one."""
    values = table.numbers("label", ids, empty=True)
    there = np.isfinite(values)
    return gather(table.name, [c for c, has in zip(ids, there, strict=True) if has], values[there])


def _refuse_missing(table: Input, known: KnownLabels, split: str, name: str) -> None:
    there = np.isfinite(table.of(known))
    if not there.any():
        ours, theirs = known.truth.ids[0], next(iter(table.predictions))
        raise SubmissionError(
            f"{name} predicts none of the {len(known.truth)} labelled {split} clips",
            hint=f"its clips are called like {theirs}, the labelled ones like {ours}",
        )
    empty = [column for place, column in enumerate(table.names) if not there[:, place].any()]
    if empty:
        raise SubmissionError(
            f"{name}: {empty[0]} has no prediction at all of a {split} clip",
            hint="leave the column out of --columns, or fill it",
        )
