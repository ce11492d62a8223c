"""Do these runs give the means their authors printed? Equality to the last printed digit.

A published table is a CSV with columns ``system``, ``dataset``, ``metric`` and ``value``; names of
datasets and metrics are those of ``harness.submissions.tables.rows``, values are read as
``harness._util.printed`` reads them. Values of accuracies and F1 above 1 are percent.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness._util.printed import Printed, read_numbers
from harness.errors import SubmissionError
from harness.metrics import Metric, metrics
from harness.submissions.tables.rows import dataset_name, metrics_of, read_rows
from harness.submissions.tables.seeds import SeedGroup

__all__ = ["Agreement", "Published", "against", "read_published"]

_ROUNDING = 1e-9  # of half a digit: decimal halves are not exact in binary


@dataclass(frozen=True, kw_only=True)
class Published:
    """One printed mean.

    Args:
        system: As written.
        dataset: Name of a known dataset, else as written.
        metric: Name of the metric.
        value: As printed.
        percent: Whether ``value`` is percent.
        decimals: Most decimals the table prints for this metric.
    """

    system: str
    dataset: str
    metric: str
    value: float
    percent: bool
    decimals: int


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A printed mean beside the mean of a group of runs.

    Args:
        published: What was printed.
        config: Which group.
        here: Mean over its seeds in the printed unit, NaN when undefined.
        gap: ``here`` minus the printed value.
        equal: Whether ``here`` rounds to the printed value.
    """

    published: Published
    config: str
    here: float
    gap: float
    equal: bool


def read_published(path: Path, table: str | None = None) -> tuple[Published, ...]:
    """Read published means; rows of unknown metrics, and without a number, are passed over.

    Args:
        path: A CSV file.
        table: Keep only rows whose column ``table`` says so.

    Raises:
        SubmissionError: When the file cannot be read, lacks a column, holds what is not understood
            where a number belongs, no number at all, or two values for one system, dataset and
            metric.
    """
    rows = read_rows(path, ("system", "dataset", "metric", "value"), {"model": "system"})
    tables = sorted({row.get("table", "") for _, row in rows} - {""})
    if table is not None and table not in tables:
        raise SubmissionError(
            f"{path.name} holds no table {table!r}", hint=f"it holds {', '.join(tables) or 'none'}"
        )
    read = [
        (row, metric, number)
        for line, row in rows
        if table is None or row["table"] == table
        for metric, number in _cells(row, f"{path.name}, line {line}: value")
    ]
    if not read:
        raise SubmissionError(
            f"{path.name} holds no number of a known metric",
            hint="metrics are named as in MMSA's tables or here: msa list metrics",
        )
    decimals: dict[str, int] = defaultdict(int)
    for _, metric, number in read:
        decimals[metric.name] = max(decimals[metric.name], number.decimals)
    found = [_published(row, metric, number, decimals) for row, metric, number in read]
    _refuse_ambiguity(path, found, tables)
    return tuple(found)


def against(groups: Iterable[SeedGroup], published: Iterable[Published]) -> tuple[Agreement, ...]:
    """Every printed mean beside every group of its dataset and model, in the order of groups."""
    printed: dict[tuple[str, str], list[Published]] = defaultdict(list)
    for cell in published:
        printed[cell.dataset, cell.system].append(cell)
    return tuple(
        _agreement(cell, group.config, group.values[cell.metric])
        for group in groups
        for cell in printed[group.dataset, group.model]
        if cell.metric in group.values
    )


def _cells(row: Mapping[str, str], where: str) -> Iterator[tuple[Metric, Printed]]:
    """The numbers of a row that has any; two where the metric names two."""
    named = metrics_of(row["metric"])
    if named:
        numbers = read_numbers(row["value"], len(named), where)
        yield from ((m, number) for m, number in zip(named, numbers, strict=True) if number)


def _published(
    row: Mapping[str, str], metric: Metric, number: Printed, decimals: Mapping[str, int]
) -> Published:
    return Published(
        system=row["system"],
        dataset=dataset_name(row["dataset"]),
        metric=metric.name,
        value=float(number.value),
        percent=number.percent or (metric.percent and number.value > 1),
        decimals=decimals[metric.name],
    )


def _agreement(cell: Published, config: str, values: tuple[float, ...]) -> Agreement:
    here = statistics.fmean(values) * (100.0 if cell.percent else 1.0)
    gap = here - cell.value
    half = 0.5 * 10.0**-cell.decimals
    return Agreement(
        published=cell, config=config, here=here, gap=gap, equal=abs(gap) <= half * (1 + _ROUNDING)
    )


def _refuse_ambiguity(path: Path, found: Iterable[Published], tables: list[str]) -> None:
    seen: dict[tuple[str, str, str], float] = {}
    for cell in found:
        key = cell.system, cell.dataset, cell.metric
        if seen.setdefault(key, cell.value) != cell.value:
            raise SubmissionError(
                f"{path.name} gives {seen[key]:g} and {cell.value:g} as"
                f" {metrics[cell.metric].title} of {cell.system} on {cell.dataset}",
                hint=f"choose one table with --table: {', '.join(tables)}"
                if tables
                else "keep one of them",
            )
