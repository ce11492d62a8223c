"""Why the labels of a file are not the known ones: what turns the one into the other.

Shapes: n clips that both sources label, in the order of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["SAME_LABEL", "cause_of", "same_labels"]

SAME_LABEL = 5e-4
"""Labels this close are one: three decimals, float32; the steps of all four scales are 0.05 up."""

_EXPLAINED = 0.95  # share of the clips that a cause must account for
_FEWEST = 3  # clips below which no cause can be told
_CLASSES = 7
_CLOSE = 0.9  # correlation of two versions of the same labels
_SLACK = 1e-9  # of decimal fractions in binary

Floats = NDArray[np.float64]


def same_labels(theirs: ArrayLike, ours: ArrayLike) -> NDArray[np.bool_]:
    """(n,) whether two labels are one, allowing for how files of predictions write them.

    A label may be printed with two decimals, or have gone through 16-bit floats.

    Example:
        >>> same_labels([0.667, 0.67, 0.66, 0.6], [0.666667, 0.666667, 0.666667, 0.8]).tolist()
        [True, True, False, False]
    """
    found, known = np.asarray(theirs, dtype=np.float64), np.asarray(ours, dtype=np.float64)
    off = np.abs(found - known)
    same: NDArray[np.bool_] = off <= SAME_LABEL + _SLACK
    same |= (np.abs(found - found.round(2)) <= _SLACK) & (off <= 0.5e-2 + _SLACK)
    for narrow in (_float16(known), _bfloat16(known)):
        same |= np.abs(found - narrow) <= SAME_LABEL + _SLACK
    return same


def _float16(labels: Floats) -> Floats:
    with np.errstate(over="ignore"):  # no label is that large, but a file may say so
        return labels.astype(np.float16).astype(np.float64)


def _bfloat16(labels: Floats) -> Floats:
    """The nearest numbers of 8 significant bits."""
    mantissa, exponent = np.frexp(labels)
    rounded: Floats = np.ldexp(np.round(mantissa * 2**8), exponent - 8)
    return rounded


def cause_of(theirs: Floats, ours: Floats, in_known_order: Floats) -> str:
    """What turns known labels into those of a file, the simplest that does.

    Args:
        theirs: (n,) labels of the file.
        ours: (n,) known labels of the same clips.
        in_known_order: (n,) the known labels in the order in which they are stored.

    Returns:
        A clause for a message, empty for too few clips to tell.
    """
    if theirs.size < _FEWEST:
        return ""
    for look in _LOOKS:
        cause = look(theirs, ours)
        if cause:
            return cause
    if _explains(theirs, in_known_order):
        return "the labels stand in the order of the known clips, the ids do not: join them by id"
    if _is_shuffled(theirs, ours):
        return (
            "the labels are those of other clips: a loader with shuffle=True writes ids and"
            " predictions in different orders"
        )
    if np.ptp(theirs) and np.ptp(ours) and np.corrcoef(theirs, ours)[0, 1] > _CLOSE:
        return "most are close to them: another version of the labels"
    return "rows may be shifted, or of another dataset or version of the labels"


def _explains(theirs: Floats, ours: Floats) -> bool:
    return theirs.size > 0 and bool(same_labels(theirs, ours).mean() >= _EXPLAINED)


def _flipped(theirs: Floats, ours: Floats) -> str:
    signed = np.abs(ours) > SAME_LABEL
    return "the sign is turned round" if _explains(theirs[signed], -ours[signed]) else ""


def _shifted(theirs: Floats, ours: Floats) -> str:
    if np.unique(ours).size < _FEWEST:
        return ""
    if _explains(theirs[1:], ours[:-1]):
        return "each label is that of the row before: rows are shifted by one"
    if _explains(theirs[:-1], ours[1:]):
        return "each label is that of the row after: rows are shifted by one"
    return ""


def _rounded(theirs: Floats, ours: Floats) -> str:
    for step, what in ((1.0, "integers"), (0.5, "halves"), (0.1, "one decimal")):
        near = np.abs(theirs - ours) <= step / 2 + _SLACK
        if _on_grid(theirs, step) and not _on_grid(ours, step) and near.mean() >= _EXPLAINED:
            return f"labels are rounded to {what}"
    classes = np.unique(theirs).size
    if 1 < classes <= _CLASSES and classes < np.unique(ours).size and _rises(theirs, ours):
        return f"labels are made {classes} classes"
    return ""


def _on_grid(labels: Floats, step: float) -> bool:
    return bool((np.abs(labels / step - (labels / step).round()) < _SLACK).all())


def _rises(theirs: Floats, ours: Floats) -> bool:
    """Whether theirs are a step function of ours that never falls."""
    order = np.lexsort((theirs, ours))
    steps = [theirs[order][ours[order] == value] for value in np.unique(ours)]
    one_each = all(step.min() == step.max() for step in steps)
    return one_each and bool((np.diff([step[0] for step in steps]) >= 0).all())


def _scaled(theirs: Floats, ours: Floats) -> str:
    if not np.ptp(ours) or not np.ptp(theirs):
        return ""
    factor = float(theirs @ ours / (ours @ ours))
    if factor and _explains(theirs / factor, ours):
        return f"labels are on another scale: {factor:.4g} times the known ones"
    slope, base = (float(number) for number in np.polyfit(ours, theirs, 1))
    if slope and _explains((theirs - base) / slope, ours):
        return f"labels are on another scale: {slope:.4g} times the known ones {base:+.4g}"
    return ""


_LOOKS: tuple[Callable[[Floats, Floats], str], ...] = (_flipped, _shifted, _rounded, _scaled)


def _is_shuffled(theirs: Floats, ours: Floats) -> bool:
    first, second = (Counter(values.round(3).tolist()) for values in (theirs, ours))
    return (first & second).total() >= _EXPLAINED * theirs.size
