"""Rows of CSV files with results, under the names that papers' authors use.

Shared by tables of results per seed and tables of published means.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness._util.budget import Budget
from harness._util.printed import pair_of
from harness.data.datasets import datasets
from harness.data.readers.tables import charge_csv
from harness.errors import SubmissionError
from harness.metrics import Metric, metrics

__all__ = [
    "KEYS",
    "METRIC_COLUMNS",
    "dataset_name",
    "metric_of",
    "metrics_of",
    "read_rows",
    "refuse_twice",
]

METRIC_COLUMNS: Mapping[str, str] = {
    "has0_acc_2": "acc2_has0",
    "has0_f1_score": "f1_has0",
    "non0_acc_2": "acc2_non0",
    "non0_f1_score": "f1_non0",
    "mult_acc_2": "acc2",
    "mult_acc_3": "acc3",
    "mult_acc_5": "acc5",
    "mult_acc_7": "acc7",
    "f1_score": "f1",
}
"""Columns of MMSA's result files, in lower case -> metrics here; MAE and Corr need no entry."""

KEYS = ("dataset", "model", "seed", "config")
"""Columns that say what a result is of; their names are read in any case."""


def read_rows(
    path: Path, needed: Sequence[str], aliases: Mapping[str, str]
) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file: line number, and text by column.

    Args:
        path: The file.
        needed: Columns it must have, found in any case.
        aliases: Other names of needed columns -> their names.

    Raises:
        SubmissionError: Naming the file, the line and what was expected there.
    """
    lines = _read_csv(path)
    if len(lines) < 2:
        raise SubmissionError(f"{path.name} holds no rows", hint="a header, then one row per run")
    header = [_column(name, needed, aliases) for name in lines[0][1]]
    lacking = [name for name in needed if name not in header]
    if lacking:
        raise SubmissionError(
            f"{path.name} lacks the column {' and '.join(lacking)}; it has {', '.join(header)}"
        )
    refuse_twice(path, header)
    for number, line in lines:
        if len(line) != len(header):
            raise SubmissionError(
                f"{path.name}, line {number}: {len(line)} cells, the header has {len(header)}"
            )
    return [
        (number, dict(zip(header, (cell.strip() for cell in line), strict=True)))
        for number, line in lines[1:]
    ]


def _read_csv(path: Path) -> list[tuple[int, list[str]]]:
    budget = Budget.of(path, "a table", error=SubmissionError)
    try:
        content = budget.read(path)
        charge_csv(content, budget)
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        reader = csv.reader(text, strict=True)
        lines = [(reader.line_num, line) for line in reader if line]
    except (OSError, ValueError, csv.Error) as error:
        raise SubmissionError(f"{path.name} cannot be read: {error}") from error
    budget.need_few_names(len(lines[0][1]) if lines else 0, "columns")
    return lines


def _column(name: str, needed: Sequence[str], aliases: Mapping[str, str]) -> str:
    plain = name.strip().lower()
    plain = aliases.get(plain, plain)
    return plain if plain in (*needed, *KEYS) else name.strip()


def refuse_twice(path: Path, names: Iterable[str]) -> None:
    """Raise ``SubmissionError`` when a name occurs twice among a file's columns."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SubmissionError(f"{path.name} has two columns for {twice[0]}")


def dataset_name(text: str) -> str:
    """Name of the dataset that text names or titles; the text itself when none is known.

    Example:
        >>> dataset_name("CMU-MOSI"), dataset_name("ch-sims v2"), dataset_name("mine")
        ('mosi', 'simsv2', 'mine')
    """
    wanted = text.strip().casefold()
    for known in datasets.values():
        title = known.title.casefold()
        if wanted in (known.name, title, title.partition(" (")[0]):
            return known.name
    return text.strip()


def metric_of(column: str) -> Metric | None:
    """The metric in a column of that name, None when it is none.

    Example:
        >>> metric_of("Has0_acc_2").name, metric_of("MAE").name, metric_of("Loss")
        ('acc2_has0', 'mae', None)
    """
    name = METRIC_COLUMNS.get(column.lower(), column.lower())
    if name not in metrics:
        return None
    return metrics[name]


def metrics_of(name: str) -> tuple[Metric, ...]:
    """The metrics that a printed name stands for: one, two apart by a slash, or none.

    Example:
        >>> [metric.name for metric in metrics_of("Has0_acc_2/Non0_acc_2")]
        ['acc2_has0', 'acc2_non0']
    """
    metric = metric_of(name)
    if metric is not None:
        return (metric,)
    return tuple(metrics[one] for one in pair_of(name) or ())
