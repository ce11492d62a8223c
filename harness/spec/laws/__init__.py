"""Laws of training corruption, one file each: what training clips go through besides a condition.

A law draws anew for every clip in every epoch. Its file says what it is, which families of
conditions clips meet under it, and how the strengths are drawn, in the words of
``harness.corruption.laws.LawDraws``, so that nothing here needs PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness._util.registry import Registry

if TYPE_CHECKING:
    from harness.corruption import Damage, LawDraws

__all__ = ["Law", "laws"]


@dataclass(frozen=True, kw_only=True)
class Law:
    """A way of corrupting training clips.

    Args:
        name: As ``TrainingParams.training_corruption`` calls it.
        about: What it does, for boards.
        damage: The draws of a batch to what happens to each of its clips; None: nothing.
        seen: Families of conditions that clips go through; all others are unseen.
        static: Whether every epoch sees the draws of the first.
        raw: Whether noise is in raw units, unknown words are id 0 and end tokens are words.
        shared: Whether the clips of a batch share a strength: training clips alone can go through
            it, since what validation clips suffer may not depend on who is beside them.
        place: Where lists have it: the smaller, the sooner.
    """

    name: str
    about: str
    damage: Callable[[LawDraws], Damage] | None
    seen: frozenset[str] = frozenset()
    static: bool = False
    raw: bool = False
    shared: bool = False
    place: float = math.inf


laws: Registry[Law] = Registry(
    "law",
    Law,
    packages=("harness.spec.laws",),
    group="msa_harness.laws",
    order=lambda law: law.place,
    hint="training_corruption also takes a condition, such as element=0.5",
)
