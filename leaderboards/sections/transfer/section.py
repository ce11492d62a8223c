"""What transfers add to a board: all of them together, algorithm by algorithm."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from leaderboards.document import Block, Heading, PerFormat, Table, text
from leaderboards.model import Board, plain_first
from leaderboards.sections._rows import could_be_best
from leaderboards.sections.contract import BoardSection
from leaderboards.sections.transfer import tables
from leaderboards.sections.transfer.analysis import TransferContest, contests_of
from leaderboards.sections.transfer.records import records

__all__ = ["SECTION"]

_SCALE = (
    "MAE on labels in [-1, 1] (MOSI and MOSEI divided by 3): mean over seeds, in brackets its 95 %"
    " interval for new seeds and new source videos of the test split. Targets weigh the same in"
    " their mean, however many transfers lead to them; the interval of the worst target holds for"
    " whichever target is truly worst. Ranks are those of the mean. Constants are learned from the"
    " sources' labels alone: train_mean is the source mean. In-domain bounds were trained on the"
    " target and are never ranked, nor is one run of an algorithm that seeds change."
)
_NEUTRAL = (
    "The scales meet at 0, but 0 is not the same neutral: raters of CH-SIMS chose among three"
    " classes, raters of MOSI and MOSEI on seven points."
)
_VERSUS = (
    "Below 0: better than plain training. ERM is the row called so with the same network, or the"
    " only one called so; p is of the mean, adjusted by Holm for all algorithms of this table. The"
    " difference of two worst targets lies between the smallest and the largest difference on a"
    " target: its interval spans simultaneous 95 % bands of those, so that it is wide rather than"
    " too narrow."
)
_LINE = (
    "As predicted → after the straight line that fits the sources' validation clips best. What the"
    " line repairs was scale; what it leaves is ranking, and a shift that no source shows."
)
_RULES = (
    "The mean over targets when DomainBed's three rules choose among an algorithm's settings."
    " Training-domain validation is the one that ranks. The oracle chooses setting and epoch by the"
    " test labels: what the best choice could have given, and never ranked. Settings per algorithm:"
    " {settings}, the same for all."
)


def _blocks(board: Board) -> Iterator[Block]:
    found = contests_of(board)
    if not found:
        return
    yield PerFormat(page=(Heading(2, text(_TITLE)),))
    for contest in found:
        yield Heading(3, text(contest.family.title))
        yield text(_SCALE)
        yield from _of_contest(contest, int(str(board.protocol.get("settings", 1))))
    yield text(_NEUTRAL)


def _of_contest(contest: TransferContest, settings: int) -> Iterator[Block]:
    tracks = plain_first(s.track for s in contest.standings if not s.pick.row.reference)
    for track in tracks:
        if len(tracks) > 1:
            yield Heading(3, text(track.title))
        yield _captioned(tables.standings(contest, track), "MAE on every transfer")
        if track in contest.rankings:
            yield from could_be_best(contest.rankings[track], "the mean over targets")
    if contest.versus:
        yield from _titled("Against ERM", _VERSUS, tables.versus(contest))
    yield from _titled("Ranking or scale", _LINE, tables.recalibrated(contest))
    yield from _titled(
        "Rules of selection", _RULES.format(settings=settings), tables.rules(contest)
    )


def _titled(title: str, words: str, table: Table) -> Iterator[Block]:
    yield Heading(3, text(title))
    yield text(words)
    yield _captioned(table, title)


def _captioned(table: Table, caption: str) -> Table:
    return dataclasses.replace(table, caption=caption)


_TITLE = "All transfers"

SECTION = BoardSection(name="transfers", title=_TITLE, blocks=_blocks, records=records)
