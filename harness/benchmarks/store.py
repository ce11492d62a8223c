"""Storing runs, making boards of them, exporting them to MLflow."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import leaderboards
from harness.benchmarks.finished_suites import store_suites, suite_name
from harness.benchmarks.measure import BenchmarkRow, Measure, Scale, alternate, wall
from harness.benchmarks.references import SCORERS
from harness.benchmarks.runs import SUITE, copies, key_of, stored
from harness.data.datasets import datasets
from harness.data.split_labels import SplitLabels
from harness.home import Home
from harness.runs.labels import predictions_of, stored_labels
from harness.runs.record import RunRecord
from harness.runs.store import RunStore
from harness.tracking import export as tracking
from harness.tracking.connection import quiet_mlflow
from harness.tracking.describe import Tracked, Tracker, corpus_of
from harness.tracking.projection import Projection

__all__ = ["board", "board_of_all", "commit", "export", "growth"]

_FOUR = ("mosi-twin@compact", "mosei-twin@compact", "sims-twin@compact", "simsv2-twin@compact")
_GROWTH = 1000  # full store / new store
_FLAT = 1.2
"""Aim: a thousand times the runs, hardly more time for one."""


def commit(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Committing runs against writing the same bytes and leaving the rest to the system."""
    store = RunStore(folder / "committed")
    firsts = itertools.count(step=scale.commits)

    def theirs() -> float:
        contents = [_files(run.folder) for run in itertools.islice(store, scale.commits)]
        with tempfile.TemporaryDirectory(dir=folder) as target:
            return wall(lambda: _write(contents, Path(target)))() / scale.commits

    ours = _committing(store, folder, scale, firsts)
    measured = alternate(ours, theirs, repeats=scale.repeats)
    row = BenchmarkRow(
        what="Committing a run",
        reference="writing the same bytes, no fsync",
        ours=measured[0],
        theirs=measured[1],
        note="per run; ours makes Parquet and JSON and waits until they are on the disk",
    )
    return [row]


def _committing(store: RunStore, folder: Path, scale: Scale, firsts: Iterator[int]) -> Measure:
    """Seconds per run of committing the copies numbered from the next of ``firsts``."""

    def measure() -> float:
        records = list(copies(folder, scale.share, scale.commits, first=next(firsts)))
        return wall(lambda: _commit(store, records))() / scale.commits

    return measure


def _commit(store: RunStore, records: Iterable[RunRecord]) -> None:
    for record in records:
        store.commit(record)


