"""Conformance of metrics: what every metric must do, found out by calling it.

Shapes: N clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from harness.checks.findings import Broken, ConformanceFinding, Skipped, found
from harness.data.datasets import Dataset, datasets
from harness.metrics import Metric, Score, Values
from harness.metrics.sums import Additive

__all__ = ["check_metric"]

_CLIPS = 60
_CLOSE = 1e-9
_TRANSFERS = ("mosei-to-mosi", "mosi-to-sims")  # whose families have metrics of their own


def check_metric(metric: Metric) -> list[ConformanceFinding]:
    """Check a metric on predictions for every dataset that it is defined on.

    Args:
        metric: What to check.
    """
    return found(_CHECKS, metric)


def _cases(metric: Metric) -> Iterator[tuple[Dataset, Score, Values, Values]]:
    """(dataset, score, (N,) predictions, (N,) labels); labels rise over the whole scale."""
    rng = np.random.default_rng(0)
    for dataset in (*datasets.values(), *(datasets[name] for name in _TRANSFERS)):
        if metric.defined_on(dataset):
            truth = np.linspace(dataset.low, dataset.high, _CLIPS).round(1)
            noise = rng.normal(0.0, 0.2 * (dataset.high - dataset.low), _CLIPS)
            yield dataset, metric.on(dataset), truth + noise, truth


def _defined(metric: Metric) -> None:
    """It has a definition for at least one dataset, and says what it is."""
    if next(_cases(metric), None) is None:
        raise Broken("no dataset's family has a definition: give functions or otherwise")
    empty = [name for name in ("title", "definition", "source") if not getattr(metric, name)]
    if empty:
        raise Broken(f"says nothing of its {' and '.join(empty)}")


def _range(metric: Metric) -> None:
    """One float for ordinary predictions, within the range that it states."""
    for dataset, score, pred, truth in _cases(metric):
        value = score(pred, truth)
        if not isinstance(value, float):
            raise Broken(f"on {dataset.name}: a float is expected, found {type(value).__name__}")
        if not metric.low - _CLOSE <= value <= metric.high + _CLOSE:
            raise Broken(
                f"on {dataset.name}: {value:g} is outside {metric.low:g} to {metric.high:g}"
            )


def _direction(metric: Metric) -> None:
    """Predictions that equal the labels are no worse than noisy ones."""
    for dataset, score, pred, truth in _cases(metric):
        perfect, noisy = score(truth.copy(), truth), score(pred, truth)
        if metric.cost(perfect) > metric.cost(noisy):
            raise Broken(
                f"on {dataset.name}: the labels themselves score {perfect:g}, noise scores"
                f" {noisy:g}, and {'higher' if metric.higher_is_better else 'lower'} is better"
            )


def _pure(metric: Metric) -> None:
    """The same value again, for clips in any order; nothing that it is given changes."""
    order = np.random.default_rng(1).permutation(_CLIPS)
    for dataset, score, pred, truth in _cases(metric):
        given, labels = pred.copy(), truth.copy()
        first, again = score(given, labels), score(given, labels)
        if not (np.array_equal(given, pred) and np.array_equal(labels, truth)):
            raise Broken(f"on {dataset.name}: it writes into its arguments")
        if first != again:
            raise Broken(f"on {dataset.name}: {first:g} and then {again:g} for the same clips")
        shuffled = score(pred[order], truth[order])
        if abs(shuffled - first) > _CLOSE:
            raise Broken(f"on {dataset.name}: {first:g}, in another order {shuffled:g}")


def _undefined(metric: Metric) -> None:
    """Constant predictions and single clips give a number or NaN, which it then owns up to."""
    for dataset, score, pred, truth in _cases(metric):
        constant = score(np.full(_CLIPS, truth[0]), truth)
        values = {"constant predictions": constant, "one clip": score(pred[:1], truth[:1])}
        for what, value in values.items():
            if math.isnan(value) and metric.undefined == "never":
                raise Broken(f"on {dataset.name}: NaN for {what}; `undefined` says never")


def _sums(metric: Metric) -> None:
    """Read off sums, it is what it is clip by clip."""
    seen = False
    for dataset, score, pred, truth in _cases(metric):
        parts = score.parts(pred[None], truth) if isinstance(score, Additive) else None
        if parts is None:
            continue
        seen, (terms, read) = True, parts
        clips = np.random.default_rng(2).integers(0, _CLIPS, _CLIPS)
        weights = np.bincount(clips, minlength=_CLIPS).astype(np.float64)
        by_sums = float(
            read(np.stack([np.broadcast_to(t, (1, _CLIPS)) @ weights for t in terms], -1))[0]
        )
        by_clips = score(pred[clips], truth[clips])
        if not math.isclose(by_sums, by_clips, abs_tol=1e-8):
            raise Broken(f"on {dataset.name}: {by_clips:g} clip by clip, {by_sums:g} by sums")
    if not seen:
        raise Skipped("not read off sums: bootstraps compute it draw by draw")


_CHECKS: Mapping[str, Callable[[Metric], None]] = {
    "defined": _defined,
    "range": _range,
    "direction": _direction,
    "pure": _pure,
    "undefined": _undefined,
    "sums": _sums,
}
