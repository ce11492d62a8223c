"""A home with thousands of stored runs: suites of many rows over the same corpora, none trained.

Every run is a copy of one real run of its corpus, with predictions of its own, under the key that
its suite's plan gives it, so that every command finds what it would find after months of work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.home import Home
from harness.runs.cell import Job, execute
from harness.runs.plan import Plan, make_plan
from harness.runs.record import RunRecord
from harness.runs.store import RunStore
from harness.runs.suite_files import find_suite

__all__ = ["SETTLED", "store_suites", "suite_name"]

SETTLED = 3  # seconds; what was written in the last two is not relied on

_SYSTEMS = ("ef_lstm", "lf_dnn", "lmf", "tfn", "mult")
_SEEDS = 5
_CORPORA = ("mosi-twin@compact", "sims-twin@compact")


def suite_name(number: int) -> str:
    """What the suites are called, from 0."""
    return f"study{number:02}"


def store_suites(
    home: Home,
    *,
    numbers: Iterable[int],
    rows: int,
    share: str = "",
    corpora: Sequence[str] = _CORPORA,
) -> int:
    """Fill a home; returns how many runs it has.

    Args:
        home: Where to.
        numbers: Of the suites, each with five seeds of its own.
        rows: Rows of each, besides the constant predictors, which all suites share.
        share: Suffix of the names of twins, as ``Scale.share``.
        corpora: Of each, without that suffix.
    """
    store, originals = RunStore(home.store), dict[str, RunRecord]()
    named = [f"{name}{share}" for name in corpora]
    for number in numbers:
        _write_suite(home.suites / f"{suite_name(number)}.toml", number, rows, named)
        plan = make_plan(find_suite(suite_name(number), home), home)
        store.put_plan(plan.suite.name, plan.record())
        for corpus in plan.corpora:
            store.put_truth(corpus)
        for record in _records(plan, originals):
            store.commit(record)
    return sum(1 for _ in store)


def _write_suite(path: Path, number: int, rows: int, corpora: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    named = ", ".join(f'"{name}"' for name in corpora)
    seeds = list(range(number * _SEEDS, (number + 1) * _SEEDS))
    parts = [f"corpora = [{named}]\nseeds = {seeds}\n"]
    for row in range(rows):
        system, step = _SYSTEMS[row % len(_SYSTEMS)], row // len(_SYSTEMS) + 1
        parts.append(
            f'[[systems]]\nname = "{system}"\nlabel = "{system} {step}"\n'
            f"params = {{ lr = {step}e-4, epochs = 5 }}\n"
        )
    path.write_text("\n".join(parts), "utf-8")


def _records(plan: Plan, originals: dict[str, RunRecord]) -> Iterator[RunRecord]:
    """What running the plan could have returned; ``originals`` has a real run of each corpus."""
    for number, (key, job) in enumerate(plan.jobs.items()):
        corpus = job.spec.corpus
        if corpus not in originals:
            originals[corpus] = execute(
                dataclasses.replace(_trained(plan.jobs, corpus), weights="none")
            )
        original = originals[corpus]
        shown = original.predictions
        noise = np.random.default_rng(number).normal(0, 0.5, len(shown))
        yield dataclasses.replace(
            original,
            key=key,
            manifest=dataclasses.replace(original.manifest, spec=job.spec),
            predictions=shown.assign(pred=shown["pred"] + noise),
        )


def _trained(jobs: Mapping[str, Job], corpus: str) -> Job:
    return next(
        job for job in jobs.values() if job.spec.corpus == corpus and job.spec.system in _SYSTEMS
    )
