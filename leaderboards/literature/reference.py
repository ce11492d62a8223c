"""Reference runs: results per seed of released code, run by others on the published features.

A published mean says what its authors reached; reference runs say what their code reaches in other
hands, and how far its seeds spread. One row of the file is one run, so that ``msa study variance
--csv`` reads it as it is.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from harness.data.datasets import datasets
from harness.errors import DataError, HarnessError
from harness.metrics import metrics
from leaderboards.literature.rows import PublishedRow, Selection, problems

__all__ = [
    "REFERENCE_FILE",
    "ReferenceRuns",
    "read_reference_runs",
    "reference_of",
    "reference_runs",
]

REFERENCE_FILE = Path(__file__).parent / "reference_runs.csv"
"""The shipped runs; their means are a published table of the same name."""

_ABOUT = ("source", "dataset", "model", "registered", "code")
_HOW = ("convention", "selection", "device", "text", "features", "note")
_METRICS = ("mae", "corr", "acc2_non0", "acc2_has0", "acc5", "acc7")
_COLUMNS = (*_ABOUT, "seed", *_HOW[:-1], *_METRICS, _HOW[-1])


@dataclass(frozen=True, kw_only=True)
class ReferenceRuns:
    """The runs of one system by one code on one dataset.

    Args:
        source: Where they are printed.
        dataset: Registered name.
        model: As the source names it.
        registered: The system's name here; empty for one that this harness does not have.
        code: Whose code was run.
        convention: Whose metric code; empty when not stated.
        selection: What chose the checkpoints.
        device: What they were trained on.
        text: How text enters, as boards print it; empty when not stated.
        features: Feature set; empty when not stated.
        note: Anything else a reader must know.
        seeds: Of the runs, in file order.
        values: Metric -> one value per seed, in the metric's own unit; a metric that the source
            leaves out is absent.
    """

    source: str
    dataset: str
    model: str
    registered: str
    code: str
    convention: str
    selection: Selection
    device: str
    text: str
    features: str
    note: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]

    def row(self, metric: str) -> PublishedRow:
        """Their mean as a published number, printed as a table of means would print it."""
        mean = math.fsum(self.values[metric]) / len(self.seeds)
        percent = metrics[metric].percent
        printed = f"{100.0 * mean:.2f}" if percent else f"{mean:.4f}"
        return PublishedRow(
            table=REFERENCE_FILE.stem,
            source=self.source,
            year=None,
            dataset=self.dataset,
            system=self.registered,
            title=self.model,
            metric=metric,
            printed=printed,
            value=float(printed) / 100.0 if percent else float(printed),
            convention=self.convention,
            selection=self.selection,
            seeds=len(self.seeds),
            text=self.text,
            features=self.features,
            side_info="",
            condition="clean",
            clips="all",
            reliability="re-run",
            note="; ".join(filter(None, (f"{self.code} code", self.note))),
            device=self.device,
        )

    def rows(self) -> tuple[PublishedRow, ...]:
        """The mean of every metric."""
        return tuple(map(self.row, self.values))


def reference_of(dataset: str, system: str) -> ReferenceRuns | None:
    """The shipped runs of a system; None where there are none.

    Args:
        dataset: Registered name.
        system: Registered name; none of its variants, which are other code.

    Example:
        >>> found = reference_of("mosi", "misa")
        >>> found.code, len(found.seeds), round(sum(found.values["mae"]) / 10, 4)
        ("MMSA's", 10, 0.7757)
    """
    return next(
        (r for r in reference_runs() if (r.dataset, r.registered) == (dataset, system)), None
    )


@functools.cache
def reference_runs() -> tuple[ReferenceRuns, ...]:
    """The runs that come with the project, in file order."""
    return read_reference_runs(REFERENCE_FILE)


def read_reference_runs(path: Path) -> tuple[ReferenceRuns, ...]:
    """A file of reference runs, checked.

    Args:
        path: A CSV with one row per run, the rows of one system together; metrics in their own
            unit, empty where the source leaves one out.

    Raises:
        DataError: Naming the file, and the line where there is one, for a wrong column, an unknown
            name, a value out of range, a seed listed twice, or runs of one system that say
            different things about themselves.
    """
    with path.open(encoding="utf-8", newline="") as file:
        records = csv.DictReader(file, strict=True)
        line = 1
        try:
            if tuple(records.fieldnames or ()) != _COLUMNS:
                raise ValueError(f"expected columns {list(_COLUMNS)}, found {records.fieldnames}")
            read = []
            for record in records:
                line = records.line_num
                read.append(_checked(record))
        except (ValueError, csv.Error, HarnessError) as error:
            raise DataError(f"{path.name}, line {line}: {error}") from error
    try:
        found = tuple(_grouped(read))
        _need_once(found)
    except (ValueError, HarnessError) as error:
        raise DataError(f"{path.name}: {error}") from error
    return found


def _checked(record: Mapping[str, Any]) -> Mapping[str, str]:
    if None in record or None in record.values():
        raise ValueError("expected one cell per column")
    if not record["seed"].isdecimal():
        raise ValueError(f"seed should be a whole number, found {record['seed']!r}")
    for name in _METRICS:
        if record[name]:
            value = float(record[name])
            metric = metrics[name]
            if not metric.low <= value <= metric.high:
                raise ValueError(f"{name} lies in [{metric.low:g}, {metric.high:g}], found {value}")
    if not record["device"]:
        raise ValueError("device is empty")
    return record


def _grouped(records: Sequence[Mapping[str, str]]) -> Iterator[ReferenceRuns]:
    def about(record: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(record[name] for name in _ABOUT)

    for key, own in groupby(records, key=about):
        runs = list(own)
        said = {tuple(run[name] for name in _HOW) for run in runs}
        if len(said) != 1:
            raise ValueError(f"runs of {key[2]} differ in {' or '.join(_HOW)}")
        given = [name for name in _METRICS if runs[0][name]]
        if any(bool(run[name]) != (name in given) for run in runs for name in _METRICS):
            raise ValueError(f"runs of {key[2]} give different metrics")
        fields: dict[str, Any] = {name: runs[0][name] for name in (*_ABOUT, *_HOW)}
        found = ReferenceRuns(
            **fields,
            seeds=tuple(int(run["seed"]) for run in runs),
            values={name: tuple(float(run[name]) for run in runs) for name in given},
        )
        for row in found.rows():
            for problem in problems(row):
                raise ValueError(f"{found.model}: {problem}")
        yield found


def _need_once(found: Sequence[ReferenceRuns]) -> None:
    seen: set[tuple[str, str]] = set()
    for one in found:
        place = datasets[one.dataset].name, one.model
        if place in seen:
            raise ValueError(f"{one.model} on {one.dataset} comes in two places")
        seen.add(place)
        if len(set(one.seeds)) != len(one.seeds):
            raise ValueError(f"{one.model} on {one.dataset} has a seed twice")
