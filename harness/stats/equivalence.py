"""Practical equivalence: "no difference that matters", claimed rather than assumed."""

from __future__ import annotations

from dataclasses import dataclass

from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.stats.compare import Comparison

__all__ = ["Equivalence", "declared_margin", "tost"]


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """Outcome of two one-sided tests."""

    margin: float
    p_value: float
    """The larger of the two one-sided p-values."""
    low: float
    """Lower end of the 1 - 2·alpha interval."""
    high: float
    """Upper end of the 1 - 2·alpha interval."""
    equivalent: bool
    """Whether p < alpha, that is the interval lies inside ±margin."""


def declared_margin(dataset: str, metric: str) -> float | None:
    """The margin a dataset declares for a metric, None when it declares none.

    Example:
        >>> declared_margin("mosi", "mae"), declared_margin("mosi", "corr")
        (0.01, None)
    """
    return datasets[dataset].margins.get(metric)


def tost(comparison: Comparison, margin: float | None = None, alpha: float = 0.05) -> Equivalence:
    """Test whether two systems differ by less than a margin.

    Args:
        comparison: The compared systems.
        margin: In units of the metric; by default the one its dataset declares.
        alpha: Level of each one-sided test.

    Raises:
        SpecError: When no margin is given or declared, or it is not positive.
    """
    if margin is None:
        margin = declared_margin(comparison.dataset, comparison.metric)
    if margin is None:
        raise SpecError(
            f"{comparison.dataset} declares no equivalence margin for {comparison.metric}",
            hint="give one, decided before looking at the result",
        )
    p_value = comparison.reference.p_equivalence(margin)
    low, high = comparison.reference.interval(1.0 - 2.0 * alpha)
    return Equivalence(
        margin=margin, p_value=p_value, low=low, high=high, equivalent=p_value < alpha
    )
