"""``python -m harness.benchmarks [--only NAME] [--out FILE]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness._util.atomic import write_atomic
from harness.benchmarks.measure import FULL, BenchmarkRow, Scale
from harness.benchmarks.report import conditions, render
from harness.benchmarks.suite import BENCHMARKS
from harness.runs.cell import limit_threads

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, scale: Scale = FULL) -> None:
    """Run the benchmarks asked for and write what they found."""
    chosen = _parser().parse_args(arguments)
    limit_threads()
    facts = conditions()
    rows = [row for name in chosen.only or BENCHMARKS for row in _run(name, scale)]
    write_atomic(chosen.out, render(rows, facts))
    sys.stderr.write(f"written: {chosen.out}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m harness.benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="may be repeated")
    parser.add_argument("--out", type=Path, default=Path("BENCHMARKS.md"))
    return parser


def _run(name: str, scale: Scale) -> list[BenchmarkRow]:
    sys.stderr.write(f"{name} …\n")
    with tempfile.TemporaryDirectory(prefix="msa-benchmarks-") as folder:
        rows = BENCHMARKS[name](Path(folder), scale)
    for row in rows:
        found = f"{row.ratio:.3g}" if row.measured else "not yet measured"
        sys.stderr.write(f"  {row.what} / {row.reference}: {found}\n")
    return rows


if __name__ == "__main__":
    main()
