"""Rows measured now against those of a page: which ratios moved by more than their spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tabulate import tabulate

from harness.benchmarks.measure import BenchmarkRow
from harness.benchmarks.report import Page, ShownRow

__all__ = ["Verdict", "against", "summary", "table"]

Verdict: TypeAlias = Literal[
    "within its spread", "moved, better", "moved, worse", "not in the file", "not yet measured"
]


_LEAST = 0.02
"""Of a ratio: repeats within one process may agree better than two runs of the same do."""


@dataclass(frozen=True, kw_only=True)
class _Compared:
    row: BenchmarkRow
    known: ShownRow | None
    verdict: Verdict


def against(rows: Sequence[BenchmarkRow], page: Page) -> list[_Compared]:
    """Each row beside that of the page which did the same work.

    A ratio has moved where its median lies more than 2 % outside of the page's lowest and highest.
    """
    known = {(row.what, row.reference): row for row in page.rows}
    found = [(row, known.get((row.what, row.reference))) for row in rows]
    return [_Compared(row=row, known=old, verdict=_verdict(row, old)) for row, old in found]


def _verdict(row: BenchmarkRow, known: ShownRow | None) -> Verdict:
    if known is None:
        return "not in the file"
    if not (row.measured and known.measured):
        return "not yet measured"
    low, high = known.spread
    if low * (1 - _LEAST) <= row.ratio <= high * (1 + _LEAST):
        return "within its spread"
    return "moved, worse" if row.ratio > high else "moved, better"


def table(compared: Sequence[_Compared]) -> str:
    """All of them, ending in a newline."""
    cells = [
        (
            f"{one.row.what} / {one.row.reference}",
            one.known.figures[0] if one.known else "",
            one.known.figures[1] if one.known else "",
            f"{statistics.median(one.row.ratios):.3g}" if one.row.measured else "",
            one.verdict,
        )
        for one in compared
    ]
    headers = ("Row", "In the file", "Lowest to highest", "Now", "Verdict")
    return tabulate(cells, headers=headers, tablefmt="pipe", disable_numparse=True) + "\n"


def summary(compared: Sequence[_Compared]) -> str:
    """How many moved, in a line."""
    verdicts = [one.verdict for one in compared]
    worse, better = verdicts.count("moved, worse"), verdicts.count("moved, better")
    return (
        f"{worse + better} of {len(verdicts)} ratios moved by more than their spread:"
        f" {worse} worse, {better} better; {verdicts.count('not in the file')} not in the file"
    )
