"""Rows as ``BENCHMARKS.md``."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from tabulate import tabulate

from harness.benchmarks.measure import BenchmarkRow
from harness.runs import provenance

__all__ = ["conditions", "render"]

_HEADERS = ("What", "Reference", "Ratio", "Lowest to highest", "Ours", "Reference's", "Aim")
_ALIGN = ("left", "left", "right", "right", "right", "right", "right")
_ALSO = ("mlflow", "sqlalchemy", "pyarrow")
_SCALES = {"s": ((1.0, "s"), (1e-3, "ms")), "B": ((2**30, "GiB"), (2**20, "MiB"))}

_INTRODUCTION = """\
Every figure is a ratio, ours over a reference measured in the same run: below 1 we are faster or
smaller. The two take turns, a ratio is taken between neighbours, and the table shows the median of
the ratios with the lowest and the highest; the medians in seconds or bytes are for orientation
only. Training on a CPU is measured in processor seconds of one thread, everything else in elapsed
seconds.

Made by `tox -e benchmarks`."""


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


def render(rows: Sequence[BenchmarkRow], facts: Mapping[str, str]) -> str:
    """The whole file, ending in a newline.

    Args:
        rows: In the order they are shown.
        facts: ``conditions()`` of the run.
    """
    table = tabulate(
        list(map(_cells, rows)),
        headers=_HEADERS,
        tablefmt="pipe",
        colalign=_ALIGN,
        disable_numparse=True,
    )
    under = "\n".join(f"- {name}: {value}." for name, value in facts.items())
    notes = "\n".join(f"- {row.what} / {row.reference}: {row.note}." for row in rows if row.note)
    blocks = ["# Benchmarks", _INTRODUCTION, table]
    blocks += [f"## Notes\n\n{notes}"] if notes else []
    return "\n\n".join([*blocks, "## Conditions", under]) + "\n"


def _cells(row: BenchmarkRow) -> tuple[str, ...]:
    if not row.measured:
        return (row.what, row.reference, "not yet measured", *[""] * (len(_HEADERS) - 3))
    return (
        row.what,
        row.reference,
        f"{row.ratio:.3g}",
        f"{min(row.ratios):.3g} to {max(row.ratios):.3g} (n={len(row.ratios)})",
        _spelled(statistics.median(row.ours), row.unit),
        _spelled(statistics.median(row.theirs), row.unit),
        "" if row.target is None else f"≤ {row.target:.3g}",
    )


def _spelled(value: float, unit: str) -> str:
    (large, name), (small, lesser) = _SCALES[unit]
    return f"{value / large:.3g} {name}" if value >= large else f"{value / small:.3g} {lesser}"
