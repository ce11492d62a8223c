"""GroupDRO: the worse a domain is served, the more it counts.

Shapes: D domains.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.training.objectives.base import Evidence, Objective, ObjectiveSetting, Term

__all__ = ["GROUP_DRO", "STEP"]

STEP = 0.01
"""How fast the weights move, times ``TrainingParams.penalty``; DomainBed's default."""


class _Worst(Term):
    """Sum over domains of (q_d - 1/D) R_d, with q_d <- q_d exp(step R_d) / sum.

    Batches have equally many clips of every domain, so what is added turns their mean error, the
    mean of the R_d, into the sum of the q_d R_d. Networks with a task loss of their own keep it and
    are tilted all the same.
    """

    q: Tensor

    def __init__(self, setting: ObjectiveSetting) -> None:
        super().__init__()
        self.step = STEP * setting.penalty
        self.register_buffer("q", torch.full((setting.domains,), 1 / setting.domains))

    def forward(self, evidence: Evidence) -> Tensor:
        with torch.no_grad():
            grown = self.q * (self.step * evidence.risks).exp()
            self.q = grown / grown.sum()
        return ((self.q - 1 / len(self.q)) * evidence.risks).sum()


GROUP_DRO = Objective(
    name="group_dro",
    title="GroupDRO",
    paper="Sagawa, Koh, Hashimoto, Liang. Distributionally Robust Neural Networks for Group Shifts."
    " ICLR 2020",
    term=_Worst,
    place=30,
)
