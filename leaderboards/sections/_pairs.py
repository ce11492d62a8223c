"""Every ranked row against every other one, as squares of comparisons."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from harness.metrics import Metric
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
from leaderboards.model import Grid, analyse, is_checkpoint
from leaderboards.numbers import EMPTY, number, p_value

__all__ = ["by_both", "checkpoints_of", "compared", "folded", "pair_cell", "square"]


def compared(grid: Grid) -> Iterator[Block]:
    """All pairs of a table's ranked rows."""
    rankings = analyse(grid).rankings
    page = {
        place: (square(rankings[metric.name], metric, f"{metric.title}, row minus column"),)
        for place, metric in enumerate(grid.metrics)
        if metric.name in rankings
    }
    title = f"Pairwise: {grid.selection.title}"
    yield folded(title, _table(rankings, grid.selection), "Pairwise comparisons", page)
    yield from _with_single_runs(grid)


def checkpoints_of(grid: Grid) -> frozenset[str]:
    """Labels of the rows that are one run of a system that seeds change."""
    return frozenset(row.label for row in grid.rows if is_checkpoint(row))


def _with_single_runs(grid: Grid) -> Iterator[Block]:
    """The pairs in which a row has one run although seeds change it: of checkpoints, unranked."""
    found, single = analyse(grid).checkpoints, checkpoints_of(grid)
    if not found:
        return

    def kept(pair: Pairing) -> bool:
        return not single.isdisjoint((pair.a, pair.b))

    page = {
        place: (
            square(
                found[metric.name],
                metric,
                f"{metric.title}, row minus column, of single runs: checkpoints, not systems",
                single=single,
                kept=kept,
            ),
        )
        for place, metric in enumerate(grid.metrics)
        if metric.name in found
    }
    title = f"Pairwise with single runs, checkpoints and not systems: {grid.selection.title}"
    table = _of_single_runs(found.get(grid.selection.name), grid.selection, single)
    yield folded(title, table, "Pairwise comparisons with single runs", page)


def _of_single_runs(ranking: Ranking | None, metric: Metric, single: Collection[str]) -> Table:
    """Every row with a single run less every other row."""
    if ranking is None:
        return Table(columns=(), rows=())
    found = by_both(ranking)
    return Table(
        columns=(*left(f"{metric.title}: row - column"), *right(*ranking.names)),
        rows=tuple(
            (
                a,
                *(
                    pair_cell(a, found.get((a, b)), metric, ranking.alpha, single)
                    for b in ranking.names
                ),
            )
            for a in ranking.names
            if a in single
        ),
    )


def folded(
    title: str, table: Table, page_title: str, page: Mapping[int, tuple[Block, ...]]
) -> PerFormat:
    """The table of one metric for text files, the squares of all metrics for pages."""
    return PerFormat(
        file=(Fold(title=title, blocks=(table,)),) if table.rows else (),
        page=(Fold(title=page_title, blocks=(ByMetric(page),)),) if page else (),
    )


def _table(rankings: Mapping[str, Ranking], metric: Metric) -> Table:
    """Row minus column in the selection metric, with what the test adjusted for all pairs says."""
    ranking = rankings.get(metric.name)
    if ranking is None:
        return Table(columns=(), rows=())
    found = by_both(ranking)
    return Table(
        columns=(*left(f"{metric.title}: row - column"), *right(*ranking.names)),
        rows=tuple(
            (a, *(pair_cell(a, found.get((a, b)), metric, ranking.alpha) for b in ranking.names))
            for a in ranking.names
        ),
    )


def by_both(ranking: Ranking) -> Mapping[tuple[str, str], Pairing]:
    """The pairs of a ranking by their names in either order."""
    there = {(pair.a, pair.b): pair for pair in ranking.pairs}
    return there | {(pair.b, pair.a): pair for pair in ranking.pairs}


def pair_cell(
    row: str, pair: Pairing | None, metric: Metric, alpha: float, single: Collection[str] = ()
) -> str:
    """Effect of ``row`` minus the other of the pair, adjusted p and verdict.

    With a row among ``single``, the verdict says that it is about checkpoints.
    """
    if pair is None:
        return EMPTY
    effect, _, _, verdict = pair.seen_from(row, alpha)
    shown = number(effect, metric, signed=True, directed=True)
    about = "checkpoint " if pair.a in single or pair.b in single else ""
    return f"{shown}, {p_value(pair.p_adjusted)}: {about}{verdict}"


def square(
    ranking: Ranking,
    metric: Metric,
    caption: str,
    *,
    names: Sequence[str] = (),
    mark: str = "",
    single: Collection[str] = (),
    kept: Callable[[Pairing], bool] = lambda _: True,
) -> Pairs:
    """All comparisons of a ranking in one metric.

    Args:
        ranking: In the metric.
        metric: What is compared.
        caption: What the square shows.
        names: Its rows and columns in another order than that of the ranking.
        mark: Stands before every cell.
        single: Rows with one run although seeds change them.
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
                p=pair.p_adjusted,
                verdict=pair.verdict(ranking.alpha),
            )
            for pair in ranking.pairs
            if kept(pair)
        ),
        family=len(ranking.pairs),
        margin=declared_margin(ranking.dataset, metric.name),
        mark=mark,
        single=frozenset(place[name] for name in single if name in place),
    )
