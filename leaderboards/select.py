"""From a plan to everything its board shows: the runs of each row, their scores, and the holes.

Nothing here is rounded, averaged or read from a stored metric: scores are computed from stored
predictions and stored labels.

Shapes: N test clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.canonical import Json
from harness.data.datasets import Dataset, datasets
from harness.errors import StoreError
from harness.metrics import Metric, metrics
from harness.scoring import Truth
from harness.store import RunStore, StoredRun

__all__ = ["Board", "CorpusFacts", "Facts", "Grid", "Hole", "Row", "Run", "gather"]

_Record: TypeAlias = Mapping[str, Any]  # JSON of the store, typed as it is taken apart


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a run's manifest says beside its predictions.

    ``epochs`` and ``selected_epoch`` are 0 and None for systems without epochs; seconds and bytes
    are measurements of one machine and differ between equal runs.
    """

    encoder: str | None
    parameters: int
    trainable: int
    epochs: int
    selected_epoch: int | None
    train_clips: int
    fit_seconds: float
    predict_seconds: float
    peak_memory_bytes: int
    device: str
    processor: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One committed seed of a row.

    Args:
        seed: Training seed.
        key: The run's identity.
        pred: (N,) test predictions, in the order of the grid's ``truth``.
        scores: Metric -> value, unrounded, NaN where undefined.
        facts: Its manifest.
    """

    seed: int
    key: str
    pred: NDArray[np.float64]
    scores: Mapping[str, float]
    facts: Facts


@dataclass(frozen=True, kw_only=True)
class Hole:
    """A planned cell without a run."""

    seed: int
    state: Literal["not run", "failed", "not applicable"]
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One system with its hyper-parameters on one corpus, over seeds.

    Args:
        label: The row's name in the suite.
        system: Registered name of the system.
        title: What the system's card calls it.
        text: How text enters, by its card.
        inputs: What it reads and the corpus has.
        changed: Hyper-parameters the suite changed.
        deterministic: Whether it runs once because no seed changes it.
        reference: Whether it is a constant predictor.
        runs: Committed seeds, in plan order.
        holes: Seeds without a run, in plan order.
    """

    label: str
    system: str
    title: str
    text: str
    inputs: tuple[str, ...]
    changed: Mapping[str, Json]
    deterministic: bool
    reference: bool
    runs: tuple[Run, ...]
    holes: tuple[Hole, ...]

    @property
    def planned(self) -> int:
        """Number of seeds the suite asks for."""
        return len(self.runs) + len(self.holes)

    def values(self, metric: str) -> tuple[float, ...]:
        """The metric of each committed seed, NaN where undefined."""
        return tuple(run.scores[metric] for run in self.runs)


@dataclass(frozen=True, kw_only=True)
class CorpusFacts:
    """What a plan says of a corpus.

    Args:
        name: ``dataset@feature-set``.
        data: Content fingerprint.
        dataset: The dataset it is or imitates.
        twin: Whether it is synthetic.
        clips: Split -> number of clips.
        videos: Split -> number of source videos.
        ceilings: For twins, signals seen -> best reachable metrics, None where undefined.
    """

    name: str
    data: str
    dataset: Dataset
    twin: bool
    clips: Mapping[str, int]
    videos: Mapping[str, int]
    ceilings: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The rows of a suite on one corpus.

    Args:
        corpus: Where.
        selection: The metric that chose the checkpoints.
        truth: The test labels.
        rows: In suite order.
    """

    corpus: CorpusFacts
    selection: Metric
    truth: Truth
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Board:
    """A suite as far as it was run: one grid per corpus, all under one protocol."""

    suite: str
    title: str
    protocol: Mapping[str, Json]
    seeds: tuple[int, ...]
    grids: tuple[Grid, ...]


def gather(store: RunStore, suite: str) -> Board:
    """Collect and score what the store holds of a suite.

    Raises:
        StoreError: When the suite was never planned here, or a record is damaged or does not fit
            the labels.
    """
    plan: _Record = store.plan(suite)
    try:
        return Board(
            suite=suite,
            title=plan["title"],
            protocol=plan["protocol"],
            seeds=tuple(plan["seeds"]),
            grids=tuple(_grid(store, plan, corpus) for corpus in plan["corpora"]),
        )
    except KeyError as error:
        raise StoreError(
            f"the stored plan of suite {suite!r}, or a run of it, lacks {error}",
            hint=f"msa run {suite}",
        ) from error


def _grid(store: RunStore, plan: _Record, record: _Record) -> Grid:
    corpus = CorpusFacts(
        name=record["name"],
        data=record["data"],
        dataset=datasets[record["dataset"]],
        twin=record["twin"],
        clips=record["clips"],
        videos=record["videos"],
        ceilings=(record["ceilings"] or {}).get("test", {}),
    )
    truth = Truth.load(store, corpus.data, corpus.dataset)
    cells: dict[str, list[_Record]] = {}
    for cell in plan["cells"]:
        if cell["corpus"] == corpus.name:
            cells.setdefault(cell["label"], []).append(cell)
    present = {"transcript", "tokens", *record["streams"]}
    return Grid(
        corpus=corpus,
        selection=metrics[plan["protocol"]["selection_metric"]],
        truth=truth,
        rows=tuple(
            _row(store, truth, row, cells[row["label"]], present)
            for row in plan["rows"]
            if row["label"] in cells
        ),
    )


def _row(
    store: RunStore, truth: Truth, record: _Record, cells: list[_Record], present: set[str]
) -> Row:
    done = [cell for cell in cells if cell["key"] is not None and cell["key"] in store]
    return Row(
        label=record["label"],
        system=record["system"],
        title=record["title"],
        text=record["text"],
        inputs=tuple(name for name in record["inputs"] if name in present),
        changed=record["changed"],
        deterministic=record["deterministic"],
        reference=record["reference"],
        runs=tuple(_run(truth, store.get(cell["key"]), cell["seed"]) for cell in done),
        holes=tuple(_hole(store, cell) for cell in cells if cell not in done),
    )


def _run(truth: Truth, stored: StoredRun, seed: int) -> Run:
    pred = truth.predictions(stored)
    return Run(
        seed=seed,
        key=stored.key,
        pred=pred,
        scores=truth.score(stored, pred),
        facts=_facts(stored.manifest),
    )


def _hole(store: RunStore, cell: _Record) -> Hole:
    if cell["key"] is None:
        return Hole(seed=cell["seed"], state="not applicable", reason=cell["reason"])
    failure = store.failure(cell["key"])
    if failure is not None:
        return Hole(seed=cell["seed"], state="failed", reason=failure)
    return Hole(seed=cell["seed"], state="not run", reason="")


def _facts(manifest: _Record) -> Facts:
    result, cost, provenance = manifest["result"], manifest["cost"], manifest["provenance"]
    return Facts(
        encoder=manifest["encoder"],
        parameters=result["parameters"],
        trainable=result["trainable"],
        epochs=result["epochs"],
        selected_epoch=result["selected_epoch"],
        train_clips=result["train_clips"],
        fit_seconds=cost["fit_seconds"],
        predict_seconds=cost["predict_seconds"],
        peak_memory_bytes=cost["peak_memory_bytes"],
        device=provenance["device"],
        processor=provenance["processor"],
    )
