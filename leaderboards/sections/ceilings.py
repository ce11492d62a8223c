"""For twins: the best any system could do given each view of the planted signals."""

from __future__ import annotations

from collections.abc import Iterator

from harness.metrics import Metric, metrics_for
from leaderboards.document import Block, Fold, Heading, PerFormat, Table, left, right, text
from leaderboards.model import Grid
from leaderboards.numbers import UNDEFINED, number
from leaderboards.sections._rows import heading
from leaderboards.sections.contract import CorpusSection

__all__ = ["SECTION", "table"]

_TITLE = "Planted ceilings (best MAE and best Corr apart)"
_VIEWS = ("text", "audio", "vision", "all")


def _blocks(grid: Grid) -> Iterator[Block]:
    found = table(grid)
    if found.rows:
        yield PerFormat(
            file=(Heading(3, text(_TITLE)), found), page=(Fold(title=_TITLE, blocks=(found,)),)
        )


def table(grid: Grid) -> Table:
    """One line per view."""
    planted = grid.corpus.ceilings
    views = [*(v for v in _VIEWS if v in planted), *sorted(planted.keys() - set(_VIEWS))]
    shown = [
        m for m in metrics_for(grid.corpus.dataset) if any(m.name in planted[v] for v in views)
    ]
    return Table(
        columns=(*left("Signals seen"), *right(*map(heading, shown))),
        rows=tuple(
            (view, *(_ceiling(planted[view].get(metric.name), metric) for metric in shown))
            for view in views
        ),
        caption=_TITLE,
    )


def _ceiling(value: float | None, metric: Metric) -> str:
    return UNDEFINED if value is None else number(value, metric)


SECTION = CorpusSection(name="ceilings", blocks=_blocks)
