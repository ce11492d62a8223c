"""``python -m harness.benchmarks`` measures everything and writes the page.

``--only NAME`` measures some benchmarks; with ``--update`` the page keeps its other rows.
``--quick`` measures cheap rows, each the same work as the page's, and says which ratios moved.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness._util.atomic import write_atomic
from harness.benchmarks.compared import against, summary, table
from harness.benchmarks.measure import FULL, QUICK, BenchmarkRow, Scale
from harness.benchmarks.report import Page, conditions, read, render, updated
from harness.benchmarks.suite import BENCHMARKS, QUICKEST
from harness.errors import HarnessError
from harness.runs.cell import limit_threads

__all__ = ["main"]

_PAGE = Path("BENCHMARKS.md")


def main(arguments: Sequence[str] | None = None, scale: Scale | None = None) -> int:
    """Run the benchmarks asked for, and write what they found or hold it against a page."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    page = chosen.compare or (_PAGE if chosen.quick else None)
    if chosen.update and page:
        parser.error("--update writes a page, --quick and --compare write none")
    try:
        known = read(page.read_text("utf-8")) if page else None
        old = read(chosen.out.read_text("utf-8")) if chosen.update else None
    except (OSError, HarnessError) as error:
        parser.error(str(error))
    limit_threads()
    facts = conditions()
    scale = scale or (QUICK if chosen.quick else FULL)
    names = chosen.only or (QUICKEST if chosen.quick else BENCHMARKS)
    rows = [row for name in names for row in _run(name, scale)]
    if known is not None:
        return _compare(rows, known, strict=chosen.strict)
    write_atomic(chosen.out, render(rows, facts) if old is None else updated(old, rows, facts))
    sys.stderr.write(f"written: {chosen.out}\n")
    return 0


def _compare(rows: Sequence[BenchmarkRow], known: Page, *, strict: bool) -> int:
    """Say what moved; 1 where that is to the worse and ``strict``."""
    compared = against(rows, known)
    sys.stdout.write(f"{table(compared)}\n{summary(compared)}\n")
    return int(strict and any(one.verdict == "moved, worse" for one in compared))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m harness.benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="may be repeated")
    parser.add_argument("--out", type=Path, default=_PAGE)
    parser.add_argument(
        "--update", action="store_true", help="keep the other rows of the page that is there"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few rows and repeats, against BENCHMARKS.md"
    )
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="say what moved, and write nothing"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit 1 where a ratio moved to the worse"
    )
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
    sys.exit(main())
