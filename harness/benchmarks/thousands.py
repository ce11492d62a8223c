"""What commands take in a home with thousands of runs."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

from harness.benchmarks.finished_suites import store_suites, suite_name
from harness.benchmarks.measure import BenchmarkRow, Measure, Scale, alternate
from harness.home import Home

__all__ = ["thousands"]

_SETTLED = 3  # seconds; what was written in the last two is not relied on


def thousands(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Commands in a home of many finished suites against a start of the command line.

    Verifying is held against ``sha256sum`` of the same files.
    """
    home, suite = Home(folder / "home"), suite_name(0)
    runs = store_suites(home, suites=scale.suites, rows=scale.suite_rows, share=scale.share)
    time.sleep(_SETTLED)
    for arguments in (("verify",), ("run", suite), ("run", suite)):
        _msa(home, *arguments)()  # what is remembered is learnt here
    start = _msa(home, "--help")
    every = [str(file) for file in home.store.glob("runs/*/*/*")]
    sums = _command("xargs", "-0", "sha256sum", said="\0".join(every))
    rows = []
    for what, ours, reference, theirs in (
        ("`msa status`", _msa(home, "status"), "`msa --help`", start),
        ("`msa run SUITE`, nothing to do", _msa(home, "run", suite), "`msa --help`", start),
        ("`msa board SUITE`", _msa(home, "board", suite), "`msa --help`", start),
        ("`msa verify`", _msa(home, "verify"), "`sha256sum` of the same files", sums),
    ):
        measured = alternate(ours, theirs, repeats=scale.repeats)
        rows.append(
            BenchmarkRow(
                what=f"{what}, {runs:,} runs",
                reference=reference,
                ours=measured[0],
                theirs=measured[1],
                note=f"processor seconds; {scale.suites} suites of {scale.suite_rows} rows and the"
                " constants, two corpora, five seeds",
            )
        )
    return rows


def _msa(home: Home, *arguments: str) -> Measure:
    return _command(sys.executable, "-m", "harness", "--home", str(home.root), *arguments)


def _command(*command: str, said: str = "") -> Measure:
    """Processor seconds of a command that is told something."""

    def measure() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, input=said, text=True, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    return measure
