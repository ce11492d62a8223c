"""The part of a board that a grid of conditions adds: the same words and tables in every format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.spec.conditions import seen
from harness.spec.laws import laws
from leaderboards import reliability_tables as tables
from leaderboards.board import Grid
from leaderboards.reliability import DRAWS, Reliability
from leaderboards.strata import Stratum
from leaderboards.tables import Table

__all__ = ["Block", "blocks"]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A heading, a paragraph, a table: whatever of them there is.

    Args:
        title: Heading.
        words: Paragraph, plain text.
        table: Below it.
        folded: Whether the table is shown on demand.
    """

    title: str = ""
    words: str = ""
    table: Table | None = None
    folded: bool = False


_AREAS = (
    "One checkpoint answers every cell. An area is the mean over the cells of a curve (rates 0 to"
    " 0.9) or of a map (10 × 10 strengths of noise λ and rates of missingness η); spectrum is the"
    " mean of the three maps. In brackets: 95 % intervals on new seeds and new source videos,"
    " {draws:,} draws; that of the worst cell holds for whichever cell is truly worst. Where"
    " nothing of a clip is left, every row answers the training mean; that cell is in no area."
)
_GAINS = (
    "One checkpoint for all: a row trained for a single condition counts in that cell alone. The"
    " largest gain over the cells, positive where the specialist is better, with an interval that"
    " allows for the choice of the cell."
)
_LITERATURE = (
    "Published on corrupted test clips, as printed: other operators, masks and selection rules"
    " (LNLN and its followers choose checkpoints on test). Literature, never ranked."
)


def blocks(grid: Grid) -> Iterator[Block]:
    """What is said of one corpus; nothing where its clips were seen as they are only."""
    found = grid.reliability
    if found is None or not found.rows:
        return
    cells = len(found.conditions)
    yield Block(title=f"Reliability, {found.metric.title}: {cells} conditions, {grid.corruption}")
    yield Block(words=_AREAS.format(draws=DRAWS))
    for stratum in tables.strata(found):
        yield from _of_stratum(found, stratum)
    crossing = tables.crossing(found)
    if crossing.rows:
        title = f"Across training, by area: {found.ranked_by}"
        yield Block(title=title, table=crossing, folded=True)
    if found.gains:
        yield Block(words=_GAINS, table=tables.gains(found))
    if not grid.corpus.twin:
        published = tables.literature(grid.corpus.dataset.name)
        if published.rows:
            yield Block(title="Published under corruption", words=_LITERATURE)
            yield Block(title="Published under corruption", table=published, folded=True)


def _of_stratum(found: Reliability, stratum: Stratum) -> Iterator[Block]:
    law = stratum.training_corruption
    unseen = _unseen(law)
    about = laws[law].about if law in laws else "trained for one condition"
    yield Block(words=f"{_track(law)} ({about}). {unseen}", table=tables.areas(found, stratum))
    for title, table in (
        ("Fixed sets of modalities", tables.sets(found, stratum)),
        ("One modality hit at a time", tables.breakdown(found, stratum)),
        (f"Pairwise, by area: {found.ranked_by}", tables.pairs(found, stratum)),
    ):
        if table.rows:
            yield Block(title=title, table=table, folded=True)


def _track(law: str) -> str:
    return "Trained on clean clips" if law == "none" else f"Trained on corrupted clips: {law}"


def _unseen(law: str) -> str:
    known = sorted(seen(law))
    if not known:
        return "No training clip went through any family: every corruption is unseen."
    return (
        f"Training clips went through {', '.join(known)}; {tables.UNSEEN} marks areas with a family"
        " that none went through."
    )
