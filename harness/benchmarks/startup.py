"""How long the command line takes to say something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.benchmarks.measure import BenchmarkRow, Measure, Scale, alternate, wall

__all__ = ["start_up"]


def start_up(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """``msa --help`` against a Python that does nothing."""
    ours, theirs = alternate(
        _python("-m", "harness", "--help"), _python("-c", "pass"), repeats=4 * scale.repeats
    )
    row = BenchmarkRow(
        what="`msa --help`",
        reference="`python -c pass`",
        ours=ours,
        theirs=theirs,
        note="most of it is Typer and Rich",
    )
    return [row]


def _python(*arguments: str) -> Measure:
    command = [sys.executable, *arguments]
    return wall(lambda: subprocess.run(command, check=True, capture_output=True))
