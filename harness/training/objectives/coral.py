"""CORAL: representations have the same mean and covariance in every domain.

The paper compares covariances of two domains; that means are compared too, and all pairs of
domains, is DomainBed's.

Shapes: B clips of a batch, D domains, H features.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from harness.training.objectives.base import (
    Evidence,
    Objective,
    ObjectiveSetting,
    Term,
    domain_means,
)

__all__ = ["CORAL", "moment_distance"]


def moment_distance(representation: Tensor, members: Tensor) -> Tensor:
    """How far apart the domains' first two moments are.

        mean over pairs (d, e) of  mean_i (m_di - m_ei)^2 + mean_ij (C_dij - C_eij)^2

    Args:
        representation: (B, H).
        members: (B, D) indicators, at least two clips of every domain.

    Returns:
        A scalar; C is the unbiased covariance.
    """
    means = domain_means(representation, members)  # (D, H)
    centred = representation - members @ means
    freedom = (members.sum(0) - 1).clamp(min=1)
    covariances = torch.stack(
        [(column * centred.mT) @ centred for column in members.mT]
    ) / freedom.view(-1, 1, 1)
    pairs = list(combinations(range(members.shape[1]), 2))
    left, right = (torch.tensor(side, device=means.device) for side in zip(*pairs, strict=True))
    first = (means[left] - means[right]).square().mean(1)
    second = (covariances[left] - covariances[right]).square().mean((1, 2))
    return (first + second).mean()


class _Alignment(Term):
    def __init__(self, setting: ObjectiveSetting) -> None:
        super().__init__()
        self.weight = setting.penalty

    def forward(self, evidence: Evidence) -> Tensor:
        assert evidence.representation is not None
        return self.weight * moment_distance(evidence.representation, evidence.members)


CORAL = Objective(
    name="coral",
    title="CORAL",
    paper="Sun, Saenko. Deep CORAL. ECCV Workshops 2016",
    term=_Alignment,
    represents=True,
    place=10,
)
