"""One metric's many meanings: ten clips under five rules, and dead models with two kinds of F1.

No dataset is needed: the ten clips are made up, and of the real test sets only the published counts
of negative, zero and positive labels are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.data.datasets import Counts, Dataset, datasets
from harness.metrics import Values, score_conventions
from harness.metrics.classification import Code, non_negative, non_zero, positive
from harness.metrics.conventions import CONVENTIONS, Convention, Row

__all__ = [
    "COLUMNS",
    "PRED",
    "TRUTH",
    "WORDLESS",
    "ConventionReading",
    "Dead",
    "Same",
    "dead_models",
    "readings",
    "same_scores",
]

TRUTH = (0.0, 0.0, -0.5, 0.5, 1.5, 2.5, -1.5, -2.5, 1.0, -1.0)
"""Labels of ten made-up clips on MOSI's scale."""

PRED = (-0.1, 0.0, 0.0, 1.4, 2.5, 3.6, -0.5, -1.5, -0.2, -1.2)
"""One system's predictions for them."""

WORDLESS = 3
"""Place of the clip that is taken to have an empty transcript."""

COLUMNS = ("acc2_has0", "f1_has0", "acc2_non0", "f1_non0", "mae", "corr")
"""Metrics by which repositories are told apart."""

_LOADER = "multibench"  # the one repository whose loader, not its metric, sets it apart


@dataclass(frozen=True, kw_only=True)
class ConventionReading:
    """One rule for Acc-2, applied to the ten clips.

    Args:
        positive: What it counts as positive.
        clips: Which clips count.
        reason: What sets it apart.
        users: Repositories that follow it.
        verdicts: Per clip: right, wrong, or None when left out.
        value: Acc-2 as ``score_conventions`` gives it.
    """

    positive: str
    clips: str
    reason: str
    users: tuple[str, ...]
    verdicts: tuple[bool | None, ...]
    value: float

    @property
    def right(self) -> int:
        """Number of clips that are right."""
        return sum(verdict is True for verdict in self.verdicts)

    @property
    def counted(self) -> int:
        """Number of clips that count."""
        return sum(verdict is not None for verdict in self.verdicts)


@dataclass(frozen=True)
class _Rule:
    code: Code
    zeros: bool  # whether clips labelled zero count
    words: bool  # whether clips without words count
    reason: str


_RULES = (
    _Rule(non_negative, True, True, "zero is positive, in labels and predictions"),
    _Rule(non_negative, False, True, "zero labels left out; a prediction of exactly 0 is positive"),
    _Rule(
        positive, False, False, "zero labels left out, and clips without words dropped on loading"
    ),
    _Rule(positive, False, True, "zero labels left out; a prediction of exactly 0 is negative"),
    _Rule(positive, True, True, "zero is negative, in labels and predictions"),
)


def readings() -> tuple[ConventionReading, ...]:
    """The five rules in use, lowest Acc-2 first."""
    return tuple(sorted(map(_reading, _RULES), key=lambda reading: reading.value))


def _reading(rule: _Rule) -> ConventionReading:
    truth, pred = np.array(TRUTH), np.array(PRED)
    counts = np.full(truth.shape, True) if rule.zeros else non_zero(truth)
    if not rule.words:
        counts[WORDLESS] = False
    right = rule.code(pred) == rule.code(truth)
    users = [convention for convention in CONVENTIONS if _follows(convention, rule)]
    return ConventionReading(
        positive="p ≥ 0" if rule.code is non_negative else "p > 0",
        clips="all clips" if rule.zeros else "y ≠ 0" if rule.words else "y ≠ 0, with words",
        reason=rule.reason,
        users=tuple(user.title for user in users if user.name != "canonical"),
        verdicts=tuple(bool(r) if c else None for r, c in zip(right, counts, strict=True)),
        value=_acc2(users[0], rule),
    )


def _follows(convention: Convention, rule: _Rule) -> bool:
    own = convention.rules.get("mosi")
    if own is None or (convention.name == _LOADER) is rule.words:
        return False
    return rule.code is (own.all_clips if rule.zeros else own.non_zero_clips)


def _acc2(convention: Convention, rule: _Rule) -> float:
    given = [place for place in range(len(TRUTH)) if rule.words or place != WORDLESS]
    rows = _rows(np.take(PRED, given), np.take(TRUTH, given), datasets["mosi"])
    return _number(rows[convention.name], "acc2_has0" if rule.zeros else "acc2_non0")


def _rows(pred: ArrayLike, truth: ArrayLike, dataset: Dataset) -> dict[str, Row]:
    """Convention -> its scores."""
    return {str(row["convention"]): row for row in score_conventions(pred, truth, dataset)}


def _number(row: Row, column: str) -> float:
    value = row[column]
    assert isinstance(value, float)
    return value


@dataclass(frozen=True, kw_only=True)
class Same:
    """Repositories that print the same numbers for the ten clips.

    Args:
        users: Their titles.
        scores: One of ``COLUMNS`` -> value, None where they report none.
    """

    users: tuple[str, ...]
    scores: Mapping[str, float | None]


def same_scores() -> tuple[Same, ...]:
    """The ten clips, all with words, under every repository's convention; equal rows joined."""
    groups: dict[tuple[float | None, ...], list[str]] = {}
    titles = {convention.name: convention.title for convention in CONVENTIONS}
    for name, row in _rows(PRED, TRUTH, datasets["mosi"]).items():
        if name != "canonical":
            scores = tuple(_number(row, c) if row[c] is not None else None for c in COLUMNS)
            groups.setdefault(scores, []).append(titles[name])
    return tuple(
        Same(users=tuple(users), scores=dict(zip(COLUMNS, scores, strict=True)))
        for scores, users in groups.items()
    )


@dataclass(frozen=True, kw_only=True)
class Dead:
    """Scores of a model that gives every clip of a test set the same answer.

    Args:
        dataset: Title.
        clips: Which clips count.
        answer: The answer that is right more often.
        accuracy: Its Acc-2.
        f1: Weighted by labels.
        swapped: Weighted by predictions.
    """

    dataset: str
    clips: str
    answer: str
    accuracy: float
    f1: float
    swapped: float


def dead_models() -> tuple[Dead, ...]:
    """The better constant answer on every official test set, in each of its kinds of Acc-2."""
    return tuple(
        _dead(dataset, suffix)
        for dataset in (datasets[name] for name in ("sims", "simsv2", "mosi", "mosei"))
        for suffix in (("_has0", "_non0") if dataset.family == "mosi" else ("",))
    )


def _dead(dataset: Dataset, suffix: str) -> Dead:
    truth = _signs(dataset.splits["test"])

    def scored(answer: float) -> Dead:
        rows = _rows(np.full(truth.shape, answer), truth, dataset)
        return Dead(
            dataset=dataset.title,
            clips="non-zero" if suffix == "_non0" else "all",
            answer="positive" if answer > 0 else "negative",
            accuracy=_number(rows["mmsa"], f"acc2{suffix}"),
            f1=_number(rows["mmsa"], f"f1{suffix}"),
            swapped=_number(rows["mmsa_before_fix"], f"f1{suffix}"),
        )

    return max((scored(answer) for answer in (-1.0, 1.0)), key=lambda dead: dead.accuracy)


def _signs(counts: Counts) -> Values:
    """(N,) labels of the right signs."""
    return np.repeat([-1.0, 0.0, 1.0], [counts.negative, counts.zero, counts.positive])
