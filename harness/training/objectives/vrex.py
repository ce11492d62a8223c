"""V-REx: the risk is the same in every domain.

Shapes: D domains.
"""

from __future__ import annotations

from torch import Tensor

from harness.training.objectives.base import Evidence, Objective, ObjectiveSetting, Term

__all__ = ["VREX", "WARM_UP", "risk_variance"]

WARM_UP = 5
"""Epochs of plain risk before the variance counts."""


def risk_variance(risks: Tensor) -> Tensor:
    """(D, ...) -> (...), the mean squared deviation from the domains' mean."""
    return risks.var(0, correction=0)


class _Extrapolation(Term):
    def __init__(self, setting: ObjectiveSetting) -> None:
        super().__init__()
        self.weight = setting.penalty

    def forward(self, evidence: Evidence) -> Tensor:
        weight = self.weight if evidence.epoch > WARM_UP else 0.0
        return weight * risk_variance(evidence.risks)


VREX = Objective(
    name="vrex",
    title="V-REx",
    paper="Krueger et al. Out-of-Distribution Generalization via Risk Extrapolation. ICML 2021",
    term=_Extrapolation,
    place=20,
)
