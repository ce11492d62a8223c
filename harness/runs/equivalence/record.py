"""An equivalence record: what was executed again, on what, and how far it came out the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness._util import canonical
from harness._util.records import Record

if TYPE_CHECKING:  # tables are heavy to import, and who reads records reads none
    from harness.runs.store import StoredRun

__all__ = ["LARGEST_TOLERANCE", "Equivalence", "Replayed", "name_of", "replayed"]

LARGEST_TOLERANCE = 1e-3
"""On the label scale, as of ``msa replay``: above it, findings may differ and not bits alone."""


@dataclass(frozen=True, kw_only=True)
class Replayed(Record):
    """A run of the earlier source and the same cell executed by the later one, compared.

    Everything here follows from the two stored runs; see ``replayed``.

    Args:
        old: Key of the run of the earlier source.
        new: Key of that of the later one.
        corpus: Corpus name.
        seed: Training seed.
        predictions: How many were compared, over splits, conditions and variants.
        changed: How many of them differ in any bit.
        largest: Largest difference, on the label scale; None where other clips were predicted, or a
            prediction is missing on one side.
        device: ``cpu`` or ``cuda``, of the later one.
        processor: Its name.
        python: Version.
        packages: Name -> version.
        surroundings: What besides the source was different: name -> then and now.
    """

    old: str
    new: str
    corpus: str
    seed: int
    predictions: int
    changed: int
    largest: float | None
    device: str
    processor: str
    python: str | None
    packages: Mapping[str, str | None]
    surroundings: Mapping[str, Sequence[str]]

    def within(self, tolerance: float) -> bool:
        """Whether every prediction is the same up to a tolerance."""
        return self.largest is not None and self.largest <= tolerance


@dataclass(frozen=True, kw_only=True)
class Equivalence(Record):
    """That a later source of a system computes what an earlier one did.

    Args:
        system: Registered name.
        old: Fingerprint of the earlier source, as keys of runs contain it.
        new: Of the later one.
        tolerance: Up to which differences were tolerated, on the label scale.
        date: Day on which it was written, ISO 8601, UTC.
        runs: What was compared, by old key.
    """

    hint: ClassVar[str] = "msa carry SUITE writes it again; msa verify finds others"

    system: str
    old: str
    new: str
    tolerance: float
    date: str
    runs: tuple[Replayed, ...]

    @property
    def name(self) -> str:
        """Of its file: one record says all about two sources of a system."""
        return name_of(self.system, self.old, self.new)

    @property
    def largest(self) -> float:
        """Largest difference of all of its runs, on the label scale."""
        return max((run.largest or 0.0 for run in self.runs), default=0.0)


def name_of(system: str, old: str, new: str) -> str:
    """What the record of two sources of a system is called, 32 hexadecimal digits."""
    return canonical.digest([system, old, new])[:32]


def replayed(old: StoredRun, new: StoredRun) -> Replayed:
    """Two stored runs of one cell, compared; of the same runs, always the same.

    Raises:
        StoreError: When one is not there, or is damaged.
    """
    from harness.runs.differences import compared, surroundings

    found = compared(old.table(), new.table())
    then, now = old.manifest.provenance, new.manifest.provenance
    largest = found.largest
    return Replayed(
        old=old.key,
        new=new.key,
        corpus=new.spec.corpus,
        seed=new.spec.seed,
        predictions=found.predictions,
        changed=found.changed,
        largest=largest if largest is not None and math.isfinite(largest) else None,
        device=now.device,
        processor=now.processor,
        python=now.python,
        packages=dict(now.packages or {}),
        surroundings={name: list(pair) for name, pair in surroundings(then, now).items()},
    )
