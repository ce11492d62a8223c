"""Rows as ``BENCHMARKS.md``, and back."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import os
import re
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tabulate import tabulate

from harness.benchmarks.measure import BenchmarkRow
from harness.errors import SpecError
from harness.runs import provenance

__all__ = ["Page", "ShownRow", "conditions", "read", "render", "shown", "updated"]

_HEADERS = ("What", "Reference", "Ratio", "Lowest to highest", "Ours", "Reference's", "Aim")
_ALIGN = ("left", "left", "right", "right", "right", "right", "right")
_ALSO = ("mlflow", "sqlalchemy", "pyarrow")
_SCALES = {"s": ((1.0, "s"), (1e-3, "ms")), "B": ((2**30, "GiB"), (2**20, "MiB"))}

_CELL = re.compile(r"(?<!\\)\|")
_NUMBER = r"[-+.\de]+"
_SPREAD = re.compile(rf"({_NUMBER}) to ({_NUMBER}) \(n=\d+\)")
_UNMEASURED = "not yet measured"
_ALONE = "measured by itself on "
_PLACE = ("Processor", "Memory", "System")

_INTRODUCTION = """\
Every figure is a ratio, ours over a reference measured in the same run: below 1 we are faster or
smaller. The two take turns, a ratio is taken between neighbours, and the table shows the median of
the ratios with the lowest and the highest; the medians in seconds or bytes are for orientation
only. Training on a CPU is measured in processor seconds of one thread, everything else in elapsed
seconds.

