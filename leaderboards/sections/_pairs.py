"""Every ranked row against every other one, as squares of comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from harness.metrics import Metric, metrics_for
from harness.stats import Pairing, Ranking, declared_margin
from leaderboards.document import (
    Block,
    ByMetric,
    Fold,
    Pair,
    Pairs,
    PerFormat,
    Table,
    left,
    right,
)
from leaderboards.model import Grid, analyse
from leaderboards.numbers import EMPTY, number, p_value

__all__ = ["by_both", "compared", "folded", "pair_cell", "square"]


def compared(grid: Grid) -> Iterator[Block]:
    """All pairs of a table's ranked rows."""
    rankings = analyse(grid).rankings
    page = {
        place: (square(rankings[metric.name], metric, f"{metric.title}, row minus column"),)
        for place, metric in enumerate(metrics_for(grid.corpus.dataset, primary=True))
        if metric.name in rankings
    }
    title = f"Pairwise: {grid.selection.title}"
    yield folded(title, _table(rankings, grid.selection), "Pairwise comparisons", page)


def folded(
    title: str, table: Table, page_title: str, page: Mapping[int, tuple[Block, ...]]
) -> PerFormat:
    """The table of one metric for text files, the squares of all metrics for pages."""
    return PerFormat(
        file=(Fold(title=title, blocks=(table,)),) if table.rows else (),
        page=(Fold(title=page_title, blocks=(ByMetric(page),)),) if page else (),
    )


def _table(rankings: Mapping[str, Ranking], metric: Metric) -> Table:
    """Row minus column in the selection metric, with what the Holm-adjusted test says."""
    ranking = rankings.get(metric.name)
    if ranking is None:
        return Table(columns=(), rows=())
    found = by_both(ranking)
    return Table(
        columns=(*left(f"{metric.title}: row - column"), *right(*ranking.names)),
        rows=tuple(
            (a, *(pair_cell(a, found.get((a, b)), metric) for b in ranking.names))
            for a in ranking.names
        ),
    )


def by_both(ranking: Ranking) -> Mapping[tuple[str, str], Pairing]:
    """The pairs of a ranking by their names in either order."""
    there = {(pair.a, pair.b): pair for pair in ranking.pairs}
    return there | {(pair.b, pair.a): pair for pair in ranking.pairs}


def pair_cell(row: str, pair: Pairing | None, metric: Metric) -> str:
    """Effect of ``row`` minus the other of the pair, adjusted p and verdict."""
    if pair is None:
        return EMPTY
    effect, _, _, verdict = pair.seen_from(row)
    shown = number(effect, metric, signed=True, directed=True)
    return f"{shown}, {p_value(pair.p_holm)}: {verdict}"


def square(
    ranking: Ranking,
    metric: Metric,
    caption: str,
    *,
    names: Sequence[str] = (),
    mark: str = "",
    kept: Callable[[Pairing], bool] = lambda _: True,
) -> Pairs:
    """All comparisons of a ranking in one metric.

    Args:
        ranking: In the metric.
        metric: What is compared.
        caption: What the square shows.
        names: Its rows and columns in another order than that of the ranking.
        mark: Stands before every cell.
        kept: Which pairs to show.
    """
    order = tuple(names) or ranking.names
    place = {name: at for at, name in enumerate(order)}
    return Pairs(
        caption=caption,
        names=order,
        metric=metric,
        pairs=tuple(
            Pair(
                a=place[pair.a],
                b=place[pair.b],
                effect=pair.effect,
                low=pair.low,
                high=pair.high,
                p=pair.p_holm,
                verdict=pair.verdict(),
            )
            for pair in ranking.pairs
            if kept(pair)
        ),
        family=len(ranking.pairs),
        margin=declared_margin(ranking.dataset, metric.name),
        mark=mark,
    )
