"""Every ranked row against every other one, in one metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.metrics import Metric
from harness.stats import Pairing, Ranking, declared_margin
from leaderboards import tables
from leaderboards.html.markup import Html, join, tag
from leaderboards.html.numbers import number, p_value, span
from leaderboards.html.parts import scrolling
from leaderboards.strata import Stratum, plain_first

__all__ = ["crossing", "matrix", "resolution"]

_MEANINGS = {
    "better": "the row is better than the column",
    "worse": "the row is worse",
    "negligible": "they differ, by less than the declared margin",
    "equivalent": "equivalent: any difference is within the declared margin",
    "undecided": "undecided: the data show neither",
}


def resolution(ranking: Ranking, metric: Metric) -> Html:
    """The smallest difference this table can detect."""
    if not ranking.pairs:
        return tag("p", "No two rows can be compared in this metric.")
    points = " points" if metric.percent else ""
    return tag(
        "p",
        tag("strong", "Resolution: "),
        "one comparison finds a true difference in ",
        f"{metric.title} with 80 % probability from about ",
        tag("strong", f"{number(ranking.resolution, metric)}{points}"),
        " (median over pairs). Smaller gaps are noise unless the pairwise table says otherwise.",
    )


def matrix(ranking: Ranking, metric: Metric, name: str) -> Html:
    """Row minus column: effect, Holm-adjusted p and verdict of every pair.

    Args:
        ranking: In the metric.
        metric: What is compared.
        name: Unique on the page.
    """
    found = _by_both(ranking)

    def cell(row: str, column: str) -> Html:
        return _cell(row, column, found.get((row, column)), metric)

    caption = f"{metric.title}, row minus column"
    table = _square(ranking.names, cell, caption, name)
    return join((scrolling(table, name), _key(ranking, metric)), "\n")


def crossing(ranking: Ranking, metric: Metric, name: str, known: Mapping[str, Stratum]) -> Html:
    """As ``matrix``, for the pairs whose rows know different things.

    Args:
        ranking: Comparisons among rows of several strata.
        metric: What is compared.
        name: Unique on the page.
        known: Row -> its stratum.
    """
    found = _by_both(ranking)
    strata = plain_first(known.values())
    names = sorted(ranking.names, key=lambda label: strata.index(known[label]))

    def cell(row: str, column: str) -> Html:
        if known[row] == known[column]:
            return _cell(row, column, None, metric)
        return _cell(row, column, found.get((row, column)), metric, mark=f"{tables.APART} ")

    caption = f"{metric.title}, row minus column, of rows that know different things: no ranking"
    table = _square(names, cell, caption, name)
    return join((scrolling(table, name), _key(ranking, metric)), "\n")


def _by_both(ranking: Ranking) -> dict[tuple[str, str], Pairing]:
    there = {(pair.a, pair.b): pair for pair in ranking.pairs}
    return there | {(pair.b, pair.a): pair for pair in ranking.pairs}


def _square(
    names: Sequence[str], cell: Callable[[str, str], Html], caption: str, name: str
) -> Html:
    """A table with a row and a column for every name."""
    head = (tag("th", other, scope="col") for other in names)
    body = (
        tag(
            "tr",
            tag("th", one, scope="row", class_="name"),
            *(cell(one, other) for other in names),
        )
        for one in names
    )
    corner = tag("th", "Row − column", scope="col", class_="name")
    return tag(
        "table",
        tag("caption", tag("span", caption), id=name),
        tag("thead", tag("tr", corner, *head)),
        tag("tbody", *body),
        class_="pairs",
    )


def _cell(row: str, column: str, pair: Pairing | None, metric: Metric, *, mark: str = "") -> Html:
    if pair is None:
        return tag("td", tables.EMPTY, class_="self" if row == column else None)
    effect, low, high, verdict = pair.seen_from(row)
    p = p_value(pair.p_holm)
    return tag(
        "td",
        mark,
        number(effect, metric, sign=True),
        tag("small", tag("span", f"{verdict}, ", class_="sr"), p),
        class_=verdict,
        title=f"{verdict}; 95 % interval {span((low, high), metric)}; Holm-adjusted {p}",
    )


def _key(ranking: Ranking, metric: Metric) -> Html:
    margin = declared_margin(ranking.dataset, metric.name)
    words = [
        tag("span", meaning, class_=verdict)
        for verdict, meaning in _MEANINGS.items()
        if margin is not None or verdict not in ("negligible", "equivalent")
    ]
    declared = (
        "No margin of equivalence is declared for this metric."
        if margin is None
        else f"Declared margin: {number(margin, metric)}."
    )
    family = f"p-values are adjusted by Holm over the pairs of this table ({len(ranking.pairs)})."
    return tag("p", join(words, "; "), f". {family} {declared}", class_="key")
