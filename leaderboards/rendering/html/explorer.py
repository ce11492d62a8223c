"""A long table to explore: every row is in the page; a script sorts, searches and filters."""

from __future__ import annotations

import math
from collections.abc import Iterator

from leaderboards.document import Column, Explorer, Facet, Value
from leaderboards.rendering.html.markup import Html, join, tag
from leaderboards.rendering.html.numbers import key, typeset
from leaderboards.rendering.html.tables import scrolling

__all__ = ["draw_explorer"]


def draw_explorer(shown: Explorer, name: str) -> Html:
    """The table below its filters, which do not show without script.

    Args:
        shown: What it shows.
        name: Unique on the page, part of identifiers.
    """
    facets = tuple(facet for facet in shown.facets if facet.answers)
    table = tag(
        "table",
        tag("caption", tag("span", shown.caption), id=f"{name}-caption"),
        tag("thead", tag("tr", *map(_heading, shown.columns))),
        tag("tbody", *(_row(shown, facets, at) for at in range(len(shown.rows)))),
        class_="explorer",
    )
    none = tag("p", "No row matches the filters.", class_="none", hidden=True)
    more = tag("p", tag("button", "Show all", type="button"), class_="more", hidden=True)
    drawn = (_filters(facets, shown.caption), scrolling(table, f"{name}-caption"), none, more)
    return tag("div", *drawn, class_="explore")


def _filters(facets: tuple[Facet, ...], caption: str) -> Html:
    search = tag("input", type="search", autocomplete="off")
    return tag(
        "form",
        tag("label", tag("span", "Search"), search),
        *(_choice(facet, at) for at, facet in enumerate(facets)),
        tag("button", "Reset", type="reset"),
        tag("output", aria_live="polite"),
        class_="filters",
        role="search",
        aria_label=f"Filter: {caption}",
    )


def _choice(facet: Facet, at: int) -> Html:
    """One answer or any; rows say theirs by its place."""
    options = (tag("option", answer, value=i) for i, answer in enumerate(facet.answers))
    select = tag("select", tag("option", "any", value=""), *options, data_facet=f"f{at}")
    return tag("label", tag("span", facet.title), select)


def _heading(column: Column) -> Html:
    """What the script turns into a button: the largest first of numbers, A first of words."""
    number = column.align == "right"
    return tag(
        "th",
        tag("span", column.title, class_="sorts"),
        scope="col",
        class_="number" if number else "name",
        data_first="descending" if number else "ascending",
    )


def _row(shown: Explorer, facets: tuple[Facet, ...], at: int) -> Html:
    first, *others = shown.rows[at]
    answers = {
        f"data_f{i}": facet.answers.index(facet.of[at])
        for i, facet in enumerate(facets)
        if facet.of[at]
    }
    head = tag("th", *_cell(first), scope="row", class_="name", data_sort=_key(first))
    cells = (
        tag(
            "td",
            *_cell(value),
            class_=None if column.align == "right" else "name",
            data_sort=_key(value),
        )
        for column, value in zip(shown.columns[1:], others, strict=True)
    )
    return tag("tr", head, join(cells), **answers)


def _cell(value: Value) -> Iterator[str]:
    number = isinstance(value.key, int | float)
    yield typeset(value.words) if number else value.words
    if value.below:
        # The space keeps search and readers from taking both for one word.
        yield tag("small", f" {typeset(value.below) if number else value.below}")


def _key(value: Value) -> str | None:
    if isinstance(value.key, int | float):
        return key(value.key) if math.isfinite(value.key) else None
    return value.key
