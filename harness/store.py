"""The run store: predictions are the result, and existence is completion.

``runs/<kk>/<key>/`` holds one committed run: ``manifest.json``, ``predictions.parquet``,
``history.json`` and, per watched split, ``curve_<split>.parquet``. ``truth/<data>.parquet`` holds
the labels of each corpus that was run on, so that every metric can be recomputed from the store
alone. ``plans/<suite>.json`` says which cells a suite consists of; ``failures/<key>.json`` why one
failed.

Only the driver writes. A run folder appears by one rename; a kill at any moment loses at most the
cells in flight.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness import canonical
from harness.canonical import Json
from harness.data.corpus import LABELS, Corpus
from harness.errors import StoreError
from harness.files import commit_folder, sweep, write_atomic

__all__ = ["RunRecord", "RunStore", "StoredRun"]

FORMAT = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class RunRecord:
    """What a worker returns and the driver commits.

    Args:
        key: The run's identity.
        manifest: Spec, result and provenance, JSON values only.
        predictions: Columns ``id, split, condition, pred`` (float64).
        history: One mapping per epoch.
        curves: Split -> table of one float32 column per epoch, rows in the order of the split.
    """

    key: str
    manifest: Mapping[str, Json]
    predictions: pd.DataFrame
    history: tuple[Mapping[str, Json], ...] = ()
    curves: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredRun:
    """A committed run, read lazily."""

    folder: Path

    @property
    def key(self) -> str:
        """The run's identity."""
        return self.folder.name

    @property
    def manifest(self) -> dict[str, Json]:
        """Spec, result and provenance."""
        return _read_json(self.folder / "manifest.json")

    def predictions(self, split: str = "test", condition: str = "clean") -> pd.Series:
        """Clip id -> float64 prediction, in the order of the corpus."""
        table = _read_table(
            self.folder / "predictions.parquet",
            (pc.field("split") == split) & (pc.field("condition") == condition),
        )
        return table.set_index("id")["pred"].rename(self.key)

    def history(self) -> list[dict[str, Json]]:
        """One record per epoch."""
        epochs: list[dict[str, Json]] = json.loads((self.folder / "history.json").read_text())
        return epochs

    def curve(self, split: str) -> NDArray[np.float32] | None:
        """(E, n) predictions after each epoch, None for systems without epochs."""
        path = self.folder / f"curve_{split}.parquet"
        return _read_table(path).to_numpy(dtype=np.float32).T if path.is_file() else None


