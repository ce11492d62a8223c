"""ERM: the mean error over all clips, whatever domain they come from."""

from __future__ import annotations

from harness.training.objectives.base import Objective

__all__ = ["ERM"]

ERM = Objective(
    name="erm",
    title="Empirical risk minimisation",
    paper="Vapnik. Statistical Learning Theory. 1998",
    place=0,
)
