"""Run stores made by hand: small corpora, any outcome per cell, nothing trained.

Plans and manifests are written by the code that writes the real ones, so these stores change format
when those do. Predictions follow a formula, not a random generator: golden files depend on them.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from harness._util import canonical
from harness.data.corpus import Corpus, Stream
from harness.data.datasets import SPLITS, datasets
from harness.runs.cell import _result
from harness.runs.manifest import Costs, Manifest, Provenance
from harness.runs.plan import _corpus_record, _row_record
from harness.runs.record import RunRecord
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCell, PlannedProtocol, StoredPlan
from harness.spec import Entry, PredictionCell, Protocol, ReleasedWeights, RunSpec, Scalar
from harness.system import Card, Epoch, Fitted, Params, System

PROTOCOL = Protocol(name="in_domain", title="In-domain, official split", seeds=(1111, 1112, 1113))
SEEDS = (1111, 1112, 1113)


@dataclass(frozen=True)
class Off:
    """A run whose predictions miss the labels by up to ``by``."""

    by: float


@dataclass(frozen=True)
class Constant:
    """A run that predicts one value."""

    value: float = 0.25


@dataclass(frozen=True)
class Failed:
    """A cell that failed."""

    reason: str


@dataclass(frozen=True)
class NotRun:
    """A cell nobody has run."""


@dataclass(frozen=True)
class NotApplicable:
    """A cell whose system does not apply."""

    reason: str = "needs audio features"


Outcome = Off | Constant | Failed | NotRun | NotApplicable


@dataclass(frozen=True, kw_only=True)
class RowParams(Params):
    """Hyper-parameters that rows may change."""

    hidden: int = 16


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a suite; ``cells`` maps seeds to outcomes and is the same on every corpus."""

    label: str
    cells: Mapping[int, Outcome]
    text: str = "T-feat"
    encoder: str | None = None
    epochs: int = 3
    deterministic: bool = False
    reference: bool = False
    params: Mapping[str, Scalar] = field(default_factory=lambda: {"lr": 0.001, "hidden": 16})
    changed: Mapping[str, Scalar] = field(default_factory=dict)
    inputs: frozenset[str] = frozenset({"text", "audio"})
    released: ReleasedWeights | None = None
    passes: tuple[float, ...] = ()
    """Of released weights whose predictions change: what is added to those of each further pass."""

    @property
    def system(self) -> System:
        """The system of this row, not registered anywhere."""
        return System(
            name=f"system_{zlib.crc32(self.label.encode()) % 1000}",
            card=Card(title=self.label, paper="none", year=None, text=self.text),
            params=RowParams,
            inputs=self.inputs,
            deterministic=self.deterministic,
            reference=self.reference,
            fit=lambda task, params: None,
        )


def make_corpus(
    name: str = "mosi@unaligned-50", clips: tuple[int, int, int] = (8, 6, 24)
) -> Corpus:
    """A corpus with labels on the dataset's scale and two clips per source video."""
    dataset = datasets[name.partition("@")[0].removesuffix("-twin")]
    n = sum(clips)
    rows = pd.DataFrame(
        {
            "id": [f"v{i // 2}_{i % 2}" for i in range(n)],
            "video": [f"v{i // 2}" for i in range(n)],
            "split": np.repeat(SPLITS, clips),
            "label": [dataset.high * ((i * 7) % 11 - 5) / 5 for i in range(n)],
        }
    )
    view = {"mae": 0.5, "corr": 0.9}
    ceilings = {"test": {"text": view, "all": view, "train_mean": {"mae": 1.0, "corr": None}}}
    return Corpus(
        name=name,
        dataset=dataset,
        fingerprint=canonical.digest([name, *clips]),
        clips=rows,
        streams={
            stream: Stream(np.zeros((n, 1, 1), dtype=np.float32), np.ones(n, dtype=np.int64))
            for stream in ("text", "audio")
        },
        tokens=None,
        manifest={"ceilings": ceilings} if "-twin@" in name else {},
    )


def predict(outcome: Off | Constant, labels: np.ndarray, seed: int) -> np.ndarray:
    """(n,) predictions."""
    if isinstance(outcome, Constant):
        return np.full(len(labels), outcome.value)
    steps = (np.arange(len(labels)) * 37 + seed * 11) % 19 - 9
    return labels + outcome.by * steps / 9


