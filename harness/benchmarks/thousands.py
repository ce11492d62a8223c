"""What commands take in a home with thousands of runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.benchmarks.finished_suites import SETTLED, store_suites, suite_name
from harness.benchmarks.measure import BenchmarkRow, Measure, Scale, alternate, children_cpu
from harness.home import Home

__all__ = ["thousands"]


def thousands(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Commands in a home of many finished suites against a start of the command line.

    Verifying is held against ``sha256sum`` of the same files, and what a small suite takes there
    against the same suite in a home of its own.
    """
    home, few, suite = Home(folder / "home"), Home(folder / "few"), suite_name(0)
    store_suites(home, numbers=range(scale.suites), rows=scale.suite_rows, share=scale.share)
    runs, fewer = (
        store_suites(place, numbers=[scale.suites], rows=scale.few_rows, share=scale.share)
        for place in (home, few)
    )
    time.sleep(SETTLED)
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
                note=f"processor seconds of all processes; {scale.suites} suites of"
                f" {scale.suite_rows} rows and the constants, two corpora, five seeds",
            )
        )
    return [*rows, *_against_few(home, few, runs, fewer, scale)]


def _against_few(
    home: Home, few: Home, runs: int, fewer: int, scale: Scale
) -> Iterator[BenchmarkRow]:
    """What a small suite takes among many runs against the same in a home of its own."""
    suite = suite_name(scale.suites)
    for place in (home, few):
        for arguments in (("verify",), ("run", suite)):
            _msa(place, *arguments)()
    for what, asked in (
        ("`msa run SUITE --plan`", ("run", suite, "--plan")),
        ("`msa status SUITE`", ("status", suite)),
        ("`msa board SUITE`", ("board", suite)),
    ):
        measured = alternate(_msa(home, *asked), _msa(few, *asked), repeats=scale.repeats)
        yield BenchmarkRow(
            what=f"{what}, among {runs:,} runs",
            reference=f"the same among {fewer:,} runs",
            ours=measured[0],
            theirs=measured[1],
            note=f"processor seconds; a suite of {fewer:,} runs",
        )


def _msa(home: Home, *arguments: str) -> Measure:
    return _command(sys.executable, "-m", "harness", "--home", str(home.root), *arguments)


def _command(*command: str, said: str = "") -> Measure:
    """Processor seconds of a command that is told something."""
    asked = partial(subprocess.run, command, input=said, text=True, check=True, capture_output=True)
    return children_cpu(asked)
