"""Whatever can be compared, found by one name: a predictions file, a stored row, a submission.

``SUITE:ROW`` is a row of the run store, ``SUITE/CORPUS:ROW`` where the row has several corpora of
the dataset, ``submission:NAME`` a submission; anything else is a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.data.datasets import Dataset, datasets
from harness.data.known_labels import KnownLabels
from harness.data.labels import LabelNotice
from harness.data.readers.predictions import (
    check_predictions,
    others_than,
    read_predictions_table,
)
from harness.errors import SpecError, SubmissionError
from harness.home import Home
from harness.runs.labels import stored_labels
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCorpus
from harness.spec import PredictionCell
from harness.spec.prediction_cell import COUNTED
from harness.submissions import SubmissionStore

__all__ = ["Contender", "find_contender"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Contender:
    """A system to be compared.

    Args:
        name: How to call it.
        dataset: The dataset it predicts, None when a file does not say.
        predictions: Columns ``id, pred``, with several runs ``seed``, of files also ``label``.
        labels: The labels it was run on, None for files and submissions.
        deterministic: Whether it is known that no seed changes it; files do not say.
        notices: What of it was left out.
    """

    name: str
    dataset: Dataset | None
    predictions: pd.DataFrame
    labels: KnownLabels | None = None
    deterministic: bool = False
    notices: tuple[LabelNotice, ...] = ()


def find_contender(
    text: str,
    dataset: Dataset | None,
    split: str,
    home: Home,
    cell: PredictionCell = COUNTED,
) -> Contender:
    """A file if there is one of that name, else what the stores hold under it.

    Args:
        text: A file, ``SUITE:ROW``, ``SUITE/CORPUS:ROW`` or ``submission:NAME``.
        dataset: Which dataset's corpora to look among; None when the name alone must do.
        split: ``valid`` or ``test``.
        home: Where runs and submissions live.
        cell: Which of its predictions; submissions have those that count alone.

    Raises:
        SubmissionError: For a file that is not one of predictions, a name that is nothing, or no
            predictions of the split and cell.
        SpecError: For a row or corpus that the suite does not have, or more than one fits.
        StoreError: For a suite that was never run here.
    """
    path = Path(text)
    prefix, colon, row = text.partition(":")
    if path.exists() or not colon:
        return _file(path, dataset, cell)
    if prefix == "submission":
        if cell != COUNTED:
            raise SubmissionError(f"submissions predict clean clips, once; asked for {cell}")
        return _submission(row, dataset, split, home)
    suite, _, corpus = prefix.partition("/")
    return _stored(RunStore(home.store), suite, corpus, row, dataset, split, cell)


def _file(path: Path, dataset: Dataset | None, cell: PredictionCell) -> Contender:
    table = read_predictions_table(path)
    return Contender(
        name=path.name,
        dataset=dataset,
        predictions=check_predictions(table, cell),
        notices=tuple(others_than(cell, table)),
    )


def _submission(name: str, dataset: Dataset | None, split: str, home: Home) -> Contender:
    if dataset is None:
        raise SpecError("a submission is looked up by dataset", hint="add --dataset")
    found = SubmissionStore(home.store).get(dataset.name, name)
    if found.manifest.split != split:
        raise SubmissionError(f"submission {name!r} predicts {found.manifest.split}, not {split!r}")
    return Contender(
        name=name,
        dataset=dataset,
        predictions=found.predictions(),
        deterministic=found.manifest.stated.deterministic,
    )


def _stored(
    store: RunStore,
    suite: str,
    corpus: str,
    row: str,
    dataset: Dataset | None,
    split: str,
    cell: PredictionCell,
) -> Contender:
    plan = store.plan(suite)
    cells = [cell for cell in plan.cells if cell.label == row]
    if not cells:
        known = ", ".join(repr(item.label) for item in plan.rows)
        raise SpecError(f"suite {suite} has no row {row!r} (rows: {known})")
    holding = {cell.corpus for cell in cells}
    fitting = [
        item
        for item in plan.corpora
        if item.name in holding
        and corpus in ("", item.name)
        and (dataset is None or item.dataset == dataset.name)
    ]
    if len(fitting) != 1:
        raise SpecError(
            f"row {row!r} of {suite} should be on one fitting corpus, found"
            f" {', '.join(item.name for item in fitting) or 'none'}"
            f" (it is on {', '.join(sorted(holding))})",
            hint=f"name one: {suite}/{sorted(holding)[0]}:{row}",
        )
    keys = [cell.key for cell in cells if cell.corpus == fitting[0].name]
    return Contender(
        name=row,
        dataset=datasets[fitting[0].dataset],
        predictions=_predictions(store, keys, split, cell, f"{suite}:{row}"),
        labels=_labels(store, fitting[0], split),
        deterministic=any(item.label == row and item.deterministic for item in plan.rows),
    )


def _predictions(
    store: RunStore, keys: list[str | None], split: str, cell: PredictionCell, name: str
) -> pd.DataFrame:
    there = [store.get(key) for key in keys if key is not None and key in store]
    runs = [run.predictions(split, cell) for run in there]
    if not runs:
        raise SubmissionError(f"{name} has no finished run", hint="msa run SUITE")
    if any(run.empty for run in runs):
        under = "" if cell == COUNTED else f" under condition {cell.condition}, {cell.variant}"
        raise SubmissionError(
            f"{name} has no predictions for {split!r}{under}",
            hint="runs predict --split valid and test, under a grid of conditions test alone",
        )
    parts = [
        pd.DataFrame({"id": run.index, "pred": run.to_numpy(), "seed": place})
        for place, run in enumerate(runs)
    ]
    return pd.concat(parts, ignore_index=True)


def _labels(store: RunStore, corpus: PlannedCorpus, split: str) -> KnownLabels:
    truth = stored_labels(store, corpus.data, datasets[corpus.dataset], split)
    return KnownLabels(truth=truth, origin=corpus.name, videos_origin=corpus.name)
