"""What the disk did: every stored file against what was written, every run against its key.

Nothing is repaired here. A damaged run is left out of boards with its reason, and ``msa run`` runs
it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from harness._util import checksums
from harness._util.canonical import Json
from harness.data.datasets import datasets
from harness.data.store import CorpusStore, fingerprint
from harness.errors import DataError, HarnessError, SpecError, StoreError
from harness.home import Home
from harness.runs.store import RunStore, StoredRun
from harness.spec import PredictionCell
from harness.spec.prediction_cell import COUNTED
from harness.submissions import StoredSubmission, SubmissionStore

__all__ = ["StoreFinding", "verify"]


@dataclass(frozen=True, kw_only=True)
class StoreFinding:
    """What was found of one stored thing.

    Args:
        kind: ``run``, ``labels``, ``plan``, ``failure``, ``submission`` or ``corpus``.
        name: Its key or name.
        damage: What is wrong with it, one sentence each; empty for a sound one.
        sealed: Whether there are digests to check it against.
    """

    kind: str
    name: str
    damage: tuple[str, ...] = ()
    sealed: bool = True

    def record(self) -> dict[str, Json]:
        """The finding as JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "sound": not self.damage,
            "sealed": self.sealed,
            "damage": list(self.damage),
        }


def verify(home: Home, *, corpora: bool = False) -> Iterator[StoreFinding]:
    """Check everything that is stored.

    Args:
        home: Whose store.
        corpora: Whether to read converted corpora too, which takes as long as reading them does.
    """
    store = RunStore(home.store)
    labels = _Labels(store)
    for run in store:
        yield _of_run(run, labels)
    for path in sorted(store.root.glob("truth/*.parquet")):
        yield _of_labels(store, path.stem)
    for name in store.plans():
        yield _checked("plan", name, partial(store.plan, name))
    for path in sorted(store.root.glob("failures/*.json")):
        yield _checked("failure", path.stem, partial(store.failure, path.stem))
    submissions = SubmissionStore(store.root)
    for dataset in datasets:
        for submission in submissions.of(dataset):
            yield _of_submission(dataset, submission)
    if corpora:
        yield from _of_corpora(CorpusStore(home.corpora))


class _Labels:
    """Clip ids of label tables, each read once; None where the table is not there or damaged."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._known: dict[str, pd.DataFrame | None] = {}

    def of(self, data: str) -> pd.DataFrame | None:
        if data not in self._known:
            try:
                self._known[data] = self._store.truth(data)
            except StoreError:
                self._known[data] = None
        return self._known[data]


def _of_run(run: StoredRun, labels: _Labels) -> StoreFinding:
    damage = run.damage
    if not damage:
        try:
            damage = tuple(_contradictions(run, labels))
        except StoreError as error:
            damage = (str(error),)
    return StoreFinding(kind="run", name=run.key, damage=damage, sealed=run.sealed)


def _contradictions(run: StoredRun, labels: _Labels) -> Iterator[str]:
    """Where a run's files are whole and yet do not say one thing."""
    spec = run.spec
    run.history()
    table = run.table()
    yield from _misplaced(table)
    counted = table[
        (table["condition"] == COUNTED.condition) & (table["variant"] == COUNTED.variant)
    ]
    if not np.isfinite(counted["pred"].to_numpy(dtype=np.float64)).all():
        yield "predictions.parquet holds numbers that are not finite"
    known = labels.of(spec.data)
    for split in ("valid", "test") if known is not None else ():
        assert known is not None
        expected = known["id"][known["split"] == split].tolist()
        if counted["id"][counted["split"] == split].tolist() != expected:
            yield f"its {split} predictions are of other clips than the labels"


def _misplaced(table: pd.DataFrame) -> Iterator[str]:
    """Predictions under what is no condition, and clips with two in one place."""
    for condition in table["condition"].unique():
        try:
            PredictionCell(condition=str(condition))
        except SpecError as error:
            yield f"predictions.parquet: {error}"
    twice = table[table.duplicated(["id", "split", "condition", "variant"])]
    if len(twice):
        first = twice.iloc[0]
        yield (
            f"predictions.parquet has two predictions of clip {first['id']} under"
            f" {first['condition']}, {first['variant']}"
        )


def _of_labels(store: RunStore, name: str) -> StoreFinding:
    sealed = (store.root / "truth" / f"{name}.sha256").exists()
    found = _checked("labels", name, partial(store.truth, name))
    return StoreFinding(kind="labels", name=name, damage=found.damage, sealed=sealed)


def _of_submission(dataset: str, submission: StoredSubmission) -> StoreFinding:
    def read() -> None:
        wrong = checksums.damage(submission.folder)
        if wrong:
            raise StoreError("; ".join(wrong))
        _ = submission.manifest
        submission.predictions()

    sealed = (submission.folder / checksums.SUMS).exists()
    found = _checked("submission", f"{dataset}/{submission.name}", read)
    return StoreFinding(kind=found.kind, name=found.name, damage=found.damage, sealed=sealed)


def _of_corpora(store: CorpusStore) -> Iterator[StoreFinding]:
    for name in store.names():
        yield _checked("corpus", name, partial(_need_fingerprint, store, name))


def _need_fingerprint(store: CorpusStore, name: str) -> None:
    corpus = store.load(name)
    found = fingerprint(corpus.clips, corpus.streams, corpus.tokens)
    if found != corpus.fingerprint:
        raise DataError(f"its content is {found[:12]}, its manifest says {corpus.fingerprint[:12]}")


def _checked(kind: str, name: str, read: Callable[[], object]) -> StoreFinding:
    """A finding of something that is sound if it can be read."""
    try:
        read()
    except HarnessError as error:
        return StoreFinding(kind=kind, name=name, damage=(str(error),))
    return StoreFinding(kind=kind, name=name)
