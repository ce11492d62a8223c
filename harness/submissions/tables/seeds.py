"""Tables of results per seed, as papers' authors keep them: one row per run, one column per metric.

Columns: ``dataset``, ``model`` (or ``system``), ``seed``, ``config`` (a name or hash of all
hyper-parameters; may be absent when no seed repeats) and metrics, under their names here or in
MMSA's tables (``harness.submissions.tables.rows``). Other columns are not read. Results are
fractions, or percent with the sign; an empty cell, a dash or ``nan`` is an undefined result.

Runs are comparable only within one ``config``, so that a group is one dataset, model and config.
Logs hold more than repeats of a final setting, hence four rules, each with its reason in
``SeedTable.left_out``:

- rows that agree on every metric with a row of another model (same dataset and seed) are logged
  under a wrong name, nobody knows which: no copy counts;
- a group counts with enough different seeds and at most two rows per seed; more rows of one seed
  are a search and not a repeat;
- of the rows of one seed, the first in the file counts;
- a group whose every seed agrees with a group before it, of the same dataset and model, is the same
  runs under another config: it counts once. F1 is not asked, for versions of MMSA swapped its
  arguments and so its weights.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness._util.printed import read_number
from harness.errors import SubmissionError
from harness.metrics import Metric, metrics
from harness.submissions.tables.rows import KEYS, dataset_name, metric_of, read_rows, refuse_twice

__all__ = ["LeftOut", "SeedGroup", "SeedTable", "read_seed_table"]

_LEAST_SEEDS = 5
_MOST_ROWS = 2  # per seed; a repeated run happens, a third is a search
_SEED = re.compile("[0-9]{1,15}")
_TELLING = 3  # metrics two rows must agree on before they count as one row logged twice


@dataclass(frozen=True, kw_only=True)
class SeedGroup:
    """Runs that differ in their seed alone.

    Args:
        dataset: Name of a known dataset, else as written.
        model: As written.
        config: As written; empty when the file has no such column.
        seeds: S seeds, in file order.
        values: Metric -> one value per seed, NaN where undefined.
    """

    dataset: str
    model: str
    config: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A group that does not count."""

    dataset: str
    model: str
    config: str
    rows: int
    seeds: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class SeedTable:
    """A file of results per seed, taken apart.

    Args:
        file: Its name.
        rows: Number of rows.
        shared: Rows dropped because they occur under two models.
        metrics: Metrics with a value, in the file's order.
        unread: Columns that are no key, no metric, or empty.
        groups: What counts, sorted by dataset, model and config.
        left_out: What does not, in the same order.
    """

    file: str
    rows: int
    shared: int
    metrics: tuple[str, ...]
    unread: tuple[str, ...]
    groups: tuple[SeedGroup, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, kw_only=True)
class _Run:
    dataset: str
    model: str
    config: str
    seed: int
    values: Mapping[str, float]

    @property
    def group(self) -> tuple[str, str, str]:
        return self.dataset, self.model, self.config

    @property
    def content(self) -> tuple[object, ...]:
        """Equal for runs that may be one run logged twice."""
        given = {name: value for name, value in self.values.items() if not math.isnan(value)}
        return self.dataset, self.seed, tuple(given.items())

    @property
    def is_telling(self) -> bool:
        return sum(not math.isnan(value) for value in self.values.values()) >= _TELLING

    @property
    def without_f1(self) -> _Run:
        values = {k: value for k, value in self.values.items() if not k.startswith("f1")}
        return dataclasses.replace(self, values=values)


def read_seed_table(
    path: Path, *, least_seeds: int = _LEAST_SEEDS, most_rows: int = _MOST_ROWS
) -> SeedTable:
    """Read a table of results per seed and group it by dataset, model and config.

    Args:
        path: A CSV file.
        least_seeds: Different seeds a group needs.
        most_rows: Rows of one seed a group may have.

    Raises:
        SubmissionError: When the file cannot be read, lacks a column or holds anything but whole
            seeds and results in a metric's range; and when it has no column ``config`` although
            seeds repeat, because rows of different configs would be averaged.
    """
    rows = read_rows(path, ("dataset", "model", "seed"), {"system": "model"})
    columns = _metric_columns(path, rows)
    runs = [_run(row, columns, f"{path.name}, line {line}") for line, row in rows]
    _, header = rows[0]
    if "config" not in header:
        _refuse_pooling(path, runs)
    kept = list(_under_one_model(runs))
    members: dict[tuple[str, str, str], list[_Run]] = {run.group: [] for run in runs}
    for run in kept:
        members[run.group].append(run)
    reasons = {
        group: _reason(Counter(run.seed for run in own), least_seeds, most_rows)
        for group, own in sorted(members.items())
    }
    reasons = _counted_once(reasons, members)
    return SeedTable(
        file=path.name,
        rows=len(runs),
        shared=len(runs) - len(kept),
        metrics=tuple(columns.values()),
        unread=tuple(name for name in header if name not in {*KEYS, *columns}),
        groups=tuple(_group(members[group]) for group, reason in reasons.items() if not reason),
        left_out=tuple(
            _left_out(group, members[group], reason) for group, reason in reasons.items() if reason
        ),
    )


