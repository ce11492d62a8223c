"""What stored runs took: the raw material of every forecast."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.canonical import Json
from harness.errors import StoreError
from harness.specs import Scalar
from harness.store import RunStore, StoredRun

__all__ = ["Cost", "Left", "costs_of", "work_left"]


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
    for run in runs:
        try:
            yield _cost(run.manifest)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"damaged record manifest.json in {run.key}: {error!r}",
                hint="delete that folder and run the suite again",
            ) from error


def _cost(manifest: Mapping[str, Any]) -> Cost:
    spec, cost = manifest["spec"], manifest["cost"]
    return Cost(
        system=spec["system"],
        corpus=spec["corpus"],
        data=spec["data"],
        params=spec["params"],
        encoder=manifest["encoder"],
        device=manifest["provenance"]["device"],
        max_epochs=int(spec["protocol"]["max_epochs"]),
        patience=int(spec["protocol"]["patience"]),
        train_clips=int(manifest["result"]["train_clips"]),
        seconds=float(cost["fit_seconds"]) + float(cost["predict_seconds"]),
        memory=int(cost["peak_memory_bytes"]),
    )


def work_left(store: RunStore, cells: Sequence[Mapping[str, Json]]) -> Left:
    """What the missing cells of a stored plan will take if they take as long as their like.

    Args:
        store: Where finished cells are.
        cells: ``cells`` of ``RunStore.plan``. Those of one row on one corpus are alike.

    Raises:
        StoreError: For a damaged record.
    """
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for cell in cells:
        if cell["key"] is not None:
            groups[str(cell["corpus"]), str(cell["label"])].add(str(cell["key"]))
    seconds, unpriced = 0.0, 0
    for keys in groups.values():
        stored = [store.get(key) for key in sorted(keys) if key in store]
        missing = len(keys) - len(stored)
        if missing and stored:
            seconds += missing * statistics.median(cost.seconds for cost in costs_of(stored))
        elif missing:
            unpriced += missing
    return Left(seconds, unpriced)
