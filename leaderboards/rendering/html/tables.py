"""Plain tables, and the container in which every table scrolls."""

from __future__ import annotations

from leaderboards.document import Cell, Drawing, Table
from leaderboards.rendering.html.drawings import draw_average
from leaderboards.rendering.html.markup import Html, join, tag

__all__ = ["plain_table", "scrolling"]


def scrolling(table: Html, named_by: str) -> Html:
    """A table in a container that scrolls sideways and is reached by keyboard.

    Args:
        table: A table.
        named_by: Identifier of its caption.
    """
    return tag("div", table, class_="scroll", role="region", aria_labelledby=named_by, tabindex=0)


def plain_table(table: Table) -> Html:
    """A table of text with its notes; its first column names the rows."""
    kinds = ["name" if column.align == "left" else "number" for column in table.columns]
    head = (
        tag("th", column.title, scope="col", class_=kind)
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    body = (
        tag(
            "tr",
            tag("th", _cell(cells[0]), scope="row", class_="name"),
            *(
                tag("td", _cell(cell), class_=None if kind == "number" else kind)
                for cell, kind in zip(cells[1:], kinds[1:], strict=True)
            ),
        )
        for cells in table.rows
    )
    drawn = tag(
        "table",
        tag("caption", table.caption, class_="sr"),
        tag("thead", tag("tr", *head)),
        tag("tbody", *body),
    )
    container = tag(
        "div", drawn, class_="scroll", role="region", aria_label=table.caption, tabindex=0
    )
    notes = (tag("li", note) for note in table.notes)
    return join((container, tag("ol", *notes, class_="notes"))) if table.notes else container


def _cell(cell: Cell) -> str:
    if isinstance(cell, Drawing):
        return join((draw_average(cell), cell.words))
    return cell
