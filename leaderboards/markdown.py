"""A board as Markdown: the same store gives the same bytes.

No time, host, path or measured cost is printed. Labels, titles and reasons are written by people,
so every cell and every inserted text is escaped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

from tabulate import tabulate

from harness.data.datasets import SPLITS, Dataset, datasets
from harness.metrics import metrics, metrics_for
from leaderboards import reliability_page, tables, transfer_page, zero_shot
from leaderboards.analysis import Across, draws_for
from leaderboards.board import Board, CorpusFacts, Grid
from leaderboards.strata import PLAIN

__all__ = [
    "SEPARATE",
    "across",
    "cautions",
    "data",
    "escape",
    "legend",
    "render_board",
    "render_cost",
    "render_costs",
]

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKUP = re.compile(
    r"[\\`*\[\]|~$#]"
    r"|(?<!\w)_++|(?<!_)_++(?![^\W_])"  # underscores inside a word mark nothing up
    r"|:(?=//)|(?<=www)\.",  # links nobody bracketed
    re.IGNORECASE,
)

_FIRST = ("title", "name", "digest")  # of the protocol's fields

_LEGEND = """\
- A score is mean ± sample standard deviation (n - 1) over training seeds, averaged first and
  rounded last. It is the spread between seeds, not a confidence interval.
- Constant predictors come first; the other rows are ordered by mean test {selection}.
- Rank: the ranks that the data do not exclude, when all complete rows are compared pairwise on new
  seeds and new source videos (two-way bootstrap, {draws} draws, Holm over all pairs of a table):
  with 95 % probability every true rank lies in its set. Order within a set means nothing.
- {tied}: tie group at the top; no other row is significantly better in this metric. There is no
  bold, for most winners on boards of this size are not.
- Rows with one run only (`det.`, `n=1`, `once`) show no variation over seeds; comparisons with an
  `n=1` or `once` row are conditional on that run.
- All metrics of a seed come from one checkpoint, chosen on the validation split as the protocol
  says.
- Seeds: runs present / planned. `n=1`: one run has no spread. `det.`: no seed changes the result.
  `once`: a model that was asked one time. `n/a`: the system does not apply.
