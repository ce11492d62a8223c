"""Checks of the numbers reported for one system on one dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from harness.checks.reported_numbers.constants import Constants, binary_constants, binary_tasks
from harness.checks.reported_numbers.f1 import can_go_together
from harness.checks.reported_numbers.reported import Reported
from harness.data.datasets import Counts, Dataset
from harness.metrics import metrics

__all__ = ["LintFinding", "lint"]

Verdict = Literal["impossible", "suspicious", "note"]
Row: TypeAlias = Mapping[str, Reported]
_Sized: TypeAlias = tuple[str, Reported, int]

_MANY = 3
"""So many accuracies that are all k/n are no coincidence worth ignoring."""
_RARE = 1e-3
_PRECISE = Fraction(1, 1000)
"""Coarser numbers equal a constant predictor's by chance."""


@dataclass(frozen=True)
class LintFinding:
    """Something about the numbers of one row.

    Args:
        kind: Stable key: ``range``, ``count``, ``truncated``, ``one-run``, ``not-checkable``,
            ``order``, ``f1``, ``constant``.
        verdict: ``impossible`` under the stated assumption, ``suspicious`` or a ``note``.
        metrics: The metrics it is about.
        text: One sentence for people.
    """

    kind: str
    verdict: Verdict
    metrics: tuple[str, ...]
    text: str


def lint(
    row: Row,
    dataset: Dataset,
    *,
    split: str = "test",
    runs: int | None = None,
    constants: Constants | None = None,
) -> list[LintFinding]:
    """Everything wrong or odd about the numbers reported for one system on one dataset.

    Args:
        row: Canonical metric -> number as printed.
        dataset: The dataset, for the official counts of its split.
        split: The split they are of.
        runs: Over how many runs they are means; None when nobody says.
        constants: Scores of constant predictors; from the official counts when None.
    """
    counts = dataset.splits[split]
    known = binary_constants(dataset, split) if constants is None else constants
    return [
        *_ranges(row),
        *_accuracies(row, counts, runs),
        *_orders(row, dataset, counts, runs),
        *_f1_scores(row, dataset, counts, runs),
        *_constant(row, known),
    ]


# One number


def _ranges(row: Row) -> Iterator[LintFinding]:
    for name, number in row.items():
        metric = metrics[name]
        if number.high < metric.low or number.low > metric.high:
            yield LintFinding(
                "range",
                "impossible",
                (name,),
                f"{_shown(name, number)} is outside [{metric.low:g}, {metric.high:g}]",
            )


def _clips(name: str, counts: Counts) -> int | None:
    """Number of clips an accuracy is over, None for what is no accuracy or over other clips."""
    if name == "acc2_non0":
        return counts.negative + counts.positive
    return counts.clips if name in ("acc2", "acc2_has0", "acc3", "acc5", "acc7") else None


def _has_multiple(low: Fraction, high: Fraction, n: int) -> bool:
    """Whether some k/n lies in [low, high]."""
    return math.ceil(low * n) <= math.floor(high * n)


def _accuracies(row: Row, counts: Counts, runs: int | None) -> Iterator[LintFinding]:
    sized = [(name, number, n) for name, number in row.items() if (n := _clips(name, counts))]
    if runs is None or runs == 1:
        yield from _singles(sized, runs)
    else:
        yield from _means(sized, runs)
    single = [item for item in sized if _has_multiple(item[1].low, item[1].high, item[2])]
    if runs != 1 and len(single) == len(sized) >= _MANY:
        yield from _like_one_run(single, runs)


def _singles(sized: list[_Sized], runs: int | None) -> Iterator[LintFinding]:
    off = []
    for name, number, n in sized:
        if _has_multiple(number.low, number.high, n):
            continue
        if _has_multiple(number.value, number.value + number.step, n):
            text = f"{_shown(name, number)} is a count out of {n} only if cut off, not rounded"
            yield LintFinding("truncated", "note", (name,), text)
        elif runs == 1:
            text = f"{_shown(name, number)} is no count out of {n} clips"
            yield LintFinding("count", "impossible", (name,), text)
        else:
            off.append(name)
    if off:
        text = f"{_titles(off)}: no counts of test clips, so not one run on all of them"
        yield LintFinding("count", "note", tuple(off), text)


def _means(sized: list[_Sized], runs: int) -> Iterator[LintFinding]:
    blunt = []
    for name, number, n in sized:
        wide = number.widened()
        if wide.step * n * runs >= 1:
            blunt.append(name)
        elif not _has_multiple(wide.low, wide.high, n * runs):
            text = f"{_shown(name, number)} is no mean of {runs} counts out of {n} clips"
            yield LintFinding("count", "impossible", (name,), text)
    if blunt:
        text = f"{_titles(blunt)}: means of {runs} runs can take any value at this precision"
        yield LintFinding("not-checkable", "note", tuple(blunt), text)


