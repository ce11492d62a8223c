"""Tests of narrower questions, each labelled with the question it answers.

They hold something fixed that a new study would change: the trained checkpoints, or the test clips.

Shapes: N clips, S seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness._util.seeds import derive
from harness.errors import SpecError
from harness.metrics import Values
from harness.stats.power import smallest_p_over_seeds

__all__ = [
    "Conditional",
    "mcnemar",
    "paired_t_over_seeds",
    "probability_of_improvement",
    "sign_flip",
    "wilcoxon_over_seeds",
]

_Cell = TypeVar("_Cell", np.bool_, np.float64)

_THESE_CHECKPOINTS = (
    "these two checkpoints on independent clips like these; says nothing about new seeds, and"
    " clips of one video are not independent"
)


@dataclass(frozen=True, kw_only=True)
class Conditional:
    """A p-value and what it is worth."""

    test: str
    p_value: float
    question: str
    """What the p-value is about."""
    warning: str | None = None
    """Why not to use it to compare systems; None when it answers ``question`` validly."""


def mcnemar(right_a: ArrayLike, right_b: ArrayLike) -> Conditional:
    """Exact McNemar test of two checkpoints' accuracies.

    Args:
        right_a: (N,) whether checkpoint A is right on each clip.
        right_b: (N,) the same for checkpoint B.

    Source:
        McNemar. Psychometrika 12(2), 1947; exact binomial form.

    Example:
        >>> mcnemar([1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0]).p_value
        0.03125
    """
    from scipy.stats import binomtest  # imported late: a second of every command's start

    a, b = _same_length(np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool))
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_a + only_b
    p_value = float(binomtest(only_a, discordant).pvalue) if discordant else 1.0
    return Conditional(test="McNemar, exact", p_value=p_value, question=_THESE_CHECKPOINTS)


def sign_flip(
    loss_a: ArrayLike, loss_b: ArrayLike, flips: int = 10_000, seed: int = 0
) -> Conditional:
    """Sign-flip permutation test of two checkpoints' mean losses.

    Args:
        loss_a: (N,) loss of checkpoint A per clip, such as its absolute error.
        loss_b: (N,) the same for checkpoint B.
        flips: Random sign vectors; the p-value is at least 1 / (flips + 1).
        seed: Of the signs.
    """
    a, b = _same_length(np.asarray(loss_a, np.float64), np.asarray(loss_b, np.float64))
    difference = a - b
    generator = np.random.default_rng(derive(seed, "sign flips"))
    observed, extreme = abs(difference.sum()) * (1.0 - 1e-12), 0
    for _ in range(flips):  # row by row: memory stays at N
        signs = generator.integers(2, size=difference.size) * 2 - 1
        extreme += int(abs(signs @ difference) >= observed)
    p_value = (1 + extreme) / (1 + flips)
    return Conditional(test="sign flips over clips", p_value=p_value, question=_THESE_CHECKPOINTS)


def paired_t_over_seeds(scores_a: ArrayLike, scores_b: ArrayLike) -> Conditional:
    """The customary paired t test over seeds, with its warning.

    Args:
        scores_a: (S,) metric of A per seed, S ≥ 2.
        scores_b: (S,) metric of B per seed.
    """
    from scipy.stats import t

    difference = _difference(scores_a, scores_b)
    spread, mean = float(difference.std(ddof=1)), float(difference.mean())
    if spread > 0:
        statistic = abs(mean) / (spread / difference.size**0.5)
        p_value = 2.0 * float(t.sf(statistic, difference.size - 1))
    else:
        p_value = float(mean == 0)
    return Conditional(
        test="paired t over seeds",
        p_value=p_value,
        question="new seeds on exactly these test clips",
        warning="invalid for new clips: on data like MOSI five seeds declare a false winner in"
        " about 11 % of comparisons, ten in about 24 %",
    )


def wilcoxon_over_seeds(scores_a: ArrayLike, scores_b: ArrayLike) -> Conditional:
    """The customary Wilcoxon signed-rank test over seeds, with its warning.

    Args:
        scores_a: (S,) metric of A per seed, S ≥ 2.
        scores_b: (S,) metric of B per seed.
    """
    from scipy.stats import wilcoxon

    difference = _difference(scores_a, scores_b)
    p_value = float(wilcoxon(difference).pvalue) if difference.any() else 1.0
    smallest = smallest_p_over_seeds(difference.size)
    if smallest >= 0.05:
        warning = f"powerless: with {difference.size} seeds p cannot fall below {smallest:g}"
    else:
        warning = "invalid for new clips: it treats the test set as the whole world"
    return Conditional(
        test="Wilcoxon over seeds",
        p_value=p_value,
        question="new seeds on exactly these test clips",
        warning=warning,
    )


def probability_of_improvement(
    scores_a: ArrayLike, scores_b: ArrayLike, *, higher_is_better: bool
) -> float:
    """Probability that a random run of A beats a random run of B, ties half, on these clips.

    Args:
        scores_a: (S_a,) metric of A per seed.
        scores_b: (S_b,) metric of B per seed; numbers of seeds may differ.
        higher_is_better: The metric's direction.

    Source:
        Agarwal et al. NeurIPS 2021; the Mann-Whitney statistic over S_a · S_b.

    Example:
        >>> probability_of_improvement([0.7, 0.8], [0.8, 0.9], higher_is_better=False)
        0.875
    """
    gap = np.subtract.outer(np.asarray(scores_a, np.float64), np.asarray(scores_b, np.float64))
    wins = gap > 0 if higher_is_better else gap < 0
    return float(np.mean(wins + 0.5 * (gap == 0)))


def _difference(scores_a: ArrayLike, scores_b: ArrayLike) -> Values:
    a, b = _same_length(np.asarray(scores_a, np.float64), np.asarray(scores_b, np.float64))
    if a.size < 2:
        raise SpecError(f"a test over seeds takes two seeds or more, found {a.size}")
    return a - b


def _same_length(a: NDArray[_Cell], b: NDArray[_Cell]) -> tuple[NDArray[_Cell], NDArray[_Cell]]:
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise SpecError(f"expected two rows of equal length, found shapes {a.shape} and {b.shape}")
    return a, b
