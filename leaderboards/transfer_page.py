"""The part of a board that transfers add: the same words and tables in every format."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboards import transfer_tables as tables
from leaderboards.analysis import DRAWS
from leaderboards.board import Board
from leaderboards.reliability_page import Block
from leaderboards.strata import plain_first
from leaderboards.transfer_analysis import Contest

__all__ = ["blocks"]

_SCALE = (
    "MAE on labels in [-1, 1] (MOSI and MOSEI divided by 3): mean over seeds, in brackets its 95 %"
    " interval on new seeds and new source videos of the test split ({draws:,} draws). Targets"
    " weigh the same in their mean, however many transfers lead to them; the interval of the worst"
    " target is over the worst of each draw. Ranks are those of the mean. Constants are learned"
    " from the sources' labels alone: train_mean is the source mean. In-domain bounds were trained"
    " on the target and are never ranked."
)
_NEUTRAL = (
    "The scales meet at 0, but 0 is not the same neutral: raters of CH-SIMS chose among three"
    " classes, raters of MOSI and MOSEI on seven points."
)
_VERSUS = (
    "Below 0: better than plain training. ERM is the row called so with the same network, or the"
    " only one called so; p is adjusted for all algorithms of this table."
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


def blocks(board: Board) -> Iterator[Block]:
    """What is said of all transfers together; nothing for boards without any."""
    for contest in board.contests:
        yield Block(title=contest.family.title)
        yield Block(words=_SCALE.format(draws=DRAWS))
        yield from _of_contest(contest, int(str(board.protocol.get("settings", 1))))
    if board.contests:
        yield Block(words=_NEUTRAL)


def _of_contest(contest: Contest, settings: int) -> Iterator[Block]:
    strata = plain_first(s.stratum for s in contest.standings if not s.pick.row.reference)
    for stratum in strata:
        title = stratum.title if len(strata) > 1 else ""
        yield Block(title=title, table=tables.standings(contest, stratum))
    if contest.versus:
        yield Block(title="Against ERM", words=_VERSUS, table=tables.versus(contest))
    yield Block(title="Ranking or scale", words=_LINE, table=tables.recalibrated(contest))
    yield Block(
        title="Rules of selection",
        words=_RULES.format(settings=settings),
        table=tables.rules(contest),
    )
