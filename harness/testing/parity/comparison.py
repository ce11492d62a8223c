"""How far two codes are apart, quantity by quantity, and whether that is rounding.

Shapes: n clips, E epochs, B batches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.testing.parity.sides import Figures, Group

__all__ = ["TOLERANCES", "ParityFigures", "ParityTolerance", "compare"]


@dataclass(frozen=True, kw_only=True)
class ParityTolerance:
    """How far two codes in one number format may be apart; each is relative above 1.

    Args:
        prediction: Of predictions before training.
        loss: Of losses.
        after: Of predictions after epochs.
        gradient: Of an entry of the first gradient, relative to the largest entry of all.
        spread: Of predictions at any time, relative to their standard deviation between clips:
            some networks say nearly the same of all.
    """

    prediction: float
    loss: float
    after: float
    gradient: float
    spread: float


TOLERANCES: Final[Mapping[str, ParityTolerance]] = {
    "float32": ParityTolerance(prediction=1e-5, loss=1e-5, after=2e-5, gradient=1e-5, spread=1e-2),
    "float64": ParityTolerance(
        prediction=1e-10, loss=1e-10, after=1e-9, gradient=1e-10, spread=1e-6
    ),
}
"""By number format: what other orders of summation leave. After some steps it is more: Adam makes
much of small gradients."""


@dataclass(frozen=True, kw_only=True)
class ParityFigures:
    """Largest absolute differences between two codes.

    Args:
        weights: Given to both, none left over.
        eval: Of predictions before training.
        first_loss: Of the first batch's loss.
        losses: Of any batch's loss.
        after: Of predictions after any epoch.
        gradient: Of an entry of the first gradient.
        largest: The largest entry of that gradient.
        groups: Parameters whose optimiser, rate, decay or epsilon differs.
        parameters: That were compared in this.
        faults: Quantities that differ by more than rounding, in words.
    """

    weights: int
    eval: float
    first_loss: float
    losses: float
    after: float
    gradient: float
    largest: float
    groups: int
    parameters: int
    faults: tuple[str, ...]


def compare(ours: Figures, theirs: Figures, tolerance: ParityTolerance) -> ParityFigures:
    """Compare what two codes computed from the same weights and clips."""
    learned = _learned(ours.losses, theirs.losses)
    losses = _gaps(*learned)
    gradients = [_gradient_gap(ours, theirs, place) for place in range(len(ours.gradients))]
    gradient, largest = max(gradients, key=lambda pair: pair[0] / pair[1])
    differing, parameters = _groups(ours, theirs)
    faults = {
        "eval": _beyond(ours.eval, theirs.eval, tolerance.prediction, tolerance.spread),
        "loss": _beyond(*learned, tolerance.loss),
        "after": _beyond(ours.curve, theirs.curve, tolerance.after, tolerance.spread),
        "grad": not gradient <= tolerance.gradient * largest,
        "groups": bool(differing),
    }
    return ParityFigures(
        weights=ours.weights,
        eval=float(_gaps(ours.eval, theirs.eval).max()),
        first_loss=float(losses[0]),
        losses=float(losses.max()),
        after=float(_gaps(ours.curve, theirs.curve).max()),
        gradient=gradient,
        largest=largest,
        groups=len(differing),
        parameters=parameters,
        faults=tuple(name for name, fault in faults.items() if fault),
    )


def _gaps(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[np.float64]:
    """Absolute differences; infinite for what is no number, and everywhere for unlike shapes."""
    if ours.shape != theirs.shape:
        return np.full(max(1, ours.size), math.inf)
    gaps = np.abs(ours.astype(np.float64) - theirs)
    return np.where(np.isnan(gaps), math.inf, gaps)


def _learned(ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Losses of the batches that ours learns from: of others it has none."""
    if ours.shape != theirs.shape:
        return ours, theirs
    known = ~np.isnan(ours)
    return ours[known], theirs[known]


def _beyond(
    ours: NDArray[Any], theirs: NDArray[Any], limit: float, spread: float | None = None
) -> bool:
    """Whether a value is farther off than ``limit``, or than a share of the clips' spread."""
    gaps = _gaps(ours, theirs)
    if ours.shape != theirs.shape:
        return True
    allowed = limit * np.maximum(1, np.abs(theirs))
    if spread is not None:
        allowed = np.minimum(allowed, spread * theirs.std(axis=-1, keepdims=True))
    return not bool((gaps <= allowed).all())


def _gradient_gap(ours: Figures, theirs: Figures, place: int) -> tuple[float, float]:
    """Largest difference in the first gradient of a pass, and its largest entry there."""
    gap, largest = 0.0, 0.0
    found = theirs.gradients[place] if place < len(theirs.gradients) else {}
    for name, mine in ours.gradients[place].items():
        other = found.get(name, np.zeros_like(mine))
        gap = max(gap, float(_gaps(mine, other).max()))
        largest = max(largest, float(np.abs(other).max()))
    return gap, largest or 1.0


def _groups(ours: Figures, theirs: Figures) -> tuple[list[str], int]:
    """Parameters in unlike groups, of all that either code moves."""
    moved = ours.groups.keys() | _moved(theirs)
    mine, other = _of(ours.groups, moved), _of(theirs.groups, moved)
    names = sorted(mine.keys() | other.keys())
    return [name for name in names if mine.get(name) != other.get(name)], len(names)


def _moved(side: Figures) -> set[str]:
    """Parameters that a gradient reaches; one of zero does nothing unless there is a decay."""
    return {
        name
        for gradients in side.gradients
        for name, values in gradients.items()
        if name in side.groups and (values.any() or side.groups[name][2])
    }


def _of(groups: Mapping[str, Group], names: Set[str]) -> dict[str, Group]:
    return {name: group for name, group in groups.items() if name in names}
