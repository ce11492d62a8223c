"""MLflow as a projection of the run store: written once per run, never read back.

One experiment per corpus, one parent run per row, one child per seed, found again by the tags
``row_key`` and ``run_key``, so exporting twice adds nothing; an experiment ``boards`` with one run
per suite. What stands where is told in ``docs/pages/mlflow.md``.

MLflow is imported by ``connection`` and ``projection`` alone, and only while exporting: it takes
longer to import than most commands to run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness._util.redaction import redacted
from harness.data.datasets import datasets
from harness.data.store import dataset_name
from harness.runs.store import RunStore, StoredRun
from harness.tracking.connection import connected, file_of, is_server, resolved
from harness.tracking.describe import Tracker, corpus_of
from harness.tracking.projection import Projection

__all__ = ["ExportReport", "export"]


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export did.

    Args:
        created: Runs that were added or completed.
        present: Runs that were there.
        boards: Suites whose board was put there, or put there anew.
        registered: Versions of models that were added.
        seconds: How long it took.
        where: The address, without secrets.
        artifacts: The folder of artifacts of new experiments; None where the server decides.
        left_out: Runs on corpora of datasets that nothing installed here defines, by corpus.
    """

    created: int
    present: int
    boards: int
    registered: int
    seconds: float
    where: str
    artifacts: Path | None
    left_out: Mapping[str, int] = field(default_factory=dict)


def export(
    store: RunStore,
    uri: str,
    *,
    suites: Sequence[str] | None = None,
    artifacts: Path | None = None,
    files: bool = True,
    boards: Mapping[str, Sequence[Path]] | None = None,
    weights: bool = False,
) -> ExportReport:
    """Bring committed runs into MLflow; those already there are left alone.

    Args:
        store: Where runs are.
        uri: ``sqlite:///FILE``, ``http(s)://HOST``, or a database URI that MLflow takes; one with
            a user and no password gets that of ``MSA_TRACKING_PASSWORD``.
        suites: Only the runs of these suites; every committed run when None.
        artifacts: Folder that new experiments keep artifacts in, unless a server decides; None:
            beside an SQLite file.
        files: Whether predictions, manifests and histories of runs go along as artifacts.
        boards: Suite -> the files of its board, figures and what it was made of.
        weights: Whether kept weights become versions of registered models.

    Raises:
        SpecError: For a URI of another kind.
        StoreError: When server or database cannot be reached or used, another export is writing,
            or a stored run is damaged.
        MissingExtra: Where MLflow, or the driver of the database, is not installed.
    """
    began = time.perf_counter()
    where = resolved(uri)
    root = None if is_server(where) else artifacts or _beside(where)
    found = _by_corpus(store, suites)
    runs = {corpus: group for corpus, group in found.items() if dataset_name(corpus) in datasets}
    created = registered = written = 0
    with connected(where, store.root / ".export.lock"):
        projection = Projection(where, Tracker(store), artifacts=root, files=files)
        for corpus, group in runs.items():
            created += projection.add(corpus, group)
            if weights:
                registered += projection.register(store, corpus, group)
        for suite, attached in (boards or {}).items():
            written += projection.add_board(suite, attached)
    return ExportReport(
        created=created,
        present=sum(map(len, runs.values())) - created,
        boards=written,
        registered=registered,
        seconds=time.perf_counter() - began,
        where=redacted(where),
        artifacts=root,
        left_out={corpus: len(group) for corpus, group in found.items() if corpus not in runs},
    )


def _beside(where: str) -> Path | None:
    file = file_of(where)
    return None if file is None else file.with_name(f"{file.stem}-artifacts")


def _by_corpus(store: RunStore, suites: Sequence[str] | None) -> dict[str, list[StoredRun]]:
    grouped: dict[str, list[StoredRun]] = {}
    for run in store if suites is None else _of_suites(store, suites):
        grouped.setdefault(corpus_of(run), []).append(run)
    return grouped


def _of_suites(store: RunStore, suites: Sequence[str]) -> Iterator[StoredRun]:
    keys = dict.fromkeys(cell.key for plan in map(store.plan, suites) for cell in plan.cells)
    return (store.get(key) for key in keys if key is not None and key in store)
