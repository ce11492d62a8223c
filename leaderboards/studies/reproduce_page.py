"""A reproduction as Markdown: the same store and table give the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from harness.data.datasets import Dataset, datasets
from harness.metrics import metrics
from leaderboards import numbers
from leaderboards.document import (
    BREAK,
    Bullets,
    Document,
    Heading,
    Part,
    Table,
    code,
    left,
    right,
    text,
)
from leaderboards.literature import PublishedRow
from leaderboards.numbers import EMPTY
from leaderboards.rendering import render_markdown
from leaderboards.studies.reproduce import VERDICTS, ReproducedNumber

__all__ = ["counts", "document", "interval", "named", "number", "render", "verdict_of"]

_COLUMNS = (
    *left("System", "Metric"),
    *right("Published", "Ours", "Runs", "Gap [95 % interval]"),
    *left("Verdict"),
)

_LEGEND = Bullets(
    (
        text(
            "Gap: ours minus published, over training seeds alone, for the test clips are the same."
            " Its",
            BREAK,
            "interval is Student's t with our deviation standing for theirs; a source that does not"
            " say how",
            BREAK,
            "many runs it averaged counts as one run.",
        ),
        text(
            "reproduced by training: the interval holds 0, or the gap is within the declared"
            " equivalence margin or the",
            BREAK,
            "rounding of the printed digits. A wide interval holds 0 easily: read it before the"
            " verdict.",
        ),
        text(
            "reproduced from released weights: the same of a checkpoint that the source released"
            " and nobody trained here. Its",
            BREAK,
            "gap has the width of the evaluation's own noise, and none where the same weights"
            " always predict the same.",
        ),
        text(
            "differs: neither. not comparable: a known difference besides the seeds, so no gap is"
            " given."
        ),
        text(
            "Runs: ours / published, ",
            code("?"),
            " where the source does not say. Ours is scored as the source scores.",
        ),
        text("Percentages are printed times 100."),
    )
)


def render(name: str, cells: Sequence[ReproducedNumber]) -> str:
    """The page of one published table as Markdown, ending in a newline."""
    return render_markdown(document(name, cells))


def document(name: str, cells: Sequence[ReproducedNumber]) -> Document:
    """The page of one published table."""
    title = "How to read this"
    return Document(
        title=f"Reproduction of {name}",
        about=f"{counts(cells)}.",
        parts=(
            *(part for dataset in datasets.values() for part in _of_dataset(dataset, cells)),
            Part(name="reading", title=title, blocks=(Heading(2, text(title)), _LEGEND)),
        ),
    )


def counts(cells: Sequence[ReproducedNumber]) -> str:
    """How many cells got each verdict, on one line."""
    found = Counter(cell.verdict for cell in cells)
    numbers = len({id(cell.published) for cell in cells})  # one may have two verdicts
    return f"{numbers} numbers: " + ", ".join(f"{found[v]} {v}" for v in VERDICTS)


def verdict_of(cell: ReproducedNumber) -> str:
    """The verdict with what qualifies it."""
    if cell.reason:
        return f"{cell.verdict}: {cell.reason}"
    return cell.verdict + (f" (not stated: {', '.join(cell.unstated)})" if cell.unstated else "")


def named(row: PublishedRow) -> str:
    """The system as printed, with what tells apart several lines of one system."""
    apart = ", ".join(part for part in (row.features, row.side_info) if part)
    return f"{row.title} ({apart})" if apart else row.title


def number(value: float, row: PublishedRow, *, signed: bool = False) -> str:
    """A value of the row's metric: percentages with 2 decimals, all else with 4.

    Args:
        value: In the metric's own unit, NaN where undefined.
        row: What it belongs to.
        signed: Whether to write ``+`` too.
    """
    return numbers.number(value, metrics[row.metric], signed=signed, decimals=4)


def interval(cell: ReproducedNumber) -> str:
    """The gap and its interval, empty where there is none."""
    if cell.gap is None:
        return ""
    ends = (cell.gap.effect, cell.gap.low, cell.gap.high)
    effect, low, high = (number(value, cell.published, signed=True) for value in ends)
    return f"{effect} [{low}, {high}]"


def _of_dataset(dataset: Dataset, cells: Sequence[ReproducedNumber]) -> Iterator[Part]:
    own = [cell for cell in cells if cell.published.dataset == dataset.name]
    if own:
        sources = dict.fromkeys(cell.published.source for cell in own)
        found = Table(
            columns=_COLUMNS,
            rows=tuple(map(_line, own)),
            caption=f"Published numbers on {dataset.title} beside ours",
        )
        blocks = (Heading(2, text(dataset.title)), Bullets(tuple(map(text, sources))), found)
        yield Part(name=dataset.name, title=dataset.title, blocks=blocks)


def _line(cell: ReproducedNumber) -> tuple[str, ...]:
    row, ours = cell.published, cell.ours
    runs = f"{len(ours.values) if ours else 0} / {row.seeds or '?'}"
    return (
        named(row),
        metrics[row.metric].title,
        number(row.value, row),
        EMPTY if ours is None else number(ours.mean, row),
        runs,
        interval(cell) or EMPTY,
        verdict_of(cell),
    )