def make_store(
    root: Path,
    rows: Sequence[Row],
    corpora: Sequence[Corpus] | None = None,
    *,
    suite: str = "small",
    title: str = "Small suite",
    backwards: bool = False,
) -> RunStore:
    """A store with one suite planned and its runs and failures in place.

    ``backwards`` commits in the opposite order.
    """
    store = RunStore(root)
    corpora = [make_corpus()] if corpora is None else corpora
    places = [(c, row, seed) for c in corpora for row in rows for seed in row.cells]
    specs = {(c.name, row.label, seed): make_spec(c, row, seed) for c, row, seed in places}
    store.put_plan(suite, _plan(suite, title, rows, corpora, specs))
    for corpus in corpora:
        store.put_truth(corpus)
    for corpus, row, seed in reversed(places) if backwards else places:
        outcome, spec = row.cells[seed], specs[corpus.name, row.label, seed]
        if isinstance(outcome, Off | Constant):
            store.commit(make_record(corpus, row, spec, outcome))
        elif isinstance(outcome, Failed):
            store.fail(spec.key, outcome.reason)
    return store


def make_spec(corpus: Corpus, row: Row, seed: int) -> RunSpec:
    """The specification of one cell."""
    return RunSpec(
        corpus=corpus.name,
        data=corpus.fingerprint,
        protocol=PROTOCOL,
        system=row.system.name,
        params={**row.params, **row.changed},
        labels={"low": corpus.dataset.low, "high": corpus.dataset.high},
        seed=seed,
        code="0123456789abcdef",
    )


def make_record(corpus: Corpus, row: Row, spec: RunSpec, outcome: Off | Constant) -> RunRecord:
    """What a worker would have returned for the cell."""
    parts = [corpus.split(name) for name in ("valid", "test")]
    moved = {PredictionCell(): 0.0} | {
        PredictionCell.of_pass(number): by for number, by in enumerate(row.passes, start=2)
    }
    predictions = pd.concat(
        [
            pd.DataFrame(
                {
                    "id": part.ids,
                    "split": part.name,
                    "condition": cell.condition,
                    "variant": cell.variant,
                    "pred": predict(outcome, part.labels, spec.seed) + by,
                }
            )
            for part in parts
            for cell, by in moved.items()
        ],
        ignore_index=True,
    )
    history = tuple(
        Epoch(epoch=e, train_loss=1 / e, valid=None if e == 1 else 2 / e, lr=0.001, seconds=0.5)
        for e in range(1, row.epochs + 1)
    )
    fitted = Fitted(
        predict=lambda split: split.labels,
        parameters=1234567,
        trainable=1234567 if row.encoder is None else 4567,
        history=history,
        selected_epoch=row.epochs - spec.seed % 2 if row.epochs else None,
        report={"passes": 1 + len(row.passes)} if row.passes else {},
    )
    return RunRecord(
        key=spec.key,
        manifest=Manifest(
            spec=spec,
            encoder=row.encoder,
            result=_result(fitted, len(corpus.split("train"))),
            provenance=Provenance(device="cpu", processor="A processor", commit=None, dirty=None),
            cost=Costs(
                fit_seconds=1.5 + spec.seed % 3,
                predict_seconds=0.25,
                peak_memory_bytes=300 * 2**20,
            ),
        ),
        predictions=predictions,
        history=tuple(dataclasses.asdict(epoch) for epoch in history),
    )


def _plan(suite, title, rows, corpora, specs):
    entries = [
        Entry(system=r.system.name, label=r.label, params=r.changed, released=r.released)
        for r in rows
    ]
    return StoredPlan(
        suite=suite,
        title=title,
        protocol=PlannedProtocol.from_protocol(PROTOCOL),
        seeds=tuple(SEEDS),
        corpora=tuple(_corpus_record(corpus) for corpus in corpora),
        rows=tuple(_row_record(r.system, e, PROTOCOL) for r, e in zip(rows, entries, strict=True)),
        cells=tuple(
            _cell(corpus.name, row, seed, specs)
            for corpus in corpora
            for row in rows
            for seed in row.cells
        ),
    )


def _cell(corpus, row, seed, specs):
    outcome = row.cells[seed]
    off = isinstance(outcome, NotApplicable)
    return PlannedCell(
        corpus=corpus,
        label=row.label,
        seed=seed,
        key=None if off else specs[corpus, row.label, seed].key,
        reason=outcome.reason if off else None,
    )
