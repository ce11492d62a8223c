"""What a search may spend, and how successive halving spends it."""

from __future__ import annotations

from dataclasses import dataclass

from harness._util.registry import suggest
from harness.errors import SpecError
from harness.spec import SAMPLERS

__all__ = ["BATCH", "Budget", "Rung", "rungs"]

BATCH = 8
"""Settings that the Parzen estimator draws before any of them has a score, where nobody says."""
_FACTOR = 3  # of successive halving: epochs grow by it, settings shrink by it


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What each row may spend.

    Args:
        trials: Settings per row.
        sampler: One of ``SAMPLERS``.
        seed: Of the sampler.
        batch: Settings that ``tpe`` draws together; other samplers draw all at once.
        seeds_after: Fresh seeds of the suite that results.

    Raises:
        SpecError: For another sampler, or numbers that are too small.
    """

    trials: int = 20
    sampler: str = "tpe"
    seed: int = 0
    batch: int = BATCH
    seeds_after: int = 3

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            known = ", ".join(SAMPLERS)
            guess = suggest(self.sampler, SAMPLERS)
            raise SpecError(f"the sampler is one of {known}; found {self.sampler!r}{guess}")
        for name, least in (("trials", 1), ("batch", 1), ("seeds_after", 1), ("seed", 0)):
            if (found := getattr(self, name)) < least:
                raise SpecError(f"{name} should be at least {least}, found {found}")

    @property
    def together(self) -> int:
        """Settings that are drawn before any of them has a score."""
        return self.batch if self.sampler == "tpe" else self.trials


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A round of successive halving: so many settings with so many epochs each.

    Args:
        settings: How many enter it.
        max_epochs: Ceiling of each of them.
    """

    settings: int
    max_epochs: int


def rungs(trials: int, max_epochs: int) -> tuple[Rung, ...]:
    """The rounds of successive halving, the last of which has all epochs.

    A third goes on with three times the epochs, as often as both allow. Each round trains its
    settings from the start: a round is a set of ordinary runs.

    Args:
        trials: Settings that enter the first round.
        max_epochs: The protocol's ceiling.

    Example:
        >>> [(rung.settings, rung.max_epochs) for rung in rungs(20, 20)]
        [(20, 2), (6, 6), (2, 20)]

    Source:
        Jamieson, Talwalkar. Non-stochastic Best Arm Identification and Hyperparameter Optimization.
        AISTATS 2016.
    """
    count = 0
    while trials >= _FACTOR ** (count + 1) and max_epochs >= _FACTOR ** (count + 1):
        count += 1
    return tuple(
        Rung(settings=trials // _FACTOR**i, max_epochs=max_epochs // _FACTOR ** (count - i))
        for i in range(count + 1)
    )
