"""How to read a board: what its marks, drawings and metrics mean."""

from __future__ import annotations

from collections.abc import Iterator

from harness.metrics import Metric, metrics, metrics_for
from harness.submissions import Badge
from leaderboards.document import (
    BREAK,
    Block,
    Bullets,
    Heading,
    PerFormat,
    Text,
    badge,
    code,
    text,
)
from leaderboards.model import Board, analyse, draws_for
from leaderboards.numbers import EMPTY, TIED, UNDEFINED, arrow
from leaderboards.sections.contract import BoardSection

__all__ = ["SECTION"]


def _blocks(board: Board) -> Iterator[Block]:
    yield Heading(2, text("How to read this"))
    yield PerFormat(page=(_DRAWN, _BADGES))
    selection = metrics[str(board.protocol["selection_metric"])]
    yield Bullets(tuple(_marks(selection, _draws(board))))
    yield Heading(2, text("Metrics"))
    yield text("p is the prediction, y the label.")
    shown = {
        m: None for grid in board.grids for m in metrics_for(grid.corpus.dataset, primary=True)
    }
    yield Bullets(tuple(map(_definition, shown)))


def _definition(metric: Metric) -> Text:
    return text(
        f"{metric.title} {arrow(metric)}: {metric.definition}. Undefined: {metric.undefined}."
    )


def _draws(board: Board) -> str:
    """How many draws the tables of a board took, fewest to most."""
    fields = (field for grid in board.grids for field in analyse(grid).fields.values())
    taken = sorted({field.drawn.shape[1] for field in fields} or {draws_for(0)})
    return " to ".join(f"{draws:,}" for draws in dict.fromkeys((taken[0], taken[-1])))


def _marks(selection: Metric, draws: str) -> Iterator[Text]:
    yield text(
        "A score is mean ± sample standard deviation (n - 1) over training seeds, averaged first"
        " and",
        BREAK,
        "rounded last. It is the spread between seeds, not a confidence interval.",
    )
    yield text(
        "Constant predictors come first; the other rows are ordered by mean test"
        f" {selection.title}."
    )
    yield text(
        "Rank: the ranks that the data do not exclude, when all complete rows are compared pairwise"
        " on new",
        BREAK,
        f"seeds and new source videos (two-way bootstrap, {draws} draws, Holm over all pairs of a"
        " table):",
        BREAK,
        "with 95 % probability every true rank lies in its set. Order within a set means nothing.",
    )
    yield text(
        f"{TIED}: tie group at the top; no other row is significantly better in this metric. There"
        " is no",
        BREAK,
        "bold, for most winners on boards of this size are not.",
    )
    yield text(
        "Rows with one run only (",
        code("det."),
        ", ",
        code("n=1"),
        ", ",
        code("once"),
        ") show no variation over seeds; comparisons with an",
        BREAK,
        code("n=1"),
        " or ",
        code("once"),
        " row are conditional on that run.",
    )
    yield text(
        "All metrics of a seed come from one checkpoint, chosen on the validation split as the"
        " protocol",
        BREAK,
        "says.",
    )
    yield text(
        "Seeds: runs present / planned. ",
        code("n=1"),
        ": one run has no spread. ",
        code("det."),
        ": no seed changes the result.",
        BREAK,
        code("once"),
        ": a model that was asked one time. ",
        code("n/a"),
        ": the system does not apply.",
    )
    yield text(
        code(UNDEFINED),
        ": undefined for at least one seed, so there is no mean. ",
        code(EMPTY),
        ": no run, or nothing to say.",
    )
    yield text(
        "Parameters: ",
        code("a of b"),
        " means that a of b were trained. Training clips seen: epochs run times",
        BREAK,
        "training clips, a cost that does not depend on the machine.",
    )


_DRAWN = Bullets(
    (
        text(
            "Choose above a table in which metric ranks and seeds are drawn. The bar is the rank"
            " set, on an axis from 1 to the number of ranked rows. A dot is a seed, the stroke"
            " their mean, the line the 95 % interval of the mean on new seeds and new videos; a"
            " triangle points to what lies beyond the axis. Rows are compared in pairs, on the same"
            " videos: overlapping intervals do not say that rows cannot be told apart."
        ),
        text(
            "Headings sort: best first, then worst first, then the first order again. Undefined"
            " values come last either way."
        ),
    )
)
_BADGES = Bullets(tuple(text(badge(str(one)), f" {one.meaning}.") for one in Badge))

SECTION = BoardSection(name="reading", title="How to read this", blocks=_blocks, reference=True)
