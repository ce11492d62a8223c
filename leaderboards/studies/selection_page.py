"""The study of selection as a page: epochs chosen, and the difference in every metric."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from harness._util.printed import defined
from harness.metrics import Metric
from leaderboards.document import Block, Bullets, Document, Heading, Part, Table, left, right, text
from leaderboards.numbers import EMPTY, UNDEFINED, arrow, bounds, number
from leaderboards.rendering import render_markdown
from leaderboards.studies.selection import CorpusSelection, EpochPair, RowSelection

__all__ = ["NOTE", "difference", "epochs_line", "remarks", "render"]

NOTE = (
    "Difference: the released choice less the protocol's, in the metric's unit; mean over seeds,"
    " each run compared with the run of its seed, and the 95 % interval for new seeds and"
    " new source videos.",
    "p: of no difference, adjusted for the rows of the table after Holm, metric by metric.",
    "same: seeds for which both rules keep the same weights.",
    "Rows of the two protocols share no other table: what is compared here is the rule, not the"
    " systems.",
)


def render(suites: tuple[str, str], studies: Sequence[CorpusSelection]) -> str:
    """The page as Markdown, ending in a newline.

    Args:
        suites: Their names, as they were asked for.
        studies: One per corpus.
    """
    return render_markdown(
        Document(
            title="What the rule of selection is worth",
            about=f"Runs of {' and '.join(suites)}, in pairs of one seed.",
            parts=(
                *(_part(study) for study in studies),
                Part(
                    name="reading",
                    title="How to read this",
                    blocks=(
                        Heading(2, text("How to read this")),
                        Bullets(tuple(map(text, NOTE))),
                    ),
                ),
            ),
        )
    )


def _part(study: CorpusSelection) -> Part:
    dataset = study.corpus.dataset.title
    title = f"{'Twin of ' if study.corpus.twin else ''}{dataset}: {study.corpus.name}"
    return Part(name=study.corpus.name, title=title, blocks=tuple(_blocks(title, study)))


def _blocks(title: str, study: CorpusSelection) -> Iterator[Block]:
    yield Heading(2, text(title))
    if study.corpus.twin:
        yield text(f"SYNTHETIC TWIN: not a result on {study.corpus.dataset.title}.")
    compared = [row for row in study.rows if row.differences]
    if compared:
        yield _chosen(compared)
        yield _differences(compared, study.metrics)
    notes = [f"{row.label}: {note}" for row in study.rows for note in remarks(row)]
    if notes:
        yield Bullets(tuple(map(text, notes)))


def remarks(row: RowSelection) -> Iterator[str]:
    """What a reader must know of a row besides its numbers."""
    if row.left_out:
        yield f"left out: {row.left_out}"
    for other in row.besides:
        yield f"its runs differ besides in {other}"


def _chosen(rows: Sequence[RowSelection]) -> Table:
    return Table(
        columns=(
            *left("System", "Released rule"),
            *right("Seeds", "Epoch, protocol", "Epoch, released", "same"),
        ),
        rows=tuple((row.label, row.rule or EMPTY, *epochs_line(row.epochs)) for row in rows),
        caption="Epochs chosen",
    )


def epochs_line(epochs: Sequence[EpochPair]) -> tuple[str, str, str, str]:
    """Seeds, mean epoch chosen of those trained under either rule, and seeds with one outcome."""
    return (
        str(len(epochs)),
        _of([one.protocol for one in epochs], [one.protocol_epochs for one in epochs]),
        _of([one.released for one in epochs], [one.released_epochs for one in epochs]),
        f"{sum(one.same for one in epochs)} of {len(epochs)}",
    )


def _of(chosen: Sequence[int], trained: Sequence[int]) -> str:
    return f"{statistics.fmean(chosen):.1f} of {statistics.fmean(trained):.1f}"


def _differences(rows: Sequence[RowSelection], shown: Sequence[Metric]) -> Table:
    return Table(
        columns=(
            *left("System", "Metric"),
            *right("Protocol", "Released", "Difference", "95 % interval", "p"),
        ),
        rows=tuple(
            (row.label, f"{metric.title} {arrow(metric)}", *difference(row, metric))
            for row in rows
            for metric in shown
        ),
        caption="Released less protocol",
    )


def difference(row: RowSelection, metric: Metric) -> tuple[str, str, str, str, str]:
    """Both means, their difference, its interval and its adjusted p-value, as printed."""
    found = row.differences[metric.name]
    return (
        number(found.b, metric),
        number(found.a, metric),
        number(found.effect, metric, signed=True),
        bounds(found.low, found.high, metric, signed=True),
        defined(row.adjusted[metric.name], ".3f", UNDEFINED),
    )