Made by `tox -e benchmarks`."""


@dataclass(frozen=True, kw_only=True)
class ShownRow:
    """A row as the page has it.

    Args:
        what: As ``BenchmarkRow``.
        reference: Likewise.
        figures: The other cells, as spelled.
        note: What a reader needs beside the numbers.
    """

    what: str
    reference: str
    figures: tuple[str, ...]
    note: str = ""

    @property
    def measured(self) -> bool:
        """Whether there are values."""
        return _SPREAD.fullmatch(self.figures[1]) is not None

    @property
    def ratio(self) -> float:
        """The median ratio of a row that was measured."""
        return float(self.figures[0])

    @property
    def spread(self) -> tuple[float, float]:
        """Lowest and highest ratio of a row that was measured."""
        found = _SPREAD.fullmatch(self.figures[1])
        assert found is not None
        return float(found[1]), float(found[2])


@dataclass(frozen=True, kw_only=True)
class Page:
    """``BENCHMARKS.md`` as read.

    Args:
        rows: In its order.
        facts: Its conditions.
    """

    rows: tuple[ShownRow, ...]
    facts: Mapping[str, str]


def conditions() -> dict[str, str]:
    """Date, hardware and versions of this process, and what else the machine was doing."""
    facts: Mapping[str, Any] = provenance.environment()
    versions = {"python": facts["python"], **facts["packages"]}
    versions |= {name: importlib.metadata.version(name) for name in _ALSO}
    return {
        "Date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "Processor": f"{facts['processor']}, {facts['cores']} cores",
        "Memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "System": f"{facts['system']}, temporary files on {_file_system()}",
        "Load before": f"{os.getloadavg()[0]:.1f} processes (1-minute average)",
        "Versions": ", ".join(f"{name} {version}" for name, version in sorted(versions.items())),
    }


def _file_system() -> str:
    """The kind of file system that temporary files are on; memory would make fsync free."""
    folder = Path(tempfile.gettempdir()).resolve()
    mounts = [m for m in psutil.disk_partitions(all=True) if folder.is_relative_to(m.mountpoint)]
    return max(mounts, key=lambda mount: len(mount.mountpoint)).fstype if mounts else "unknown"


def render(rows: Sequence[BenchmarkRow | ShownRow], facts: Mapping[str, str]) -> str:
    """The whole file, ending in a newline.

    Args:
        rows: In the order they are shown.
        facts: ``conditions()`` of the run.
    """
    every = [row if isinstance(row, ShownRow) else shown(row) for row in rows]
    table = tabulate(
        [[*map(_escaped, (row.what, row.reference, *row.figures))] for row in every],
        headers=_HEADERS,
        tablefmt="pipe",
        colalign=_ALIGN,
        disable_numparse=True,
    )
    under = "\n".join(f"- {name}: {value}." for name, value in facts.items())
    notes = "\n".join(f"{_note(row)}{row.note}." for row in every if row.note)
    blocks = ["# Benchmarks", _INTRODUCTION, table]
    blocks += [f"## Notes\n\n{notes}"] if notes else []
    return "\n\n".join([*blocks, "## Conditions", under]) + "\n"


def read(text: str) -> Page:
    """What ``render`` made.

    Raises:
        SpecError: For a text that it did not make.
    """
    lines = text.splitlines()
    table = [_cells(line) for line in lines if line.startswith("|")]
    if len(table) < 2 or tuple(table[0]) != _HEADERS:
        raise SpecError(
            "expected a page of benchmarks with its table, found none",
            hint="python -m harness.benchmarks --out FILE makes one",
        )
    if any(len(cells) != len(_HEADERS) for cells in table):
        raise SpecError(f"a row of the table of benchmarks has not {len(_HEADERS)} cells")
    rows = [ShownRow(what=c[0], reference=c[1], figures=tuple(c[2:])) for c in table[2:]]
    head, _, under = text.rpartition("\n## Conditions\n")
    said = head.partition("\n## Notes\n")[2].splitlines()
    return Page(
        rows=tuple(dataclasses.replace(row, note=_said(row, said)) for row in rows),
        facts=dict(_fact(line) for line in under.splitlines() if line.startswith("- ")),
    )


def updated(page: Page, rows: Sequence[BenchmarkRow], facts: Mapping[str, str]) -> str:
    """The page with some rows measured again, or for the first time, by themselves.

    Their notes say when, and how far conditions differ from those of the page; where no row of the
    page's own conditions is left, these become the page's. A row that could not be measured takes
    the place of none that was.

    Args:
        page: As it is.
        rows: The new ones.
        facts: ``conditions()`` of their run.
    """
    every = {(row.what, row.reference): row for row in page.rows}
    alone = _alone(page.facts, facts)
    for row in map(shown, rows):
        place = (row.what, row.reference)
        if row.measured:
            note = "; ".join(part for part in (row.note, alone) if part)
            every[place] = dataclasses.replace(row, note=note)
        elif place not in every:
            every[place] = row
    kept = list(every.values())
    if any(row.measured and _ALONE not in row.note for row in kept):
        return render(kept, page.facts)
    return render([_without(alone, row) for row in kept], facts)


def _alone(page: Mapping[str, str], facts: Mapping[str, str]) -> str:
    """When and where a row was measured by itself; empty where that is as the page says."""
    if all(facts.get(name) == page.get(name) for name in ("Date", *_PLACE, "Versions")):
        return ""
    others = [
        f"{name.lower()} {facts[name]}"
        for name in _PLACE
        if name in facts and facts[name] != page.get(name)
    ]
    there = set(page.get("Versions", "").split(", "))
    changed = [each for each in facts.get("Versions", "").split(", ") if each not in there]
    versions = f"versions as below{' but for ' * bool(changed)}{', '.join(changed)}"
    return ", ".join([f"{_ALONE}{facts['Date']}", *others, versions])


def _without(alone: str, row: ShownRow) -> ShownRow:
    return dataclasses.replace(row, note=row.note.removesuffix(alone).removesuffix("; "))


def _escaped(cell: str) -> str:
    return cell.replace("|", r"\|")


def _cells(line: str) -> list[str]:
    inside = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace(r"\|", "|") for cell in _CELL.split(inside)]


def _note(row: ShownRow) -> str:
    return f"- {row.what} / {row.reference}: "


def _said(row: ShownRow, notes: Sequence[str]) -> str:
    begins = _note(row)
    found = [line for line in notes if line.startswith(begins)]
    return found[0].removeprefix(begins).removesuffix(".") if found else ""


def _fact(line: str) -> tuple[str, str]:
    name, _, value = line.removeprefix("- ").partition(": ")
    return name, value.removesuffix(".")


def shown(row: BenchmarkRow) -> ShownRow:
    """A row as the page has it."""
    figures = (_UNMEASURED, *[""] * (len(_HEADERS) - 3))
    if row.measured:
        figures = (
            f"{row.ratio:.3g}",
            f"{min(row.ratios):.3g} to {max(row.ratios):.3g} (n={len(row.ratios)})",
            _spelled(statistics.median(row.ours), row.unit),
            _spelled(statistics.median(row.theirs), row.unit),
            "" if row.target is None else f"≤ {row.target:.3g}",
        )
    return ShownRow(what=row.what, reference=row.reference, figures=figures, note=row.note)


def _spelled(value: float, unit: str) -> str:
    (large, name), (small, lesser) = _SCALES[unit]
    return f"{value / large:.3g} {name}" if value >= large else f"{value / small:.3g} {lesser}"
