"""Scores of stored runs, remembered while nobody touches their files.

A search and its report read the scores of thousands of runs in every call. A score is believed as
long as the names, sizes, times and inodes of its run's files stay what they were, and the code that
computed it; it can always be computed again from the run's predictions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness._util.by_content import computed_by
from harness._util.remembered import Remembered
from harness._util.untouched import mark_of
from harness.data.datasets import datasets
from harness.metrics import Metric, metrics
from harness.runs.identity import source_files
from harness.runs.labels import predictions_of, stored_labels
from harness.runs.store import RunStore

if TYPE_CHECKING:
    from harness.data.datasets import Dataset

__all__ = ["ScoreMemory", "scoring_rules"]

_FOLDER = ".scores"
_RULES = ("runs/labels.py", "runs/prediction_table.py", "runs/scores.py", "data/split_labels.py")


class ScoreMemory:
    """One metric of runs on one split of one corpus.

    Args:
        store: Where the runs are.
        data: Content fingerprint of their corpus.
        dataset: Which metrics apply.
        metric: What is scored.
        split: ``valid`` or ``test``.
    """

    def __init__(
        self, store: RunStore, data: str, dataset: Dataset, metric: Metric, split: str
    ) -> None:
        self._store, self._data, self._dataset = store, data, dataset
        self._metric, self._split = metric, split
        name = f"{data[:32]}-{split}-{metric.name}.json"
        rules = scoring_rules([metric.name], datasets.module_of(dataset.name))
        self._file = Remembered(store.root / _FOLDER / name, rules)
        self._known = self._read()
        self._learnt: dict[str, tuple[str, float | None]] = {}

    def of(self, key: str) -> float:
        """The score of a run; NaN where it is undefined.

        Raises:
            StoreError: When the run is not there or damaged, or does not fit the labels.
        """
        run = self._store.get(key)
        mark = mark_of(run.folder, *self._store.label_files(self._data))
        known = self._known.get(key)
        if mark is not None and known is not None and known[0] == mark:
            return math.nan if known[1] is None else known[1]
        truth = stored_labels(self._store, self._data, self._dataset, self._split)
        score = float(self._metric(predictions_of(run, truth), truth.labels, self._dataset))
        if mark is not None:
            self._known[key] = self._learnt[key] = (mark, None if math.isnan(score) else score)
        return score

    def keep(self) -> None:
        """Remember what was learnt; a disk that refuses costs computing it again."""
        if self._learnt:
            self._file.write(lambda: {"scores": {**self._read(), **self._learnt}})

    def _read(self) -> dict[str, tuple[str, float | None]]:
        return self._file.read(_parsed) or {}


def _parsed(table: Mapping[str, Any]) -> dict[str, tuple[str, float | None]]:
    return {key: (str(mark), score) for key, (mark, score) in table["scores"].items()}


def scoring_rules(names: Sequence[str], *others: str) -> str:
    """What computes scores: one by another definition says nothing about this one.

    Args:
        names: Metrics.
        others: Further modules that have a say.
    """
    return _rules(tuple(names), others)


@functools.cache
def _rules(names: tuple[str, ...], others: tuple[str, ...]) -> str:
    package = Path(__file__).parents[1]
    files = {*(package / name for name in _RULES), *(package / "metrics").glob("*.py")}
    modules = [metrics.module_of(name) for name in names]  # plug-ins' too
    files |= set(source_files(*modules, *others))
    return computed_by(files, "numpy")
