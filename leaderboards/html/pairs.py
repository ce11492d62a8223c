"""Every ranked row against every other one, in one metric."""

from __future__ import annotations

from harness.metrics import Metric
from harness.stats import Pairing, Ranking, declared_margin
from leaderboards import tables
from leaderboards.html.markup import Html, join, tag
from leaderboards.html.numbers import number, p_value, span
from leaderboards.html.parts import scrolling

__all__ = ["matrix", "resolution"]

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
    found = {(pair.a, pair.b): pair for pair in ranking.pairs}
    head = (tag("th", other, scope="col") for other in ranking.names)
    body = (
        tag(
            "tr",
            tag("th", one, scope="row", class_="name"),
            *(
                _cell(one, other, found.get((one, other)) or found.get((other, one)), metric)
                for other in ranking.names
            ),
        )
        for one in ranking.names
    )
    caption = tag("caption", tag("span", f"{metric.title}, row minus column"), id=name)
    corner = tag("th", "Row − column", scope="col", class_="name")
    table = tag(
        "table",
        caption,
        tag("thead", tag("tr", corner, *head)),
        tag("tbody", *body),
        class_="pairs",
    )
    return join((scrolling(table, name), _key(ranking, metric)), "\n")


def _cell(row: str, column: str, pair: Pairing | None, metric: Metric) -> Html:
    if pair is None:
        return tag("td", tables.EMPTY, class_="self" if row == column else None)
    effect, low, high, verdict = pair.seen_from(row)
    p = p_value(pair.p_holm)
    return tag(
        "td",
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
