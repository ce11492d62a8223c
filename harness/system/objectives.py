"""What an objective is, and which there are: one file each in ``harness.training.objectives``.

The noun stands here, below the training loop, because hyper-parameters name one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness._util.registry import Registry

if TYPE_CHECKING:
    from harness.training.objectives import ObjectiveSetting, Term

__all__ = ["Objective", "objectives"]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A way of learning from several domains.

    Args:
        name: As ``TrainingParams.objective`` calls it.
        title: For display.
        paper: Where it comes from.
        term: Setting -> what is added to the loss; None adds nothing.
        represents: Whether the term reads the representation.
        place: Where tables have it: the smaller, the sooner.
    """

    name: str
    title: str
    paper: str
    term: Callable[[ObjectiveSetting], Term] | None = None
    represents: bool = False
    place: float = math.inf


objectives: Registry[Objective] = Registry(
    "objective",
    Objective,
    packages=("harness.training.objectives",),
    group="msa_harness.objectives",
    order=lambda objective: objective.place,
    hint="msa card SYSTEM lists them",
)
"""By name, in the order in which tables list them."""