def _counted_once(
    reasons: Mapping[tuple[str, str, str], str], members: Mapping[tuple[str, str, str], list[_Run]]
) -> dict[tuple[str, str, str], str]:
    """The reasons, with one for every group that repeats the results of a group before it."""
    found: dict[tuple[str, str, str], str] = {}
    known: dict[tuple[object, ...], str] = {}
    for group, reason in reasons.items():
        dataset, model, config = group
        own = {run.seed: run.without_f1 for run in reversed(members[group])}
        results = frozenset(run.content for run in own.values())
        first = known.setdefault((dataset, model, results), config) if not reason else config
        repeats = first != config and all(run.is_telling for run in own.values())
        found[group] = f"the results of config {first} once more" if repeats else reason
    return found


def _metric_columns(path: Path, rows: Sequence[tuple[int, Mapping[str, str]]]) -> dict[str, str]:
    """Column -> metric, of columns that are metrics and hold a value."""
    _, header = rows[0]
    found = {
        column: metric.name
        for column in header
        if (metric := metric_of(column)) is not None and any(row[column] for _, row in rows)
    }
    if not found:
        raise SubmissionError(
            f"{path.name} has no metric in any column; it has {', '.join(header)}",
            hint="metrics are columns such as MAE, Corr or acc2_non0: msa list metrics",
        )
    refuse_twice(path, found.values())
    return found


def _run(row: Mapping[str, str], columns: Mapping[str, str], where: str) -> _Run:
    for key in KEYS:
        if not row.get(key, "absent"):
            raise SubmissionError(f"{where}: {key} is empty")
    if not _SEED.fullmatch(row["seed"]):
        raise SubmissionError(f"{where}: seed should be a whole number, found {row['seed']!r}")
    return _Run(
        dataset=dataset_name(row["dataset"]),
        model=row["model"],
        config=row.get("config", ""),
        seed=int(row["seed"]),
        values={
            name: _value(row[column], metrics[name], f"{where}: {column}")
            for column, name in columns.items()
        },
    )


def _value(text: str, metric: Metric, where: str) -> float:
    printed = read_number(text, where)
    if printed is None:
        return math.nan
    if printed.spread is not None:
        raise SubmissionError(
            f"{where} should be the result of one run, found {text!r}: one run has no spread",
            hint="one row per run; published means are compared with --against",
        )
    value = float(printed.value / 100 if printed.percent else printed.value)
    if not metric.low <= value <= metric.high:
        raise SubmissionError(
            f"{where} should lie in [{metric.low:g}, {metric.high:g}], found {text}",
            hint="results are fractions, not percent; leave an undefined result empty",
        )
    return value


def _refuse_pooling(path: Path, runs: Iterable[_Run]) -> None:
    seen = Counter((run.dataset, run.model, run.seed) for run in runs)
    (dataset, model, seed), rows = seen.most_common(1)[0]
    if rows > 1:
        raise SubmissionError(
            f"{path.name} has no column config, and {rows} rows of {model} on {dataset} share seed"
            f" {seed}: rows of different configs would be pooled, so nothing is averaged",
            hint="add a column config that names or hashes the hyper-parameters of each row",
        )


def _under_one_model(runs: Sequence[_Run]) -> Iterator[_Run]:
    models: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for run in runs:
        models[run.content].add(run.model)
    for run in runs:
        if len(models[run.content]) == 1 or not run.is_telling:
            yield run


def _group(runs: Sequence[_Run]) -> SeedGroup:
    first = {run.seed: run for run in reversed(runs)}
    chosen = [first[seed] for seed in dict.fromkeys(run.seed for run in runs)]
    dataset, model, config = runs[0].group
    return SeedGroup(
        dataset=dataset,
        model=model,
        config=config,
        seeds=tuple(run.seed for run in chosen),
        values={name: tuple(run.values[name] for run in chosen) for name in runs[0].values},
    )


def _left_out(group: tuple[str, str, str], runs: Sequence[_Run], reason: str) -> LeftOut:
    dataset, model, config = group
    return LeftOut(
        dataset=dataset,
        model=model,
        config=config,
        rows=len(runs),
        seeds=len({run.seed for run in runs}),
        reason=reason,
    )


def _reason(counts: Counter[int], least_seeds: int, most_rows: int) -> str:
    """Why a group with so many rows per seed does not count; empty when it does."""
    if not counts:
        return "every row occurs under two models"
    seed, rows = counts.most_common(1)[0]
    if rows > most_rows:
        return f"{rows} rows of seed {seed}: a search, not repeats"
    if len(counts) < least_seeds:
        return f"{len(counts)} of the {least_seeds} seeds needed"
    return ""