def _like_one_run(single: list[_Sized], runs: int | None) -> Iterator[LintFinding]:
    chance = math.prod(min(1.0, float(number.step * n)) for _, number, n in single)
    if chance > _RARE:
        return
    names = tuple(name for name, _, _ in single)
    text = (
        f"all {len(names)} accuracies are counts out of the test clips, as of one run"
        f" (by chance 1 in {round(1 / chance):,})"
    )
    yield LintFinding("one-run", "note" if runs is None else "suspicious", names, text)


# Two numbers of the same predictions


@dataclass(frozen=True)
class _Order:
    """At least ``least`` and at most ``most`` more clips are right by ``a`` than by ``b``."""

    a: str
    b: str
    least: int
    most: int
    but: str = ""


def _known_orders(dataset: Dataset, counts: Counts) -> Iterator[_Order]:
    """What follows from the definitions, for every prediction.

    Rounding within ±k sends equal classes to equal classes when k shrinks, and so does merging
    bins. On CH-SIMS both Acc-2 ask p > 0 and differ by the zero clips alone, and a clip right in
    Acc-3 with a label outside the neutral bin has the right sign. On MOSI one asks p ≥ 0, the
    other p > 0: they differ elsewhere only where p is exactly 0.
    """
    n, zero = counts.clips, counts.zero
    if dataset.family == "mosi":
        yield _Order("acc2_has0", "acc2_non0", 0, zero, " unless some predictions are exactly 0")
        yield from (_Order(a, b, 0, n) for a, b in (("acc3", "acc5"), ("acc5", "acc7")))
        yield _Order("acc3", "acc7", 0, n)
    else:
        yield _Order("acc2", "acc2_non0", 0, zero)
        yield _Order("acc3", "acc5", 0, n)
        if dataset.grid is not None and dataset.grid > 0.1:
            yield _Order("acc2", "acc3", -zero, n)


def _orders(row: Row, dataset: Dataset, counts: Counts, runs: int | None) -> Iterator[LintFinding]:
    for order in _known_orders(dataset, counts):
        if order.a in row and order.b in row:
            low_a, high_a = _right(order.a, row, counts, runs)
            low_b, high_b = _right(order.b, row, counts, runs)
            if high_a - low_b < order.least or low_a - high_b > order.most:
                yield _contradiction(order, row, low_a - high_b, high_a - low_b)


def _right(name: str, row: Row, counts: Counts, runs: int | None) -> tuple[Fraction, Fraction]:
    """Fewest and most clips that are right, on average over runs."""
    n = _clips(name, counts) or 0
    number = row[name] if runs == 1 else row[name].widened()
    return number.low * n, number.high * n


def _contradiction(order: _Order, row: Row, low: Fraction, high: Fraction) -> LintFinding:
    most = math.ceil(high) if high < order.least else math.floor(low)
    return LintFinding(
        "order",
        "suspicious" if order.but else "impossible",
        (order.a, order.b),
        f"{_shown(order.a, row[order.a])} and {_shown(order.b, row[order.b])} differ by"
        f" about {most:+d} clips;"
        f" {order.least:+d} to {order.most:+d} are possible{order.but}",
    )


# Accuracy and F1


def _f1_scores(
    row: Row, dataset: Dataset, counts: Counts, runs: int | None
) -> Iterator[LintFinding]:
    for accuracy, f1, positive, negative in binary_tasks(dataset, counts):
        if accuracy in row and f1 in row:
            correct, swapped = (
                can_go_together(row[accuracy], row[f1], positive, negative, runs, swapped=s)
                for s in (False, True)
            )
            if not correct:
                yield _wrong_f1(accuracy, f1, row, swapped=swapped)


def _wrong_f1(accuracy: str, f1: str, row: Row, *, swapped: bool) -> LintFinding:
    text = f"{_shown(f1, row[f1])} cannot go with {_shown(accuracy, row[accuracy])}"
    if swapped:
        text += " when weighted by label support; it can with its arguments swapped"
    return LintFinding("f1", "suspicious" if swapped else "impossible", (accuracy, f1), text)


# Constant predictors


def _constant(row: Row, constants: Constants) -> Iterator[LintFinding]:
    for name, number in row.items():
        same = [
            predictor
            for predictor, scores in constants.items()
            if name in scores
            and number.step <= _PRECISE
            and number.low <= Fraction(scores[name]) <= number.high
        ]
        if same:
            text = f"{_shown(name, number)} is that of predicting {same[0]}"
            yield LintFinding("constant", "suspicious", (name,), text)


def _shown(name: str, number: Reported) -> str:
    return f"{metrics[name].title} {number.text}"


def _titles(names: list[str]) -> str:
    return ", ".join(metrics[name].title for name in names)
