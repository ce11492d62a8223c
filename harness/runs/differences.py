"""How far the predictions of two executions of one cell are apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from harness.runs.manifest import Provenance

__all__ = ["Difference", "Verdict", "compared", "surroundings"]

Verdict = Literal["identical", "within tolerance", "different"]
_PLACE = ["id", "split", "condition", "variant"]
_COMPARED = ("python", "processor", "device")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two tables of predictions, compared over splits, conditions and variants.

    Args:
        predictions: How many were compared.
        changed: How many of them differ in any bit.
        largest: Largest difference, on the label scale; infinite where one side has none, None when
            other clips were predicted.
    """

    predictions: int
    changed: int
    largest: float | None

    def verdict(self, tolerance: float) -> Verdict:
        """Whether they are the same up to a tolerance on the label scale."""
        if self.largest is None or self.largest > tolerance:
            return "different"
        return "within tolerance" if self.changed else "identical"


def compared(then: pd.DataFrame, now: pd.DataFrame) -> Difference:
    """Compare two tables of predictions, columns ``id, split, condition, variant, pred``."""
    if len(then) != len(now) or not all(_same(then[name], now[name]) for name in _PLACE):
        return Difference(predictions=len(then), changed=len(then), largest=None)
    a, b = (table["pred"].to_numpy(dtype=np.float64) for table in (then, now))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    gaps = np.where(same, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf))
    return Difference(
        predictions=len(then),
        changed=int((gaps != 0).sum()),
        largest=float(gaps.max(initial=0.0)),
    )


def _same(a: pd.Series, b: pd.Series) -> bool:
    return bool((a.to_numpy(dtype=object) == b.to_numpy(dtype=object)).all())


def surroundings(then: Provenance, now: Provenance) -> Mapping[str, tuple[str, str]]:
    """What besides the source may explain a difference: name -> (then, now)."""
    return dict(_changes(then, now))


def _changes(then: Provenance, now: Provenance) -> Iterator[tuple[str, tuple[str, str]]]:
    pairs = {name: (str(getattr(then, name)), str(getattr(now, name))) for name in _COMPARED}
    old, new = then.packages or {}, now.packages or {}
    pairs |= {name: (str(old.get(name)), str(version)) for name, version in new.items()}
    return ((name, pair) for name, pair in pairs.items() if pair[0] != pair[1])
