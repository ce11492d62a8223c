"""Scores of stored runs, remembered while nobody touches their files.

A search and its report read the scores of thousands of runs in every call. A score is believed as
long as the names, sizes, times and inodes of its run's files stay what they were, and the code that
computed it; it can always be computed again from the run's predictions.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from harness._util import canonical
from harness._util.atomic import write_atomic
from harness._util.sealed import read_sealed, sealed
from harness._util.untouched import mark_of
from harness.data.datasets import datasets
from harness.metrics import Metric, metrics
from harness.runs.labels import predictions_of, stored_labels
from harness.runs.store import RunStore

if TYPE_CHECKING:
    from harness.data.datasets import Dataset

__all__ = ["ScoreMemory"]

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
        self._path = store.root / _FOLDER / f"{data[:32]}-{split}-{metric.name}.json"
        self._rules = _rules(metric.name, dataset.name)
        self._known = self._read()
        self._learnt = False

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
            self._known[key] = (mark, None if math.isnan(score) else score)
            self._learnt = True
        return score

    def keep(self) -> None:
        """Remember what was learnt; a disk that refuses costs computing it again."""
        if not self._learnt:
            return
        scores = {key: list(known) for key, known in self._known.items()}
        content = canonical.dumps({"rules": self._rules, "scores": scores}).encode()
        with contextlib.suppress(OSError):
            write_atomic(self._path, sealed(content, self._path.name))

    def _read(self) -> dict[str, tuple[str, float | None]]:
        try:
            table = json.loads(read_sealed(self._path))
            if table["rules"] != self._rules:
                return {}
            return {key: (str(mark), score) for key, (mark, score) in table["scores"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}


@functools.cache
def _rules(metric: str, dataset: str) -> str:
    """What computes: a score by another definition says nothing about this one."""
    package = Path(__file__).parents[1]
    files = [*(package / name for name in _RULES), *(package / "metrics").glob("*.py")]
    for module in (metrics.module_of(metric), datasets.module_of(dataset)):  # of plug-ins too
        spec = importlib.util.find_spec(module)
        files += [Path(spec.origin)] if spec is not None and spec.origin is not None else []
    return canonical.digest(sorted(f"{file.name} {canonical.file_digest(file)}" for file in files))
