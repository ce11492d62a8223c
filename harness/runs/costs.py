"""What stored runs took: the raw material of every forecast."""

from __future__ import annotations

import contextlib
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.errors import StoreError
from harness.runs.checkpoints import CHECKPOINT
from harness.runs.manifest import Manifest
from harness.runs.store import StoredRun
from harness.runs.stored_plan import PlannedCell
from harness.spec import Scalar

__all__ = ["Cost", "Left", "cost_of", "costs_of", "known_costs", "work_left"]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One stored run: what was run, and what it took.

    Args:
        system: Registered name.
        corpus: Corpus name.
        data: The corpus's fingerprint.
        params: Resolved hyper-parameters, without encoder and knowledge corpus.
        encoder: Name of the text encoder, if it has one.
        device: ``cpu`` or ``cuda``.
        max_epochs: The protocol's ceiling.
        patience: The protocol's.
        train_clips: Clips it was trained on.
        seconds: Training and prediction together.
        memory: Peak resident memory of its process, bytes.
        device_memory: Peak memory of its share of the device, bytes; None where not measured.
        released: Whether released weights were evaluated and nothing trained.
    """

    system: str
    corpus: str
    data: str
    params: Mapping[str, Scalar]
    encoder: str | None
    device: str
    max_epochs: int
    patience: int
    train_clips: int
    seconds: float
    memory: int
    device_memory: int | None = None
    released: bool = False


@dataclass(frozen=True)
class Left:
    """What remains of a suite: seconds of work, and the cells whose like has never been run."""

    seconds: float
    unpriced: int


def costs_of(runs: Iterable[StoredRun]) -> Iterator[Cost]:
    """The costs of stored runs.

    Raises:
        StoreError: For a damaged record.
    """
    return (cost_of(run.manifest) for run in runs)


def known_costs(runs: Iterable[StoredRun]) -> Iterator[Cost]:
    """The costs of those stored runs that are not damaged; ``msa verify`` names the others."""
    for run in runs:
        with contextlib.suppress(StoreError):
            yield from costs_of([run])


def cost_of(manifest: Manifest) -> Cost:
    """The cost in a run's manifest."""
    spec, cost = manifest.spec, manifest.cost
    return Cost(
        system=spec.system,
        corpus=spec.corpus,
        data=spec.data,
        params=spec.params,
        encoder=manifest.encoder,
        device=manifest.provenance.device,
        max_epochs=spec.protocol.max_epochs,
        patience=spec.protocol.patience,
        train_clips=manifest.result.train_clips,
        seconds=cost.seconds,
        memory=cost.peak_memory_bytes,
        device_memory=cost.peak_device_memory_bytes,
        released=CHECKPOINT in spec.artifacts,
    )


def work_left(seconds: Mapping[str, float], cells: Iterable[PlannedCell]) -> Left:
    """What the missing cells of a stored plan will take if they take as long as their like.

    Args:
        seconds: Key of each sound run -> what it took; a damaged one is missing like any other.
        cells: Of the plan. Those of one row on one corpus are alike.
    """
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for cell in cells:
        if cell.key is not None:
            groups[cell.corpus, cell.label].add(cell.key)
    left, unpriced = 0.0, 0
    for keys in groups.values():
        stored = [seconds[key] for key in sorted(keys) if key in seconds]
        missing = len(keys) - len(stored)
        if missing and stored:
            left += missing * statistics.median(stored)
        elif missing:
            unpriced += missing
    return Left(left, unpriced)
