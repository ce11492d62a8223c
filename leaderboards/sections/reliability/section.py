"""What a grid of conditions adds to a board: areas, sets of modalities, pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from harness.spec.conditions import seen
from harness.spec.laws import laws
from leaderboards.document import Block, Fold, Heading, Table, text
from leaderboards.model import Grid, Track
from leaderboards.sections._rows import could_be_best
from leaderboards.sections.contract import CorpusSection
from leaderboards.sections.reliability import tables
from leaderboards.sections.reliability.analysis import Reliability, reliability

__all__ = ["SECTION"]


_AREAS = (
    "One checkpoint answers every cell. An area is the mean over the cells of a curve (rates 0 to"
    " 0.9) or of a map (10 × 10 strengths of noise λ and rates of missingness η); spectrum is the"
    " mean of the three maps. In brackets: 95 % intervals for new seeds and new source videos; that"
    " of the worst cell holds for whichever cell is truly worst. Where nothing of a clip is left,"
    " every row answers the training mean; that cell is in no area. One run of a system that seeds"
    " change is never ranked, and what is said of it is said of that checkpoint."
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


def _blocks(grid: Grid) -> Iterator[Block]:
    found = reliability(grid)
    if found is None or not found.rows:
        return
    cells = len(found.conditions)
    title = f"Reliability, {found.metric.title}: {cells} conditions, {grid.corruption}"
    yield Heading(3, text(title))
    yield text(_AREAS)
    for track in tables.tracks(found):
        yield from _of_track(found, track)
    yield from _folded(f"Across training, by area: {found.ranked_by}", tables.crossing(found))
    if found.gains:
        yield text(_GAINS)
        yield _captioned(tables.gains(found), "One checkpoint for all")
    if not grid.corpus.twin:
        yield from _published(grid.corpus.dataset.name)


def _published(dataset: str) -> Iterator[Block]:
    published = tables.literature(dataset)
    if published.rows:
        title = "Published under corruption"
        yield Heading(3, text(title))
        yield text(_LITERATURE)
        yield from _folded(title, published)


def _of_track(found: Reliability, track: Track) -> Iterator[Block]:
    law = track.training_corruption
    about = laws[law].about if law in laws else "trained for one condition"
    yield text(f"{_trained(law)} ({about}). {_unseen(law)}")
    yield _captioned(tables.areas(found, track), "Areas of the reliability spectrum")
    if track in found.rankings:
        yield from could_be_best(found.rankings[track], f"the area of {found.ranked_by}")
    for title, table in (
        ("Fixed sets of modalities", tables.sets(found, track)),
        ("One modality hit at a time", tables.breakdown(found, track)),
        (f"Pairwise, by area: {found.ranked_by}", tables.pairs(found, track)),
    ):
        yield from _folded(title, table)


def _captioned(table: Table, caption: str) -> Table:
    return dataclasses.replace(table, caption=caption)


def _folded(title: str, table: Table) -> Iterator[Fold]:
    if table.rows:
        yield Fold(title=title, blocks=(_captioned(table, title),))


def _trained(law: str) -> str:
    return "Trained on clean clips" if law == "none" else f"Trained on corrupted clips: {law}"


def _unseen(law: str) -> str:
    known = sorted(seen(law))
    if not known:
        return "No training clip went through any family: every corruption is unseen."
    return (
        f"Training clips went through {', '.join(known)}; {tables.UNSEEN} marks areas with a family"
        " that none went through."
    )


SECTION = CorpusSection(name="reliability", blocks=_blocks)
