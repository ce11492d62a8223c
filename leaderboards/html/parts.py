"""Pieces that several sections are built of."""

from __future__ import annotations

from leaderboards.html.markup import Html, tag
from leaderboards.tables import Table

__all__ = ["folded", "plain_table", "scrolling"]


def scrolling(table: Html, named_by: str) -> Html:
    """A table in a container that scrolls sideways and is reached by keyboard.

    Args:
        table: A table.
        named_by: Identifier of its caption.
    """
    return tag("div", table, class_="scroll", role="region", aria_labelledby=named_by, tabindex=0)


def folded(title: str, content: Html, *, open_: bool = False) -> Html:
    """Content under a title that opens it."""
    return tag("details", tag("summary", title), content, open=open_)


def plain_table(table: Table, caption: str) -> Html:
    """A table of text; its first column names the rows.

    Args:
        table: Cells, text or markup.
        caption: For screen readers: the page says the same above.
    """
    kinds = ["name" if column.align == "left" else "number" for column in table.columns]
    head = (
        tag("th", column.title, scope="col", class_=kind)
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    body = (
        tag(
            "tr",
            tag("th", cells[0], scope="row", class_="name"),
            *(tag("td", c, class_=kind) for c, kind in zip(cells[1:], kinds[1:], strict=True)),
        )
        for cells in table.rows
    )
    drawn = tag(
        "table",
        tag("caption", caption, class_="sr"),
        tag("thead", tag("tr", *head)),
        tag("tbody", *body),
    )
    return tag("div", drawn, class_="scroll", role="region", aria_label=caption, tabindex=0)
