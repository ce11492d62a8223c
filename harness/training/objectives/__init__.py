"""Objectives of domain generalisation: terms of the loss that any network can be trained with.

Each is a file here, which ``TrainingParams.objective`` names. All see the same batches, with
equally many clips of every domain, in the same order, so that rows that differ in nothing but the
objective are comparable seed by seed.

Definitions and defaults are DomainBed's (Gulrajani, Lopez-Paz. In Search of Lost Domain
Generalization. ICLR 2021) but for what each module says.
"""

from harness.system.objectives import objectives
from harness.training.objectives.base import (
    Evidence,
    Objective,
    ObjectiveSetting,
    Term,
    domain_means,
    membership,
    training_domains,
)
from harness.training.objectives.generalising import Generalising

__all__ = [
    "Evidence",
    "Generalising",
    "Objective",
    "ObjectiveSetting",
    "Term",
    "coral",
    "domain_means",
    "membership",
    "objectives",
    "training_domains",
    "vrex",
]
