"""What a stored search says: its trials, what k of them may be expected to find, what mattered.

Nothing is trained and nothing is read but the plans of the trials, predictions and labels. Test
labels are read here, after the choice, and never by the search.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from harness._util.canonical import Json
from harness.data.datasets import Dataset, datasets
from harness.errors import StoreError
from harness.metrics import Metric, metrics
from harness.runs.scores import ScoreMemory
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedRow, PlannedSearch, PlannedTuning, StoredPlan
from harness.spec import Scalar
from harness.stats.search import BestOf, Influence, best_of, influence
from harness.stats.selection import gain

__all__ = ["SearchStudy", "TrialPoint", "TuningStudy", "numbers_of_trials", "study"]


@dataclass(frozen=True, kw_only=True)
class TrialPoint:
    """One trial.

    Args:
        number: From 1.
        setting: Dimension of the space -> value, the values of several parameters as one text.
        max_epochs: Ceiling of its last run, where successive halving left it; None at the end.
        epochs: That its runs trained in all, those of every round.
        run: Key of its last run; empty for a setting that the system refuses.
        valid: Validation score of that run, NaN without one.
        test: Test score of that run, NaN without one.
    """

    number: int
    setting: Mapping[str, Scalar]
    max_epochs: int | None
    epochs: int
    run: str
    valid: float
    test: float


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchStudy:
    """The search of one row.

    Args:
        planned: What was searched.
        trials: In their order.
        metric: That chose.
        curves: ``validation``: the best of k trials on validation clips; ``test``: the same
            trials on test clips; ``oracle``: the best of k on test clips.
    """

    planned: PlannedSearch
    trials: tuple[TrialPoint, ...]
    metric: Metric
    curves: Mapping[str, tuple[BestOf, ...]]

    @property
    def label(self) -> str:
        """The row."""
        return self.planned.label

    @cached_property
    def finished(self) -> tuple[TrialPoint, ...]:
        """Trials that can be chosen: trained to the end, with a score."""
        return tuple(t for t in self.trials if t.max_epochs is None and math.isfinite(t.valid))

    @cached_property
    def chosen(self) -> TrialPoint | None:
        """The best on validation clips, the first among equals; None where none can be chosen."""
        return min(self.finished, key=lambda t: self.metric.cost(t.valid), default=None)

    @cached_property
    def oracle(self) -> TrialPoint | None:
        """The best on test clips, which nobody may choose."""
        seen = [trial for trial in self.finished if math.isfinite(trial.test)]
        return min(seen, key=lambda t: self.metric.cost(t.test), default=None)

    @property
    def optimism(self) -> float:
        """How much better the oracle's test score looks than that of the choice; NaN without."""
        if self.chosen is None or self.oracle is None:
            return math.nan
        return gain(self.metric, self.oracle.test, self.chosen.test)

    @property
    def epochs(self) -> int:
        """That all its trials trained."""
        return sum(trial.epochs for trial in self.trials)

    @property
    def failed(self) -> int:
        """Trials without a validation score."""
        return sum(not math.isfinite(trial.valid) for trial in self.trials)

    @cached_property
    def influences(self) -> Mapping[str, Influence]:
        """Dimension -> its share of the variance of ranks; the largest first."""
        costs = [self.metric.cost(trial.valid) for trial in self.finished]
        found = {
            name: influence([trial.setting[name] for trial in self.finished], costs)
            for name in self.planned.dimensions
            if self.finished
        }
        return dict(sorted(found.items(), key=lambda item: (-item[1].share, item[0])))

    def record(self) -> dict[str, Json]:
        """As JSON values, numbers unrounded, None where undefined."""
        chosen, oracle = self.chosen, self.oracle
        return {
            "row": self.label,
            "system": self.planned.system,
            "space": self.planned.space,
            "source": self.planned.source,
            "dimensions": dict(self.planned.dimensions),
            "trials": len(self.trials),
            "failed": self.failed,
            "finished": len(self.finished),
            "distinct": len({tuple(sorted(t.setting.items())) for t in self.trials}),
            "epochs": self.epochs,
            "chosen": None if chosen is None else _point(chosen),
            "oracle": None if oracle is None else _point(oracle),
            "optimism": _or_none(self.optimism),
            "curves": {
                name: [{k: _or_none(v) for k, v in asdict(each).items()} for each in curve]
                for name, curve in self.curves.items()
            },
            "importance": {
                name: {"share": each.share, "chance": each.chance}
                for name, each in self.influences.items()
            },
            "all": [_point(trial) for trial in self.trials],
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class TuningStudy:
    """A search on one corpus, all rows with the same budget.

    Args:
        plan: The stored plan of its trials.
        tuning: What was searched, and with which budget.
        dataset: Of the corpus.
        twin: Whether its data are synthetic.
        max_epochs: Ceiling of a trial.
        metric: That chose.
        searches: In the order of the suite.
    """

    plan: str
    tuning: PlannedTuning
    dataset: Dataset
    twin: bool
    max_epochs: int
    metric: Metric
    searches: tuple[SearchStudy, ...]

    def record(self) -> dict[str, Json]:
        """As JSON values."""
        tuning = self.tuning
        return {
            "plan": self.plan,
            "suite": tuning.suite,
            "corpus": tuning.corpus,
            "twin": self.twin,
            "metric": self.metric.name,
            "sampler": tuning.sampler,
            "seed": tuning.seed,
            "trials": tuning.trials,
            "batch": tuning.batch,
            "max_epochs": self.max_epochs,
            "training_seed": tuning.training_seed,
            "rungs": [rung.json() for rung in tuning.rungs],
            "rows": [search.record() for search in self.searches],
        }


def study(store: RunStore, plan: str) -> TuningStudy:
    """Study a stored search.

    Args:
        store: Where the plans and runs are.
        plan: The plan of its trials, as ``msa tune`` names it.

    Raises:
        StoreError: When there is no such plan, it is none of a search, or a record is damaged.
    """
    stored = store.plan(plan)
    if stored.tuning is None:
        raise StoreError(f"{plan!r} is a suite and no search", hint="msa tune SUITE")
    reader = _Reader(store, stored, stored.tuning)
    found = TuningStudy(
        plan=plan,
        tuning=stored.tuning,
        dataset=reader.dataset,
        twin=stored.corpora[0].twin,
        max_epochs=_max_epochs(stored),
        metric=reader.metric,
        searches=tuple(reader.searches()),
    )
    reader.keep()
    return found


def numbers_of_trials(trials: int) -> tuple[int, ...]:
    """The k that curves have: all of few, and steps of about a fifth beyond.

    Example:
        >>> numbers_of_trials(20)
        (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20)
    """
    found, k = [], 1
    while k < trials:
        found.append(k)
        k = max(k + 1, round(k * 1.2))
    return (*found, trials)


class _Reader:
    """Reads the trials of a plan and of the rounds before it."""

    def __init__(self, store: RunStore, plan: StoredPlan, tuning: PlannedTuning) -> None:
        self._store, self._tuning = store, tuning
        corpus = plan.corpora[0]
        self.dataset = datasets[corpus.dataset]
        self.metric = metrics[tuning.metric]
        self._scores = {
            split: ScoreMemory(store, corpus.data, self.dataset, self.metric, split)
            for split in ("valid", "test")
        }
        before = ((rung.max_epochs, store.plan(rung.plan)) for rung in tuning.rungs)
        self._rounds: list[tuple[int | None, StoredPlan]] = [*before, (None, plan)]

    def searches(self) -> Iterator[SearchStudy]:
        """Every row that was searched."""
        found = [(epochs, *_by_label(plan)) for epochs, plan in self._rounds]
        for row in self._tuning.rows:
            trials = tuple(
                trial
                for number in range(1, self._tuning.trials + 1)
                if (trial := self._trial(row, number, found)) is not None
            )
            yield SearchStudy(
                planned=row, trials=trials, metric=self.metric, curves=self._curves(trials)
            )

    def keep(self) -> None:
        """Remember the scores that were read."""
        for scores in self._scores.values():
            scores.keep()

    def _trial(
        self,
        row: PlannedSearch,
        number: int,
        rounds: Sequence[tuple[int | None, Mapping[str, PlannedRow], Mapping[str, str]]],
    ) -> TrialPoint | None:
        """A trial by the last round that it reached; None where the plan lacks it."""
        label = f"{row.label} #{number}"
        reached = [
            (epochs, rows[label], keys.get(label)) for epochs, rows, keys in rounds if label in rows
        ]
        if not reached:
            return None
        left_at, planned, key = reached[-1]
        keys = [key for _, _, key in reached if key is not None and key in self._store]
        there = key is not None and key in self._store
        return TrialPoint(
            number=number,
            setting={name: _drawn(name, planned) for name in row.dimensions},
            max_epochs=left_at,
            epochs=sum(self._store.get(each).manifest.result.epochs for each in keys),
            run=key or "",
            valid=self._score("valid", key) if key and there else math.nan,
            test=self._score("test", key) if key and there else math.nan,
        )

    def _score(self, split: str, key: str) -> float:
        try:
            return self._scores[split].of(key)
        except StoreError:  # damaged: msa verify says why, msa tune runs it again
            return math.nan

    def _curves(self, trials: Sequence[TrialPoint]) -> dict[str, tuple[BestOf, ...]]:
        """Nothing for successive halving, whose trials are no draws of one kind."""
        if self._tuning.rungs or not trials:
            return {}
        valid = [self.metric.cost(trial.valid) for trial in trials]
        tested = [self.metric.cost(trial.test) for trial in trials]
        ks = numbers_of_trials(len(trials))
        return {
            "validation": best_of(valid, [trial.valid for trial in trials], ks),
            "test": best_of(valid, [trial.test for trial in trials], ks),
            "oracle": best_of(tested, [trial.test for trial in trials], ks),
        }


def _by_label(plan: StoredPlan) -> tuple[dict[str, PlannedRow], dict[str, str]]:
    rows = {row.label: row for row in plan.rows}
    return rows, {cell.label: cell.key for cell in plan.cells if cell.key is not None}


def _drawn(dimension: str, row: PlannedRow) -> Scalar:
    """What a trial has in a dimension: a value, or those of several parameters as one text."""
    values = [row.changed[name] for name in dimension.split("+")]
    return values[0] if len(values) == 1 else " ".join(map(str, values))


def _max_epochs(plan: StoredPlan) -> int:
    found: Any = plan.protocol.more["max_epochs"]
    return int(found)


def _point(trial: TrialPoint) -> dict[str, Json]:
    return {
        "trial": trial.number,
        "setting": dict(trial.setting),
        "run": trial.run,
        "epochs": trial.epochs,
        "max_epochs": trial.max_epochs,
        "valid": _or_none(trial.valid),
        "test": _or_none(trial.test),
    }


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
