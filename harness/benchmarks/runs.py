"""Stored runs to work on: copies of one real run, each with predictions of its own."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from harness import data
from harness.home import Home
from harness.runs.cell import execute
from harness.runs.plan import Plan, make_plan
from harness.runs.record import RunRecord
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCell, StoredPlan
from harness.spec import RunSpec, Suite

__all__ = ["SUITE", "copies", "key_of", "stored"]

SUITE = "copies"
_SEEDS_PER_ROW = 100


def key_of(folder: Path, share: str, number: int) -> str:
    """The key of a copy, which differs from the others in its seed."""
    return _spec_of(_original(folder, share)[1], number).key


def _spec_of(record: RunRecord, number: int) -> RunSpec:
    return dataclasses.replace(record.manifest.spec, seed=number)


def copies(folder: Path, share: str, count: int, *, first: int = 0) -> Iterator[RunRecord]:
    """``count`` records of as many runs, numbered from ``first``; 686 test clips if unscaled."""
    _, record = _original(folder, share)
    for number in range(first, first + count):
        noise = np.random.default_rng(number).normal(0, 0.5, len(record.predictions))
        spec = _spec_of(record, number)
        yield dataclasses.replace(
            record,
            key=spec.key,
            manifest=dataclasses.replace(record.manifest, spec=spec),
            predictions=record.predictions.assign(pred=record.predictions["pred"] + noise),
        )


def stored(folder: Path, root: Path, share: str, count: int) -> RunStore:
    """A store at ``root`` with ``count`` runs and the suite that asks for them."""
    plan, _ = _original(folder, share)
    keys = [key_of(folder, share, number) for number in range(count)]
    store = RunStore(root)
    store.put_truth(plan.corpora[0])
    store.put_plan(SUITE, _planned(plan, keys))
    for record in copies(folder, share, count):
        store.commit(record)
    return store


@functools.cache
def _original(folder: Path, share: str) -> tuple[Plan, RunRecord]:
    """One run of LF-DNN and the plan it belongs to."""
    home = Home(folder)
    corpus = data.load(f"mosi-twin@compact{share}", home)
    system = {"name": "lf_dnn", "params": {"epochs": 20}}
    suite = {"corpora": [corpus.name], "seeds": 1, "systems": [system]}
    plan = make_plan(Suite.parse(suite, name=SUITE, where="benchmarks"), home)
    job = next(job for job in plan.jobs.values() if job.spec.system == "lf_dnn")
    return plan, execute(dataclasses.replace(job, weights="none"))


def _planned(plan: Plan, keys: Sequence[str]) -> StoredPlan:
    """The plan with as many rows of ``_SEEDS_PER_ROW`` seeds as the runs fill."""
    record = plan.record()
    (row,) = (row for row in record.rows if row.system == "lf_dnn")
    places = [(f"row {i // _SEEDS_PER_ROW}", i % _SEEDS_PER_ROW) for i in range(len(keys))]
    labels = dict.fromkeys(label for label, _ in places)
    corpus = plan.corpora[0].name
    return dataclasses.replace(
        record,
        seeds=tuple(range(_SEEDS_PER_ROW)),
        rows=tuple(dataclasses.replace(row, label=label) for label in labels),
        cells=tuple(
            PlannedCell(corpus=corpus, label=label, seed=seed, key=key, reason=None)
            for key, (label, seed) in zip(keys, places, strict=True)
        ),
    )