- `–`: undefined for at least one seed, so there is no mean. `·`: no run, or nothing to say.
- Parameters: `a of b` means that a of b were trained. Training clips seen: epochs run times
  training clips, a cost that does not depend on the machine."""


SEPARATE = (
    "What rows know besides transcript, audio and vision of these clips sets them apart: rows of"
    f" different tables are never ranked together. Pairs marked {tables.APART}, below the tables,"
    " compare what the rows know as much as the systems."
)


def escape(text: str) -> str:
    r"""``text`` on one line, with everything Markdown or HTML would read as markup taken literally.

    Example:
        >>> print(escape("a|b <i>x</i>"))
        a\|b &lt;i&gt;x&lt;/i&gt;
    """
    visible = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in text)
    literal = _MARKUP.sub(_backslashed, " ".join(visible.split()))
    return "".join(_ENTITIES.get(char, char) for char in literal)


def _backslashed(found: re.Match[str]) -> str:
    return "".join(f"\\{char}" for char in found.group())


def render_board(board: Board) -> str:
    """The whole board, ending in a newline."""
    blocks = [
        f"# {escape(board.title)}",
        f"Suite {escape(board.suite)}, seeds {', '.join(map(str, board.seeds))}.",
        *_protocol(board),
        *(part for block in transfer_page.blocks(board) for part in _block(block)),
        *(block for grid in board.shown for block in _section(grid)),
        *(block for found in board.across for block in across(found)),
        *_literature(board),
        *legend(board),
    ]
    return "\n\n".join(blocks) + "\n"


def render_costs(board: Board) -> str:
    """Measured costs of the whole suite, ending in a newline."""
    blocks = [
        f"# Measured costs: {escape(board.title)}",
        "As measured: equal runs differ here, even on one machine.",
        *(render_cost(grid) for grid in board.grids),
    ]
    return "\n\n".join(blocks) + "\n"


def render_cost(grid: Grid) -> str:
    """Heading and table of measured seconds and memory on one corpus."""
    parts = [_heading(grid.corpus), _table(tables.costs(grid))]
    return "\n\n".join([*parts, *_part("### Models that were asked", zero_shot.latencies(grid))])


def _heading(corpus: CorpusFacts) -> str:
    what = "Twin of " if corpus.twin else ""
    return f"## {what}{escape(corpus.dataset.title)}: {escape(corpus.name)}"


def _protocol(board: Board) -> Iterator[str]:
    yield "## Protocol"
    yield "Results under another protocol (another digest) cannot be compared with these."
    columns = (tables.Column("Field", "left"), tables.Column("Value", "left"))
    names = [*_FIRST, *(name for name in board.protocol if name not in _FIRST)]
    fields = tuple((name, str(board.protocol[name])) for name in names)
    yield _table(tables.Table(columns=columns, rows=fields))


def _table(table: tables.Table) -> str:
    """A pipe table; left to itself, ``tabulate`` escapes nothing and rewrites numbers."""
    drawn = tabulate(
        [[escape(cell) for cell in row] for row in table.rows],
        headers=[escape(column.title) for column in table.columns],
        tablefmt="pipe",
        colalign=[column.align for column in table.columns] if table.rows else None,
        disable_numparse=True,
    )
    notes = [f"{number}. {escape(note)}" for number, note in enumerate(table.notes, start=1)]
    return "\n\n".join([drawn, "\n".join(notes)]) if notes else drawn


def _section(grid: Grid) -> Iterator[str]:
    corpus = grid.corpus
    yield _heading(corpus)
    if corpus.twin:
        yield f"> **SYNTHETIC TWIN: not a result on {escape(corpus.dataset.title)}**"
    yield data(corpus)
    if not corpus.twin:
        yield from cautions(corpus)
    if len(grid.parts) > 1:
        yield SEPARATE
    for part in grid.parts:
        yield from _ranked(part)
    yield from _folded(f"Pairwise across tables: {grid.selection.title}", tables.crossing(grid))
    for block in reliability_page.blocks(grid):
        yield from _block(block)
    yield from _part(f"### {zero_shot.ANSWERS}", zero_shot.answers(grid))
    yield from _part(f"### {zero_shot.ASKED}", zero_shot.asked(grid))
    yield from _submissions(grid)
    yield from _part("### Planted ceilings (best MAE and best Corr apart)", tables.ceilings(grid))
    yield from _part("### How the rows were made", tables.making(grid))
    yield from _part("### Holes", tables.holes(grid))
    titles = " / ".join(metric.title for metric in metrics_for(corpus.dataset, primary=True)[:2])
    yield from _folded(f"Every seed: {titles}", tables.per_seed(grid))


def _ranked(part: Grid) -> Iterator[str]:
    """Rows of one stratum: the table that ranks them, and what belongs to it."""
    (stratum,) = part.strata
    if part.whole is not None or stratum != PLAIN:
        yield f"### {escape(stratum.title)}"
    yield _table(tables.results(part))
    yield from _flags(part)
    yield from _resolution(part)
    yield from _folded(f"Pairwise: {part.selection.title}", tables.pairwise(part))


def _folded(title: str, table: tables.Table) -> Iterator[str]:
    if table.rows:
        yield f"<details>\n<summary>{escape(title)}</summary>"
        yield _table(table)
        yield "</details>"


def _block(block: reliability_page.Block) -> Iterator[str]:
    if block.folded and block.table is not None:
        yield from _folded(block.title, block.table)
        return
    if block.title:
        yield f"### {escape(block.title)}"
    if block.words:
        yield escape(block.words)
    if block.table is not None:
        yield _table(block.table)


def _flags(grid: Grid) -> Iterator[str]:
    said = [
        f"- **{escape(row.label)}**: {escape(flag)}." for row in grid.rows for flag in row.flags
    ]
    if said:
        yield "\n".join(said)


def _resolution(grid: Grid) -> Iterator[str]:
    detectable = tables.resolution(grid)
    if detectable:
        yield (
            "**Resolution:** one comparison on this table finds a true difference with 80 %"
            f" probability from about {escape(detectable)} (median over pairs). Smaller gaps are"
            " noise unless the pairwise table says otherwise."
        )


def _submissions(grid: Grid) -> Iterator[str]:
    table = tables.submissions(grid)
    if table.rows:
        yield "### Submissions"
        yield (
            "Predictions made elsewhere, scored here on the clips they cover. Never ranked with the"
            " rows above: `msa compare` tests any two on their common clips."
        )
        yield _table(table)


def _literature(board: Board) -> Iterator[str]:
    shown = {
        grid.corpus.dataset.name: grid.corpus.dataset
        for grid in board.grids
        if grid.corpus.official and not grid.corpus.twin and not grid.corpus.dataset.target
    }
    if not shown:
        return
    yield "## Literature"
    yield (
        "Numbers as printed by their sources, which nobody here measured and no rank above counts."
        " Another convention, selection rule or text encoder makes them another quantity:"
        " `msa reproduce` sets them beside what was run here."
    )
    for dataset in shown.values():
        yield from _folded(f"{dataset.title}: published", tables.literature(dataset))


def across(found: Across) -> Iterator[str]:
    """Heading, introduction, table and what is left out."""
    known = "" if found.stratum == PLAIN else f": {escape(found.stratum.title)}"
    yield f"## Across datasets{known}"
    yield (
        f"Average rank in {escape(metrics[found.metric].title)}, equal weights, ranked anew in"
        " every bootstrap draw. No critical-difference diagram: on so few datasets nothing could"
        " differ."
    )
    yield _table(tables.average_ranks(found))
    if found.left_out:
        yield "\n".join(
            f"- {escape(name)} is left out: {escape(why)}." for name, why in found.left_out.items()
        )


def _part(heading: str, table: tables.Table) -> Iterator[str]:
    if table.rows:
        yield heading
        yield _table(table)


def data(corpus: CorpusFacts) -> str:
    """Fingerprint and sizes of a corpus, in a sentence."""
    clips, videos = _per_split(corpus.clips), _per_split(corpus.videos)
    return (
        f"Data `{corpus.data[:12]}`. {' / '.join(SPLITS)}: {clips} clips"
        f" from {videos} source videos."
    )


def _per_split(counts: Mapping[str, int]) -> str:
    return " / ".join(str(counts[split]) for split in SPLITS)


def cautions(corpus: CorpusFacts) -> Iterator[str]:
    """What a reader of a real dataset's numbers must know."""
    dataset = corpus.dataset
    if not corpus.official:
        official = {split: counts.clips for split, counts in dataset.splits.items()}
        yield (
            f"**Own split, never comparable with the official one** ({_per_split(official)} clips)."
        )
    if dataset.splits_share_videos:
        yield (
            "Training and test clips come from the same source videos: speakers and scenes recur,"
            " which flatters every row."
        )
    for part, whole in _containments(dataset):
        yield (
            f"All clips of {escape(part.title)} recur in {escape(whole.title)} with the same labels"
            " and split: results on the two are not independent evidence."
        )


