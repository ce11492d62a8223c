"""What the disk did: every stored file against what was written, every run against its key.

Nothing is repaired here. A damaged run is left out of boards with its reason, and ``msa run`` runs
it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness._util import checksums
from harness._util.canonical import Json
from harness.data.datasets import datasets
from harness.data.store import CorpusStore, fingerprint
from harness.errors import DataError, HarnessError, StoreError
from harness.home import Home
from harness.runs import equivalence
from harness.runs.judged import judging
from harness.runs.store import RunStore, StoredRun
from harness.submissions import StoredSubmission, SubmissionStore

__all__ = ["StoreFinding", "verify"]


@dataclass(frozen=True, kw_only=True)
class StoreFinding:
    """What was found of one stored thing.

    Args:
        kind: ``run``, ``labels``, ``equivalence``, ``plan``, ``failure``, ``submission`` or
            ``corpus``.
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
    checksums.forget()
    tables = {path.stem for path in _files(store, "truth/*.parquet")}
    with judging(store) as judged:
        for run in store:
            yield StoreFinding(
                kind="run", name=run.key, damage=judged.judge(run), sealed=run.sealed
            )
            tables |= {data[:32] for data in [_data_of(run)] if data is not None}
    for name in sorted(tables):
        yield _of_labels(store, name)
    for name in equivalence.names(store):
        damage = equivalence.damage_of(store, name)
        yield StoreFinding(kind="equivalence", name=name, damage=damage)
    for name in store.plans():
        yield _of_plan(store, name)
    for path in _files(store, "failures/*.json"):
        yield _checked("failure", path.stem, partial(store.failure, path.stem))
    submissions = SubmissionStore(store.root)
    for dataset in datasets:
        for submission in submissions.of(dataset):
            yield _of_submission(dataset, submission)
    if corpora:
        yield from _of_corpora(CorpusStore(home.corpora))


def _files(store: RunStore, pattern: str) -> list[Path]:
    """Files of a store, without what file managers leave, sorted."""
    return sorted(p for p in store.root.glob(pattern) if not checksums.is_litter(p.name))


def _of_labels(store: RunStore, data: str) -> StoreFinding:
    """The label table of runs, named like its file."""
    name = data[:32]
    sealed = (store.root / "truth" / f"{name}.sha256").exists()
    found = _checked("labels", name, partial(store.truth, data))
    return StoreFinding(kind="labels", name=name, damage=found.damage, sealed=sealed)


def _data_of(run: StoredRun) -> str | None:
    """Which label table a run goes with; None where its manifest is damaged."""
    try:
        return run.manifest.spec.data
    except StoreError:
        return None


def _of_plan(store: RunStore, suite: str) -> StoreFinding:
    found = _checked("plan", suite, partial(store.plan, suite, written=True))
    sealed = bool(found.damage) or store.plan_is_sealed(suite)
    damage = found.damage or tuple(equivalence.cells_in_doubt(store, suite))
    return StoreFinding(kind="plan", name=suite, damage=damage, sealed=sealed)


def _of_submission(dataset: str, submission: StoredSubmission) -> StoreFinding:
    found = _checked("submission", f"{dataset}/{submission.name}", lambda: submission.manifest)
    return StoreFinding(
        kind=found.kind, name=found.name, damage=found.damage, sealed=submission.sealed
    )


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
