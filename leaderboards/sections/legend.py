"""How to read a board: what its marks, drawings and metrics mean."""

from __future__ import annotations

from collections.abc import Iterator

from harness.metrics import Metric, metrics
from harness.runs.looks import Look
from harness.runs.looks import shown as level
from harness.stats import DRAWS
from harness.submissions import Badge
from leaderboards.document import (
    BREAK,
    Block,
    Bullets,
    Heading,
    PerFormat,
    Text,
    badge,
    bold,
    code,
    text,
)
from leaderboards.model import Board
from leaderboards.numbers import EMPTY, EXPLORATORY, TIED, UNDEFINED, arrow
from leaderboards.sections.contract import BoardSection

__all__ = ["SECTION"]


def _blocks(board: Board) -> Iterator[Block]:
    yield Heading(2, text("How to read this"))
    yield PerFormat(page=(_DRAWN, _badges(board)))
    selection = metrics[str(board.protocol["selection_metric"])]
    looked = () if board.look is None else (_looked(board.look),)
    yield Bullets((*looked, *_marks(selection, _chosen(board)), *_of_released(board)))
    yield Heading(2, text("Metrics"))
    yield text("p is the prediction, y the label.")
    shown = {m: None for grid in board.grids for m in grid.metrics}
    yield Bullets(tuple(map(_definition, shown)))


def _looked(look: Look) -> Text:
    looks = ", ".join(map(str, look.looks))
    return text(
        bold("Looks:"),
        f" seeds were added until decided, looks at {looks}; claims at the level of the look"
        f" reached, with {look.seeds} seeds:",
        BREAK,
        f"{level(look.level)}. Looks were declared before the first run; over all of them a false"
        " claim is as rare as with one",
        BREAK,
        "look at .050. (Wang and Tsiatis, Biometrics 43(1), 1987.)",
    )


def _definition(metric: Metric) -> Text:
    return text(
        f"{metric.title} {arrow(metric)}: {metric.definition}. Undefined: {metric.undefined}."
    )


def _chosen(board: Board) -> Text:
    """What chose the checkpoint of a run."""
    if board.protocol.get("selection", "protocol") == "released":
        return text(
            "All metrics of a seed come from one checkpoint, chosen on the validation split as the"
            " released code of each",
            BREAK,
            "system chooses it: see how the rows were made.",
        )
    return text(
        "All metrics of a seed come from one checkpoint, chosen on the validation split as the"
        " protocol",
        BREAK,
        "says.",
    )


def _marks(selection: Metric, chosen: Text) -> Iterator[Text]:
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
        f"seeds and new source videos. With 95 % probability every true rank in {selection.title}"
        " lies in its set. Order",
        BREAK,
        "within a set means nothing. (Mogstad et al., Review of Economic Studies 91(1), 2024.)",
    )
    yield text(
        "The variance of a difference is that of two crossed factors, seeds of a system and source"
        " videos that",
        BREAK,
        "systems share; its uncertainty is in a t distribution (Satterthwaite, Biometrics Bulletin"
        " 2(6), 1946). p-values",
        BREAK,
        "are adjusted for all pairs of a table together: the step-down smallest p-value of equal"
        f" systems, {DRAWS:,} draws",
        BREAK,
        "(Westfall and Young, Resampling-Based Multiple Testing, 1993).",
    )
    yield text(
        f"{TIED}: tie group at the top in {selection.title}, the metric that ranks: no other row is"
        " significantly better,",
        BREAK,
        "with at most 5 % error over all pairs. There is no bold, for most winners on boards of"
        " this size are not.",
    )
    yield text(
        f"{EXPLORATORY}: the same in any other metric. Exploratory: each metric is a family of its"
        " own, so that over all",
        BREAK,
        "metrics of a table a false mark is expected more often than one time in twenty.",
    )
    yield text(
        f"Could be best: the rows among which the one with the best true {selection.title} is, with"
        " 95 % probability",
        BREAK,
        "(multiple comparisons with the best: Hsu, Multiple Comparisons, 1996).",
    )
    yield text(
        "One run of a system that seeds change (",
        code("n=1"),
        ") is a checkpoint: how much another seed differs is unseen. It is",
        BREAK,
        "compared in pairs, about checkpoints, and never ranked. ",
        code("det."),
        " rows are ranked with their one run, for no",
        BREAK,
        "seed changes it; ",
        code("once"),
        " rows too, and their comparisons are conditional on what was answered that day.",
    )
    yield chosen
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


def _has_released(board: Board) -> bool:
    return any(row.released for grid in board.grids for row in grid.rows)


def _of_released(board: Board) -> Iterator[Text]:
    """What rows of released weights are, where there are some."""
    if _has_released(board):
        yield text(
            bold("Released weights"),
            " were trained and chosen by those who released them, by the rule and with the seeds"
            " that they state, not",
            BREAK,
            "the protocol's. They are evaluated here as trained rows are, compared in pairs as"
            " checkpoints, and never",
            BREAK,
            "ranked.",
        )


def _badges(board: Board) -> Bullets:
    """What badges mean; that of released weights where there are some."""
    shown = (one for one in Badge if _has_released(board) or one is not Badge.RELEASED)
    return Bullets(tuple(text(badge(str(one)), f" {one.meaning}.") for one in shown))


SECTION = BoardSection(name="reading", title="How to read this", blocks=_blocks, reference=True)