def _containments(dataset: Dataset) -> Iterator[tuple[Dataset, Dataset]]:
    yield from ((datasets[name], dataset) for name in dataset.contains)
    yield from ((dataset, other) for other in datasets.values() if dataset.name in other.contains)


def _draws(board: Board) -> str:
    """How many draws the tables of a board took, fewest to most."""
    fields = (field for grid in board.grids for field in grid.analysis.fields.values())
    taken = sorted({field.drawn.shape[1] for field in fields} or {draws_for(0)})
    return " to ".join(f"{draws:,}" for draws in dict.fromkeys((taken[0], taken[-1])))


def legend(board: Board) -> Iterator[str]:
    """What the marks and the metrics of a board mean."""
    yield "## How to read this"
    selection = metrics[str(board.protocol["selection_metric"])]
    yield _LEGEND.format(selection=escape(selection.title), tied=tables.TIED, draws=_draws(board))
    yield "## Metrics"
    yield "p is the prediction, y the label."
    shown = {
        m: None for grid in board.grids for m in metrics_for(grid.corpus.dataset, primary=True)
    }
    yield "\n".join(
        f"- {escape(metric.title)} {tables.arrow(metric)}: {escape(metric.definition)}."
        f" Undefined: {escape(metric.undefined)}."
        for metric in shown
    )
