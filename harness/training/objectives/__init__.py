"""Objectives of domain generalisation: terms of the loss that any network can be trained with.

``TrainingParams.objective`` names one. All of them see the same batches, with equally many clips of
every domain, in the same order: rows that differ in nothing but the objective are comparable seed
by seed. Definitions and defaults are DomainBed's (Gulrajani, Lopez-Paz. In Search of Lost Domain
Generalization. ICLR 2021) but for what each module says.
"""

from collections.abc import Mapping

from harness.training.objectives.base import Evidence, Objective, Setting, Term
from harness.training.objectives.coral import CORAL
from harness.training.objectives.dann import DANN
from harness.training.objectives.erm import ERM
from harness.training.objectives.generalising import Generalising
from harness.training.objectives.group_dro import GROUP_DRO
from harness.training.objectives.vrex import VREX

__all__ = ["Evidence", "Generalising", "Objective", "Setting", "Term", "objectives"]

objectives: Mapping[str, Objective] = {
    objective.name: objective for objective in (ERM, CORAL, VREX, GROUP_DRO, DANN)
}
"""By name, in the order in which tables list them."""
