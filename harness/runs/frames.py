"""Stored runs as data frames, for notebooks: what they are, what they predicted, what they scored.

A run stands under the label of its row in the suite that is asked for; without one it has that of
the first suite it is in, else the name of its system.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from harness.data.datasets import datasets
from harness.data.split_labels import SplitLabels
from harness.data.store import dataset_name
from harness.errors import SpecError
from harness.home import Home
from harness.runs.labels import predictions_of, scores_of, stored_labels
from harness.runs.store import RunStore, StoredRun
from harness.spec import PredictionCell
from harness.spec.prediction_cell import COUNTED

__all__ = ["prediction_table", "rows_by_key", "run_table", "score_table"]

_SPLITS = ("valid", "test")


def rows_by_key(store: RunStore) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Run key -> label of its row, and the suites that have it, the first of which names it."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for suite in store.plans():
        for cell in store.plan(suite).cells:
            if cell.key is not None:
                label, suites = found.get(cell.key, (cell.label, ()))
                found[cell.key] = (label, (*suites, suite))
    return found


def run_table(suite: str | None = None, *, home: Home | None = None) -> pd.DataFrame:
    """One line per stored run, by its key: what it is, how training went, what it took.

    Args:
        suite: Only runs of this one.
        home: Where runs live; ``Home.default()`` when None.

    Returns:
        Index ``key``; ``corpus, row, system, seed, protocol, parameters, epochs, selected_epoch,
        train_clips, fit_seconds, predict_seconds, peak_memory_bytes, device``, and hyper-parameters
        as ``hp.NAME``.

    Raises:
        StoreError: For a suite that was never run here, or a damaged run.
    """
    lines: list[dict[str, object]] = []
    for run in _runs(suite, home):
        result, cost = run.stored.manifest.result, run.stored.manifest.cost
        spec = run.stored.spec
        lines.append(
            {
                **run.facts(),
                "protocol": spec.protocol.digest,
                "parameters": result.parameters,
                "epochs": result.epochs,
                "selected_epoch": result.selected_epoch,
                "train_clips": result.train_clips,
                "fit_seconds": cost.fit_seconds,
                "predict_seconds": cost.predict_seconds,
                "peak_memory_bytes": cost.peak_memory_bytes,
                "device": run.stored.manifest.provenance.device,
                **{f"hp.{name}": value for name, value in spec.params.items()},
            }
        )
    return _frame(lines)


def score_table(
    suite: str | None = None,
    *,
    split: str = "test",
    cell: PredictionCell = COUNTED,
    home: Home | None = None,
) -> pd.DataFrame:
    """One line per stored run, by its key, with every metric computed from its predictions.

    Args:
        suite: Only runs of this one.
        split: ``valid`` or ``test``.
        cell: Under which condition, and which variant.
        home: Where runs live; ``Home.default()`` when None.

    Returns:
        Index ``key``; ``corpus, row, system, seed`` and a column per metric: as stored, accuracies
        from 0 to 1, NaN where undefined.

    Raises:
        SpecError: For another split.
        StoreError: For a suite that was never run here, or a damaged run.
    """
    labels = _labels(home, split)
    lines: list[dict[str, object]] = []
    for run in _runs(suite, home):
        truth = labels(run.stored.spec.data, run.dataset)
        pred = predictions_of(run.stored, truth, cell)
        lines.append({**run.facts(), **scores_of(run.stored, truth, pred)})
    return _frame(lines)


def prediction_table(
    suite: str | None = None,
    *,
    split: str = "test",
    cell: PredictionCell = COUNTED,
    home: Home | None = None,
) -> pd.DataFrame:
    """One line per clip and stored run: its prediction beside its label.

    Args:
        suite: Only runs of this one.
        split: ``valid`` or ``test``.
        cell: Under which condition, and which variant.
        home: Where runs live; ``Home.default()`` when None.

    Returns:
        ``corpus, row, system, seed, key, id, video, label, pred``; runs keep no texts.

    Raises:
        SpecError: For another split.
        StoreError: For a suite that was never run here, or a damaged run.
    """
    labels = _labels(home, split)
    parts = []
    for run in _runs(suite, home):
        truth = labels(run.stored.spec.data, run.dataset)
        part = pd.DataFrame(
            {
                "id": truth.ids,
                "video": truth.videos,
                "label": truth.labels,
                "pred": predictions_of(run.stored, truth, cell),
            }
        )
        for place, (name, value) in enumerate(run.facts().items()):
            part.insert(place, name, value)
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


class _Run(NamedTuple):
    """A stored run and the row that it is of."""

    stored: StoredRun
    row: str

    @property
    def dataset(self) -> str:
        return dataset_name(self.stored.spec.corpus)

    def facts(self) -> dict[str, str | int]:
        spec = self.stored.spec
        return {
            "corpus": spec.corpus,
            "row": self.row,
            "system": spec.system,
            "seed": spec.seed,
            "key": self.stored.key,
        }


def _runs(suite: str | None, home: Home | None) -> Iterator[_Run]:
    store = RunStore((home or Home.default()).store)
    if suite is None:
        rows = rows_by_key(store)
        for run in store:
            label, _ = rows.get(run.key, (run.spec.system, ()))
            yield _Run(run, label)
        return
    for cell in store.plan(suite).cells:
        if cell.key is not None and cell.key in store:
            yield _Run(store.get(cell.key), cell.label)


def _labels(home: Home | None, split: str) -> functools._lru_cache_wrapper[SplitLabels]:
    """Stored labels by fingerprint and dataset, each read once."""
    if split not in _SPLITS:
        raise SpecError(f"split is valid or test; found {split!r}")
    store = RunStore((home or Home.default()).store)

    @functools.cache
    def read(data: str, dataset: str) -> SplitLabels:
        return stored_labels(store, data, datasets[dataset], split)

    return read


def _frame(lines: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(lines).set_index("key") if lines else pd.DataFrame()
