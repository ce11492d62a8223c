"""Figures of ``msa study parity`` as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaderboards.document import (
    Bullets,
    Document,
    Heading,
    Part,
    Table,
    left,
    right,
    text,
)
from leaderboards.rendering import render_markdown
from leaderboards.studies.parity_record import ParityRecord, ParityRow

__all__ = ["parity_cells", "parity_page"]

_COLUMNS = (
    *left("System", "Shape", "Format"),
    *right("Weights", "Eval", "First loss", "All losses", "After", "Grad / largest", "Groups"),
    *left("Verdict"),
)


def parity_cells(row: ParityRow) -> tuple[str, ...]:
    """A row in words, in the order of the page's columns."""
    if row.weights is None:
        return (row.system, row.shape, *[""] * 8, row.verdict)
    groups = "equal" if not row.groups else f"{row.groups} of {row.parameters} differ"
    verdict = row.verdict if not row.faults else f"{row.verdict}: {', '.join(row.faults)}"
    return (
        *(row.system, row.shape, row.dtype, str(row.weights)),
        *(_size(v) for v in (row.eval, row.first_loss, row.losses, row.after)),
        *(f"{_size(row.gradient)} / {row.largest:.2g}", groups, verdict),
    )


def _size(value: float | None) -> str:
    return "" if value is None else "0" if value == 0 else f"{value:.1e}"


def parity_page(record: ParityRecord) -> str:
    """The record as Markdown, ending in a newline."""
    return render_markdown(
        Document(title="Parity with MMSA", about=_about(record), parts=tuple(_parts(record)))
    )


def _about(record: ParityRecord) -> str:
    compared = [row for row in record.rows if row.weights is not None]
    equal = sum(row.verdict == "equal" for row in compared)
    return (
        f"{equal} of {len(compared)} comparisons equal up to rounding. Made by msa study parity:"
        f" systems with quirk=published beside those of MMSA {record.mmsa}, from its package, each"
        " by its own trainer, on the same weights, clips and batches."
    )


def _parts(record: ParityRecord) -> Iterator[Part]:
    rows = tuple(map(parity_cells, record.rows))
    caption = "Largest absolute differences between our systems and MMSA's"
    yield _part("Differences", Table(columns=_COLUMNS, rows=rows, caption=caption))
    yield _part("How to read this", Bullets(tuple(map(text, _legend(record)))))
    notes = tuple(map(text, _notes(record.rows)))
    if notes:
        yield _part("Single systems", Bullets(notes))


def _part(title: str, block: Table | Bullets) -> Part:
    name = title.split()[0].lower()
    return Part(name=name, title=title, blocks=(Heading(2, text(title)), block))


def _legend(record: ParityRecord) -> Iterator[str]:
    yield (
        "Weights and clips are formulas; nothing is dropped out and no gradient clipped. Weights:"
        " how many were given to both by name, none left over on either side."
    )
    yield (
        "Eval, first loss, all losses, after: largest absolute differences of predictions before"
        f" training, of the loss of the first and of any batch of {record.epochs} epochs, and of"
        " predictions after any of them."
    )
    yield "Grad / largest: of any entry of the first gradient, and the largest entry there is."
    yield (
        "Groups: parameters whose optimiser, rate, decay or epsilon is another one; those that no"
        " gradient reaches, or that have a rate of zero, count as not trained."
    )
    for dtype, limits in record.tolerances.items():
        told = ", ".join(f"{name} {limit:g}" for name, limit in limits.items())
        yield (
            f"Equal in {dtype}: {told}; relative above 1, for gradients to the largest entry,"
            " spread to the standard deviation of predictions between clips."
        )


def _notes(rows: Sequence[ParityRow]) -> Iterator[str]:
    """Each remark once, with the systems that it is made on."""
    notes: dict[str, dict[str, None]] = {}
    for row in rows:
        told = [*row.remarks, *(f"put right in MMSA first: {mend}" for mend in row.mends)]
        if row.reason:
            told.append(f"{row.verdict}: {row.reason}")
        for note in told:
            notes.setdefault(note, {})[row.system] = None
    return (f"{', '.join(names)}: {note}." for note, names in notes.items())
