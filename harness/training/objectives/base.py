"""What an objective adds: a term of the loss that compares the domains of a training batch.

Shapes: B clips of a batch, D domains, H features of a representation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.data.batching import BatchSource
from harness.system.objectives import Objective

__all__ = [
    "Evidence",
    "Objective",
    "ObjectiveSetting",
    "Term",
    "domain_means",
    "membership",
    "training_domains",
]


@dataclass(frozen=True, kw_only=True)
class ObjectiveSetting:
    """What a term is made for.

    Args:
        domains: D, at least 2.
        size: H; 0 for objectives that read no representation.
        penalty: ``TrainingParams.penalty``.
    """

    domains: int
    size: int
    penalty: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """What a term sees of a training batch.

    Args:
        risks: (D,) mean error of each domain's clips, by the run's loss.
        members: (B, D) float32, 1 where the clip is of the domain.
        representation: (B, H) what the network's last linear layer reads; None unless asked for.
        epoch: Of the stage, counted from 1.
    """

    risks: Tensor
    members: Tensor
    representation: Tensor | None
    epoch: int


class Term(nn.Module):
    """Base of the terms; what they remember lives in buffers, what they learn in parameters."""

    def forward(self, evidence: Evidence) -> Tensor:
        """The scalar that is added to the loss."""
        raise NotImplementedError


def training_domains(train: BatchSource) -> Tensor:
    """(D,) the domains that occur in training, ascending; (0,) where the corpus names none."""
    if train.domains is None:
        return torch.empty(0, device=train.device)
    found: Tensor = train.domains.unique()
    return found


def membership(domains: Tensor, known: Tensor) -> Tensor:
    """(B,) domains and the (D,) known ones -> (B, D) float32, 1 where a clip is of a domain."""
    return (domains.unsqueeze(1) == known).float()


def domain_means(values: Tensor, members: Tensor) -> Tensor:
    """(B,) or (B, K) -> (D,) or (D, K), the mean over each domain's clips; 0 where it has none."""
    return (members / members.sum(0).clamp(min=1)).mT @ values