class RunStore:
    """Runs, plans, failures and labels under one folder.

    Args:
        root: ``Home.store``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store as its only writer and sweep what a killed driver left.

        Raises:
            StoreError: When another driver holds it (its process id is named), or it cannot be
                written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.root / ".lock")
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise StoreError(
                f"another driver (process {self._holder()}) is writing to this run store",
                hint="wait for it, or choose another store with --home",
            ) from None
        except OSError as error:
            raise StoreError(f"the run store cannot be written: {error}") from error
        try:
            (self.root / ".holder").write_text(str(os.getpid()))
            sweep(self.root)
            yield
        finally:
            lock.release()

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            return (self.root / ".holder").read_text() or "unknown"
        return "unknown"

    # Runs

    def _folder(self, key: str) -> Path:
        return self.root / "runs" / key[:2] / key

    def __contains__(self, key: str) -> bool:
        return self._folder(key).is_dir()

    def __iter__(self) -> Iterator[StoredRun]:
        for folder in sorted(self.root.glob("runs/??/" + "?" * 32)):
            yield StoredRun(folder)

    def get(self, key: str) -> StoredRun:
        """The committed run with this key.

        Raises:
            StoreError: When it has not been committed.
        """
        if key not in self:
            raise StoreError(f"run {key} is not in the store", hint="msa run SUITE")
        return StoredRun(self._folder(key))

    def commit(self, record: RunRecord) -> None:
        """Store a finished run; committing the same key twice is a no-op.

        Raises:
            StoreError: When the disk refuses (full, read-only); nothing half-written remains.
        """
        if record.key in self:
            return
        try:
            with commit_folder(self._folder(record.key)) as folder:
                _write_record(record, folder)
        except OSError as error:
            raise StoreError(
                f"run {record.key} could not be stored: {error}",
                hint="free some space or fix the permissions; the same command continues",
            ) from error
        self._failure(record.key).unlink(missing_ok=True)

    # Failures

    def _failure(self, key: str) -> Path:
        return self.root / "failures" / f"{key}.json"

    def fail(self, key: str, reason: str) -> None:
        """Remember why a cell failed; a later success forgets it."""
        write_atomic(self._failure(key), canonical.dumps({"key": key, "reason": reason}))

    def failure(self, key: str) -> str | None:
        """Why the cell failed last time, None when it did not."""
        path = self._failure(key)
        return str(_read_json(path)["reason"]) if path.is_file() else None

    # Plans

    def put_plan(self, suite: str, plan: Mapping[str, Json]) -> None:
        """Remember what a suite consists of."""
        write_atomic(self.root / "plans" / f"{suite}.json", canonical.dumps(plan, indent=1))

    def plan(self, suite: str) -> dict[str, Json]:
        """The cells of a suite as last planned.

        Raises:
            StoreError: When the suite was never planned here.
        """
        path = self.root / "plans" / f"{suite}.json"
        if not path.is_file():
            known = ", ".join(self.plans()) or "none"
            raise StoreError(
                f"suite {suite!r} has not been run here (run so far: {known})",
                hint=f"msa run {suite}",
            )
        return _read_json(path)

    def plans(self) -> list[str]:
        """Suites planned here, sorted."""
        return sorted(path.stem for path in self.root.glob("plans/*.json"))

    # Labels

    def put_truth(self, corpus: Corpus) -> None:
        """Keep a corpus's ids, source videos, splits and labels beside the runs."""
        path = self._truth(corpus.fingerprint)
        if path.is_file():
            return
        columns = ["id", "video", "split", *(name for name in LABELS if name in corpus.clips)]
        write_atomic(path, corpus.clips[columns].to_parquet(index=False))

    def truth(self, data: str) -> pd.DataFrame:
        """Columns ``id, video, split, label`` (and label_T/A/V) of the corpus ``data`` marks.

        Raises:
            StoreError: When no run on that corpus was stored.
        """
        path = self._truth(data)
        if not path.is_file():
            raise StoreError(f"no labels stored for data {data[:12]}", hint="msa run SUITE")
        return _read_table(path)

    def _truth(self, data: str) -> Path:
        return self.root / "truth" / f"{data[:32]}.parquet"


def _write_record(record: RunRecord, folder: Path) -> None:
    record.predictions.to_parquet(folder / "predictions.parquet", index=False)
    for split, curve in record.curves.items():
        curve.to_parquet(folder / f"curve_{split}.parquet", index=False)
    (folder / "history.json").write_text(canonical.dumps(record.history), "utf-8")
    manifest = {"format": FORMAT, "key": record.key, **record.manifest}
    (folder / "manifest.json").write_text(canonical.dumps(manifest, indent=1), "utf-8")


def _read_json(path: Path) -> dict[str, Json]:
    try:
        content: dict[str, Json] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"damaged record {path.name} in {path.parent.name}: {error}",
            hint="delete that folder and run the suite again",
        ) from error
    return content


def _read_table(path: Path, rows: pc.Expression | None = None) -> pd.DataFrame:
    """A Parquet file, or those of its rows for which an expression holds."""
    try:
        with pq.ParquetFile(path) as file:  # a third of the time of `pandas.read_parquet`
            table = file.read(use_threads=False)
        chosen: pd.DataFrame = (table if rows is None else table.filter(rows)).to_pandas()
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise StoreError(
            f"damaged table {path.name} in {path.parent.name}: {error}",
            hint="delete that folder and run the suite again",
        ) from error
    return chosen
