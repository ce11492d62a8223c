"""Search spaces as data: which values of a hyper-parameter a search may try, and what was tried.

A system's parameters may declare theirs (``param(…, search=search(…))``); a suite adds or replaces
some. What a search chose is written into a suite as a row that says what it cost: ``Tuned``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from harness._util.canonical import Json
from harness._util.schema import SCALAR, Choice, Integer, ListOf, Scalar, TextKind
from harness.errors import SpecError

__all__ = ["SAMPLERS", "Search", "SpaceSource", "Tuned", "TuningTable", "search"]

SAMPLERS = ("random", "tpe", "halving")
"""Ways to choose the next setting: independent draws, a tree-structured Parzen estimator, and
independent draws of which ever fewer go on with ever more epochs."""

SpaceSource = Literal["published", "declared", "none"]


@dataclass(frozen=True, kw_only=True)
class Search:
    """The values that a search may give one hyper-parameter: a range, or choices."""

    low: float | None = None
    """Least value of a range."""
    high: float | None = None
    """Greatest value of a range; it can be drawn."""
    log: bool = False
    """Whether a range is drawn from on a logarithmic scale."""
    choices: Annotated[tuple[Scalar, ...] | None, ListOf(item=SCALAR, least=1, unique=True)] = None
    """Instead of a range: the values."""

    def __post_init__(self) -> None:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise SpecError("a search is over a range or over choices, found both")
            return
        if self.low is None or self.high is None:
            raise SpecError("a search takes low and high, or choices")
        if not self.low < self.high:
            raise SpecError(f"a search goes from low to high; found {self.low:g} to {self.high:g}")
        if self.log and self.low <= 0:
            raise SpecError(f"a logarithmic search begins above 0; found low = {self.low:g}")

    def record(self) -> dict[str, Json]:
        """As JSON values: ``choices``, or ``low``, ``high`` and ``log``."""
        if self.choices is not None:
            return {"choices": list(self.choices)}
        return {"low": self.low, "high": self.high, "log": self.log}


def search(
    low: float | None = None,
    high: float | None = None,
    *,
    log: bool = False,
    choices: Sequence[Scalar] | None = None,
) -> Search:
    """What a parameter declares that a search may try.

    Args:
        low: Least value of a range.
        high: Greatest value of a range.
        log: Whether it is drawn from on a logarithmic scale.
        choices: Instead of a range: the values.

    Raises:
        SpecError: For neither or both, an empty range, or a logarithm of nothing.

    Example:
        >>> search(1e-4, 1e-2, log=True).record()
        {'low': 0.0001, 'high': 0.01, 'log': True}
    """
    values = None if choices is None else tuple(choices)
    return Search(low=low, high=high, log=log, choices=values)


@dataclass(frozen=True, kw_only=True)
class TuningTable:
    """What ``msa tune`` searches in the rows of a suite."""

    base: SpaceSource = "published"
    """Where a row's space comes from: `published` by the system's source where that printed one,
    else `declared` by its parameters; `none` for what this suite says alone."""
    space: Mapping[str, Search] = field(default_factory=dict)
    """Parameter -> what is searched in every row whose system has it; a row's own come first."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """How the hyper-parameters of a row were found, as ``msa tune`` writes it."""

    trials: Annotated[int, Integer(low=1)]
    """Settings that were tried."""
    sampler: Annotated[str, Choice(choices=SAMPLERS)]
    """How they were chosen."""
    seed: Annotated[int, Integer(low=0)]
    """Of the sampler."""
    space: Annotated[
        str, TextKind(pattern="[0-9a-f]{12}", expected="12 hexadecimal digits of a space")
    ]
    """Digest of the space that they were chosen from."""
    plan: Annotated[str, TextKind(blank=False)]
    """The stored plan that the trials are in."""
    trial: Annotated[int, Integer(low=1)]
    """Number of the trial with the best validation score."""
    run: Annotated[str, TextKind(pattern="[0-9a-f]{32}", expected="a run's 32 hexadecimal digits")]
    """Key of its run."""
    valid: float
    """Its score in the protocol's selection metric, on the validation split."""
