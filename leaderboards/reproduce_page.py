"""A reproduction as Markdown: the same store and table give the same bytes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from tabulate import tabulate

from harness.data.datasets import datasets
from harness.metrics import metrics
from leaderboards.markdown import escape
from leaderboards.published_numbers import PublishedRow
from leaderboards.reproduce import VERDICTS, Cell

__all__ = ["counts", "interval", "named", "number", "render", "said"]

_COLUMNS = ("System", "Metric", "Published", "Ours", "Runs", "Gap [95 % interval]", "Verdict")
_ALIGN = ("left", "left", "right", "right", "right", "right", "left")

_LEGEND = """\
- Gap: ours minus published, over training seeds alone, for the test clips are the same. Its
  interval is Student's t with our deviation standing for theirs; a source that does not say how
  many runs it averaged counts as one run.
- reproduced: the interval holds 0, or the gap is within the declared equivalence margin or the
  rounding of the printed digits. A wide interval holds 0 easily: read it before the verdict.
- differs: neither. not comparable: a known difference besides the seeds, so no gap is given.
- Runs: ours / published, `?` where the source does not say. Ours is scored as the source scores.
- Percentages are printed times 100."""


def render(name: str, cells: Sequence[Cell]) -> str:
    """The page of one published table, ending in a newline."""
    blocks = [
        f"# Reproduction of {escape(name)}",
        f"{escape(counts(cells))}.",
        *(block for dataset in datasets.values() for block in _section(dataset.name, cells)),
        "## How to read this",
        _LEGEND,
    ]
    return "\n\n".join(blocks) + "\n"


def counts(cells: Sequence[Cell]) -> str:
    """How many cells got each verdict, on one line."""
    found = Counter(cell.verdict for cell in cells)
    return f"{len(cells)} numbers: " + ", ".join(f"{found[v]} {v}" for v in VERDICTS)


def said(cell: Cell) -> str:
    """The verdict with what qualifies it."""
    if cell.reason:
        return f"{cell.verdict}: {cell.reason}"
    return cell.verdict + (f" (not stated: {', '.join(cell.unstated)})" if cell.unstated else "")


def named(row: PublishedRow) -> str:
    """The system as printed, with what tells apart several lines of one system."""
    apart = ", ".join(part for part in (row.features, row.side_info) if part)
    return f"{row.title} ({apart})" if apart else row.title


def number(value: float, row: PublishedRow, sign: str = "z") -> str:
    """A value of the row's metric: percentages with 2 decimals, all else with 4.

    Args:
        value: In the metric's own unit, NaN where undefined.
        row: What it belongs to.
        sign: Format sign; ``+z`` prints a plus too.
    """
    if math.isnan(value):
        return "–"
    if metrics[row.metric].percent:
        return format(100 * value, f"{sign}.2f")
    return format(value, f"{sign}.4f")


def interval(cell: Cell) -> str:
    """The gap and its interval, empty where there is none."""
    if cell.gap is None:
        return ""
    ends = (cell.gap.effect, cell.gap.low, cell.gap.high)
    effect, low, high = (number(value, cell.published, "+z") for value in ends)
    return f"{effect} [{low}, {high}]"


def _section(dataset: str, cells: Sequence[Cell]) -> Iterator[str]:
    own = [cell for cell in cells if cell.published.dataset == dataset]
    if own:
        yield f"## {escape(datasets[dataset].title)}"
        sources = dict.fromkeys(cell.published.source for cell in own)
        yield "\n".join(f"- {escape(source)}" for source in sources)
        yield tabulate(
            [[escape(text) for text in _line(cell)] for cell in own],
            headers=[escape(column) for column in _COLUMNS],
            tablefmt="pipe",
            colalign=_ALIGN,
            disable_numparse=True,
        )


def _line(cell: Cell) -> tuple[str, ...]:
    row, ours = cell.published, cell.ours
    runs = f"{len(ours.values) if ours else 0} / {row.seeds or '?'}"
    return (
        named(row),
        metrics[row.metric].title,
        number(row.value, row),
        "·" if ours is None else number(ours.mean, row),
        runs,
        interval(cell) or "·",
        said(cell),
    )