def growth(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Committing to a store and finding a run in it, when it is full and when it is new."""
    full, new = RunStore(folder / "full"), RunStore(folder / "new")
    counts = {full.root: scale.grown, new.root: max(1, scale.grown // _GROWTH)}
    for store in (full, new):
        _commit(store, copies(folder, scale.share, counts[store.root]))
    firsts = itertools.count(scale.grown, scale.commits)

    def finding(store: RunStore) -> Measure:
        count = min(scale.commits, counts[store.root])
        keys = [key_of(folder, scale.share, number) for number in range(count)]
        find_all = wall(lambda: [store.get(key).damage for key in keys])
        return lambda: find_all() / len(keys)

    committing = [_committing(store, folder, scale, firsts) for store in (full, new)]
    measured = alternate(*committing, finding(full), finding(new), repeats=scale.repeats)
    reference = f"the same in a store of {counts[new.root]:,}"
    return [
        BenchmarkRow(
            what=f"Committing a run to a store of {scale.grown:,}",
            reference=reference,
            ours=measured[0],
            theirs=measured[1],
            target=_FLAT,
        ),
        BenchmarkRow(
            what=f"Finding and checking a run in a store of {scale.grown:,}",
            reference=reference,
            ours=measured[2],
            theirs=measured[3],
            target=_FLAT,
            note="every file against its digest",
        ),
    ]


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def _write(contents: Sequence[Mapping[str, bytes]], target: Path) -> None:
    for number, files in enumerate(contents):
        folder = target / str(number)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)


def board(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """A board of many runs against scoring the same predictions with scikit-learn and SciPy."""
    store = stored(folder, folder / "boarded", scale.share, scale.board_runs)
    truth = _test_labels(store)
    predictions = [predictions_of(run, truth) for run in store]
    ours, theirs, added = alternate(
        _making_anew(store, SUITE),
        wall(lambda: _score_elsewhere(predictions, truth.labels)),
        _after_adding(store, SUITE),
        repeats=scale.repeats,
    )
    row = BenchmarkRow(
        what=f"Board of {scale.board_runs:,} stored runs",
        reference="scikit-learn and SciPy, one call per metric, predictions in memory",
        ours=ours,
        theirs=theirs,
        target=1.0,
        note=f"{len(truth.labels)} clips, {len(SCORERS)} metrics; ours also reads every run",
    )
    return [row, _incremental(f"Board of {scale.board_runs:,} stored runs", added, ours)]


def board_of_all(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """A board of as many rows as there are systems, on twins of the four datasets."""
    home = Home(folder)
    store_suites(home, numbers=[0], rows=scale.zoo_rows, share=scale.share, corpora=_FOUR)
    store, suite = RunStore(home.store), suite_name(0)
    anew, added = alternate(
        _making_anew(store, suite), _after_adding(store, suite), repeats=scale.repeats
    )
    what = f"Board of {scale.zoo_rows} rows on four corpora"
    return [_incremental(what, added, anew)]


def _incremental(what: str, added: Sequence[float], anew: Sequence[float]) -> BenchmarkRow:
    return BenchmarkRow(
        what=f"{what}, after one added run",
        reference="the same board made anew",
        ours=added,
        theirs=anew,
        note="equal to the last byte; what the run changes is computed",
    )


def _making_anew(store: RunStore, suite: str) -> Measure:
    """A board of which nothing is remembered."""

    def measure() -> float:
        shutil.rmtree(store.computed, ignore_errors=True)
        return wall(lambda: leaderboards.render(store, suite))()

    return measure


def _after_adding(store: RunStore, suite: str) -> Measure:
    """A board after its last run came, the others as the last board saw them."""
    key = next(cell.key for cell in reversed(store.plan(suite).cells) if cell.key)

    def measure() -> float:
        shutil.rmtree(store.computed, ignore_errors=True)
        away = store.folder(key).rename(store.root / key)
        leaderboards.render(store, suite)
        away.rename(store.folder(key))
        return wall(lambda: leaderboards.render(store, suite))()

    return measure


def _test_labels(store: RunStore) -> SplitLabels:
    return stored_labels(store, store.plan(SUITE).corpora[0].data, datasets["mosi"])


def _score_elsewhere(
    predictions: Sequence[NDArray[np.float64]], labels: NDArray[np.float64]
) -> None:
    for pred in predictions:
        for scorer in SCORERS.values():
            scorer(pred.round(6), labels)


def export(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Exporting runs to MLflow in SQLite against two other ways of writing the same."""
    store = stored(folder, folder / "exported", scale.share, scale.export_runs)
    empty = folder / "empty.db"
    tracking.export(RunStore(folder / "nothing"), f"sqlite:///{empty}")
    numbers = itertools.count()

    def into_copy(projection: type[Projection] | None) -> Measure:
        def measure() -> float:
            copy = shutil.copy(empty, folder / f"export{next(numbers)}.db")
            return wall(lambda: _export(store, f"sqlite:///{copy}", projection))()

        return measure

    ours, each, waiting = alternate(
        into_copy(None),
        into_copy(_CallPerValue),
        into_copy(Projection),
        repeats=scale.repeats,
    )
    what = f"MLflow export of {scale.export_runs} runs"
    note = "SQLite on disk, tables made before"
    return [
        BenchmarkRow(
            what=what, reference="one MLflow call per value", ours=ours, theirs=each, note=note
        ),
        BenchmarkRow(
            what=what,
            reference="the same calls with MLflow's journal",
            ours=ours,
            theirs=waiting,
            note=f"{note}; ours has a write-ahead log while it exports",
        ),
    ]


def _export(store: RunStore, uri: str, projection: type[Projection] | None) -> None:
    if projection is None:
        tracking.export(store, uri, files=False)
        return
    with quiet_mlflow():
        every = list(store)
        projection(uri, Tracker(store)).add(corpus_of(every[0]), every)


class _CallPerValue(Projection):
    """Logging as training scripts do it."""

    def _fill(self, run_id: str, item: Tracked) -> None:
        for name, text in item.params.items():
            self._client.log_param(run_id, name, text)
        for name, value, step in item.values:
            self._client.log_metric(run_id, name, value, item.ended, step)
        self._client.set_terminated(run_id, end_time=item.ended)
