"""Drawing settings with Optuna, so that the same trials come out of every call.

Every trial has a sampler of its own, whose seed follows from what is searched and the trial's
number. A batch of trials is drawn before any of them has a score; what was told before decides the
rest. So neither the number of workers nor an interruption changes a draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness._util.seeds import derive
from harness.spec import Scalar
from harness.tuning.space import Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

__all__ = ["Drawn", "Sampling", "as_trial", "distributions"]

_SEEDS = 2**32  # of NumPy's older generators, which samplers use
_STARTUP = 10  # trials that the Parzen estimator draws at random, Optuna's default


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A setting as it was drawn, with what became of it.

    Args:
        values: Name of a dimension -> number, or what the choice is called.
        score: What is minimised; None for a trial that gave no score.
        key: Of its run; empty while that is not known.
        epochs: Of a setting that successive halving took no further: the ceiling it was left at.
    """

    values: Mapping[str, Scalar]
    score: float | None = None
    key: str = ""
    epochs: int | None = None


class Sampling:
    """The draws of one row.

    Args:
        space: What is drawn from.
        sampler: ``random``, ``tpe``, or ``halving``, which draws as ``random`` does.
        identity: Hexadecimal; whatever else the draws shall depend on.

    Raises:
        MissingExtra: Where Optuna is not installed.
    """

    def __init__(self, space: Space, sampler: str, identity: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._sampler, self._identity = sampler, int(identity, 16)
        self._study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        self._space = distributions(space)
        self._open: list[Trial] = []

    @property
    def count(self) -> int:
        """Trials drawn so far."""
        return len(self._study.get_trials(deepcopy=False))

    def recall(self, drawn: Sequence[Drawn]) -> None:
        """Take up trials that were drawn and told before, in their order."""
        self._study.add_trials([as_trial(each, self._space) for each in drawn])

    def ask(self, count: int) -> list[Drawn]:
        """Draw the next settings, before any of them is told."""
        first = self.count
        for number in range(first, first + count):
            self._study.sampler = self._make(derive(self._identity, "trial", number) % _SEEDS)
            self._open.append(self._study.ask(fixed_distributions=self._space))
        return [Drawn(values=dict(trial.params)) for trial in self._open]

    def tell(self, scores: Sequence[float | None]) -> None:
        """What the settings of the last ``ask`` gave, in their order; None for no score."""
        from optuna.trial import TrialState

        for trial, score in zip(self._open, scores, strict=True):
            if score is None:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, score)
        self._open = []

    def _make(self, seed: int) -> BaseSampler:
        from optuna.samplers import RandomSampler, TPESampler

        if self._sampler == "tpe":
            return TPESampler(seed=seed, n_startup_trials=_STARTUP, constant_liar=True)
        return RandomSampler(seed=seed)


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Name of a dimension -> Optuna's form of it."""
    from optuna import distributions as kinds

    found: dict[str, BaseDistribution] = {}
    for each in space.dimensions:
        if each.choices is not None:
            found[each.name] = kinds.CategoricalDistribution(tuple(each.named))
        elif each.whole:
            found[each.name] = kinds.IntDistribution(int(each.low), int(each.high), log=each.log)
        else:
            found[each.name] = kinds.FloatDistribution(each.low, each.high, log=each.log)
    return found


def as_trial(drawn: Drawn, space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """Optuna's form of a trial that is over."""
    from optuna.trial import TrialState, create_trial

    reached: dict[int, float] = {}
    state = TrialState.FAIL if drawn.score is None else TrialState.COMPLETE
    if drawn.epochs is not None and drawn.score is not None:
        state, reached = TrialState.PRUNED, {drawn.epochs: drawn.score}
    return create_trial(
        state=state,
        value=drawn.score if state == TrialState.COMPLETE else None,
        intermediate_values=reached,
        params=dict(drawn.values),
        distributions=dict(space),
        user_attrs={"run": drawn.key},
    )
