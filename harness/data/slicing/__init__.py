"""Declared parts of a split: which clips a reader may ask about, decided before anyone predicts.

A slicing divides the clips of a split by their labels and metadata alone, never by predictions. One
file defines one slicing; a plug-in adds one through the entry-point group ``msa_harness.slicings``.

Shapes: N clips of the split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness._util.registry import Registry
from harness.data.corpus import Corpus, Split

__all__ = ["Divided", "Slice", "Slicing", "divided", "slices_of", "slicings", "thirds"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Divided:
    """The clips of a split in parts.

    Args:
        parts: What they are called, in order.
        place: (N,) the part of each clip, counted from 0; -1 for clips that are in none.
    """

    parts: tuple[str, ...]
    place: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Slicing:
    """A question by which clips are told apart.

    Args:
        name: For the command line.
        title: Heading.
        definition: One sentence: what decides.
        divide: The clips of a split in parts; None where the corpus does not have what decides.
        place: Where lists have it: the smaller, the earlier.
    """

    name: str
    title: str
    definition: str
    divide: Callable[[Split], Divided | None]
    place: int


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One part.

    Args:
        slicing: Name of the slicing.
        part: What the part is called.
        ids: Its clips, in the order of the split.
    """

    slicing: str
    part: str
    ids: tuple[str, ...]


slicings: Registry[Slicing] = Registry(
    "slicing",
    Slicing,
    packages=("harness.data.slicing",),
    group="msa_harness.slicings",
    order=lambda slicing: slicing.place,
)


def slices_of(corpus: Corpus, split: str) -> tuple[Slice, ...]:
    """Every slice of a split that has clips, of all slicings that tell its clips apart.

    Args:
        corpus: The clips with what is known of them.
        split: train, valid or test.

    Returns:
        Slicings in their order. One that puts all clips into one part says nothing and is absent.

    Raises:
        DataError: For a name that is not a split.
    """
    view = corpus.split(split)
    ids = view.clips["id"].to_numpy()
    found = []
    for slicing in slicings.values():
        parts = slicing.divide(view)
        if parts is None:
            continue
        own = [
            Slice(slicing=slicing.name, part=part, ids=tuple(ids[parts.place == place]))
            for place, part in enumerate(parts.parts)
        ]
        own = [part for part in own if part.ids]
        if len(own) > 1 or (own and len(own[0].ids) < len(ids)):
            found += own
    return tuple(found)


def divided(parts: Sequence[str], *members: NDArray[np.bool_]) -> Divided:
    """Parts by what belongs to each; a clip that belongs to several is in the first of them.

    Example:
        >>> divided(["low", "high"], np.array([True, False, False]), np.array([True, True, False]))
        Divided(parts=('low', 'high'), place=array([ 0,  1, -1]))
    """
    nowhere = np.zeros(members[0].shape, dtype=bool)
    chosen = np.select([*members, ~nowhere], [*range(len(members)), -1])
    return Divided(parts=tuple(parts), place=chosen.astype(np.int64))


def thirds(values: NDArray[np.float64], names: tuple[str, str, str], unit: str) -> Divided | None:
    """Thirds of the clips by a value that each has; equal values are never told apart.

    Args:
        values: (N,), NaN where unknown.
        names: Of the low, the middle and the high third.
        unit: What is counted.

    Returns:
        Three parts whose names say where they end; None where no value is known.

    Example:
        >>> thirds(np.array([1.0, 2, 3, 4, 5, 6]), ("short", "medium", "long"), "words").parts
        ('short (to 2 words)', 'medium', 'long (over 4 words)')
    """
    known = np.sort(values[~np.isnan(values)])
    if not known.size:
        return None
    first, second = (known[-(-known.size * k // 3) - 1] for k in (1, 2))
    low, middle, high = names
    parts = (f"{low} (to {first:g} {unit})", middle, f"{high} (over {second:g} {unit})")
    return divided(parts, values <= first, values <= second, values > second)
