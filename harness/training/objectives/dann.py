"""DANN: nobody can tell from a representation which domain it comes from.

Shapes: B clips of a batch, D domains, H features.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from harness.training.objectives.base import Evidence, Objective, ObjectiveSetting, Term

__all__ = ["DANN", "HIDDEN", "reversed_gradient"]

HIDDEN = 256
"""Width of the discriminator; DomainBed's default."""


def reversed_gradient(values: Tensor, weight: float) -> Tensor:
    """The same values, whose gradient is multiplied by -``weight`` on its way back."""
    return values.detach() - weight * (values - values.detach())


class _Adversary(Term):
    """A classifier of domains; it learns to tell them apart, the network to mislead it.

    One optimiser trains both: the gradient is reversed between them, so what the discriminator
    descends the network climbs, ``penalty`` times as steeply.
    """

    def __init__(self, setting: ObjectiveSetting) -> None:
        super().__init__()
        self.weight = setting.penalty
        self.discriminator = nn.Sequential(
            *(nn.Linear(setting.size, HIDDEN), nn.ReLU()),
            *(nn.Linear(HIDDEN, HIDDEN), nn.ReLU()),
            nn.Linear(HIDDEN, setting.domains),
        )

    def forward(self, evidence: Evidence) -> Tensor:
        assert evidence.representation is not None
        told = self.discriminator(reversed_gradient(evidence.representation, self.weight))
        return cross_entropy(told, evidence.members.argmax(1))


DANN = Objective(
    name="dann",
    title="DANN",
    paper="Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 17, 2016",
    term=_Adversary,
    represents=True,
    place=40,
)
