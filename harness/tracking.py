"""MLflow as a projection of the run store: written once per run, never read back.

One experiment per corpus, one parent run per row, one child per seed, found again by the tags
``row_key`` and ``run_key``, so exporting twice adds nothing. MLflow is imported here and nowhere
else, and only by ``export``: its import takes longer than most commands.

Metrics: ``test/<metric>`` and ``valid/<metric>`` of the selected checkpoint, recomputed from stored
predictions; ``epoch/…`` with steps; ``result/…``; ``cost/…``. Undefined values are left out and
listed in the tag ``undefined``.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import filelock

from harness import canonical
from harness.data.datasets import datasets
from harness.errors import SpecError, StoreError
from harness.scoring import Truth
from harness.store import RunStore, StoredRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

__all__ = ["ExportReport", "export"]

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines per run over HTTP
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default keeps trying for four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_SERVERS = ("http", "https", "postgresql", "mysql", "mssql")
_PAGE = 500
_LONGEST_PARAM = 6000  # MLflow cuts longer values without a word
_LONGEST_NAME = 250  # of a run, in databases that enforce it
_FORBIDDEN = re.compile(r"[^\w\-. :/]", re.ASCII)  # in names of metrics and parameters


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export did, in runs (seeds), and how long it took."""

    created: int
    present: int
    seconds: float


def export(store: RunStore, uri: str, *, suites: Sequence[str] | None = None) -> ExportReport:
    """Bring committed runs into MLflow; runs already there are left alone.

    Args:
        store: Where runs are.
        uri: ``sqlite:///FILE``, ``http(s)://SERVER``, or a database MLflow can use.
        suites: Only the runs of these suites; every committed run when None.

    Raises:
        SpecError: For a URI of another kind.
        StoreError: When the server or database cannot be reached or used, another export is
            writing, or a stored run is damaged.
    """
    began = time.perf_counter()
    where = _absolute(uri)
    runs = _chosen(store, suites)
    labels = _labels(store)
    with _quiet_mlflow(), _only_exporter(store, where), _store_errors(where):
        projection = _Projection(store, where, labels)
        created = sum(projection.add(corpus, group) for corpus, group in runs.items())
    total = sum(map(len, runs.values()))
    return ExportReport(
        created=created, present=total - created, seconds=time.perf_counter() - began
    )


def _absolute(uri: str) -> str:
    """The URI with a file's path made absolute: MLflow resolves it again in every process."""
    kind = urlsplit(uri).scheme.partition("+")[0]
    if kind == "sqlite" and uri.startswith("sqlite:///") and uri != "sqlite:///":
        return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).absolute()}"
    if kind in _SERVERS:
        return uri
    raise SpecError(
        f"cannot export to {_shown(uri)}",
        hint="give sqlite:///FILE, http://HOST:PORT or a database URI",
    )


def _shown(uri: str) -> str:
    """The URI without what may be a password."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else uri


def _chosen(store: RunStore, suites: Sequence[str] | None) -> dict[str, list[_Record]]:
    """Corpus -> its runs to export."""
    if suites is None:
        runs: Iterable[StoredRun] = store
    else:
        keys = dict.fromkeys(key for suite in suites for key, _ in _cells(store, suite))
        runs = (store.get(key) for key in keys if key in store)
    grouped: dict[str, list[_Record]] = {}
    for run in runs:
        record = _Record(run, run.manifest)
        grouped.setdefault(record.corpus, []).append(record)
    return grouped


def _labels(store: RunStore) -> dict[str, str]:
    """Run key -> its row's label in the first suite that has it."""
    labels: dict[str, str] = {}
    for suite in store.plans():
        for key, label in _cells(store, suite):
            labels.setdefault(key, label)
    return labels


def _cells(store: RunStore, suite: str) -> Iterator[tuple[str, str]]:
    plan: dict[str, Any] = store.plan(suite)
    return ((cell["key"], cell["label"]) for cell in plan["cells"] if cell["key"] is not None)


@dataclass(frozen=True)
class _Record:
    """A stored run with its manifest read."""

    run: StoredRun
    manifest: Mapping[str, Any]

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.manifest["spec"]

    @property
    def corpus(self) -> str:
        return str(self.spec["corpus"])

    @functools.cached_property
    def row_key(self) -> str:
        """Identity of the row: of the run, but for its seed."""
        row = {name: value for name, value in self.spec.items() if name not in ("seed", "protocol")}
        return canonical.digest(row)[:32]

    @property
    def ended(self) -> int:
        """When it was committed, milliseconds since 1970."""
        return int((self.run.folder / "manifest.json").stat().st_mtime * 1000)

    @property
    def began(self) -> int:
        cost = self.manifest["cost"]
        return self.ended - int(1000 * (cost["fit_seconds"] + cost["predict_seconds"]))
