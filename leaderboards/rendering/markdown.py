"""Documents as Markdown: the same document gives the same bytes.

Labels, titles and reasons are written by people, so every text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tabulate import tabulate

from leaderboards.document import (
    BREAK,
    Block,
    Bullets,
    Cell,
    Document,
    Drawing,
    Fold,
    Heading,
    Notice,
    PerFormat,
    Span,
    Table,
    Text,
    one_line,
)

__all__ = ["escape", "render_blocks", "render_markdown"]

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKUP = re.compile(
    r"[\\`*\[\]|~$#]"
    r"|(?<!\w)_++|(?<!_)_++(?![^\W_])"  # underscores inside a word mark nothing up
    r"|:(?=//)|(?<=www)\.",  # links nobody bracketed
    re.IGNORECASE,
)


def escape(text: str) -> str:
    r"""``text`` on one line, with everything Markdown or HTML would read as markup taken literally.

    Example:
        >>> print(escape("a|b <i>x</i>"))
        a\|b &lt;i&gt;x&lt;/i&gt;
    """
    literal = _MARKUP.sub(_backslashed, one_line(text))
    return "".join(_ENTITIES.get(char, char) for char in literal)


def _backslashed(found: re.Match[str]) -> str:
    return "".join(f"\\{char}" for char in found.group())


def render_markdown(document: Document) -> str:
    """The whole document, ending in a newline."""
    drawn = (
        f"# {escape(document.title)}",
        escape(document.about),
        *(render_blocks(block for part in document.parts for block in part.blocks)),
    )
    return "\n\n".join(drawn) + "\n"


def render_blocks(blocks: Iterable[Block]) -> Iterator[str]:
    """Each block as Markdown; an empty line belongs between any two.

    Raises:
        TypeError: For a block that only pages can show.
    """
    for block in blocks:
        match block:
            case Heading(level=level, text=words):
                yield f"{'#' * level} {_text(words)}"
            case Text():
                yield _text(block)
            case Bullets(items=items):
                yield "\n".join(f"- {_text(item, indent='  ')}" for item in items)
            case Notice(text=words, kind=kind):
                yield f"> {_text(words)}" if kind == "twin" else _text(words)
            case Table():
                yield _table(block)
            case Fold(title=title, blocks=inside):
                yield f"<details>\n<summary>{escape(title)}</summary>"
                yield from render_blocks(inside)
                yield "</details>"
            case PerFormat(file=inside):
                yield from render_blocks(inside)
            case _:
                raise TypeError(f"Markdown has no {type(block).__name__}: put it into PerFormat")


def _text(text: Text, indent: str = "") -> str:
    return "".join(_span(span, indent) for span in text.spans)


def _span(span: Span, indent: str) -> str:
    if span == BREAK:
        return f"\n{indent}"
    if span.style == "code":
        return f"`{one_line(span.words)}`"
    words = escape(span.words)
    if span.style == "bold":
        return f"**{words}**"
    before = " " if span.words[:1].isspace() else ""
    after = " " if span.words[-1:].isspace() and words else ""
    return f"{before}{words}{after}"


def _table(table: Table) -> str:
    """A pipe table; left to itself, ``tabulate`` escapes nothing and rewrites numbers."""
    drawn = tabulate(
        [[escape(_cell(cell)) for cell in row] for row in table.rows],
        headers=[escape(column.title) for column in table.columns],
        tablefmt="pipe",
        colalign=[column.align for column in table.columns] if table.rows else None,
        disable_numparse=True,
    )
    notes = [f"{number}. {escape(note)}" for number, note in enumerate(table.notes, start=1)]
    return "\n\n".join([drawn, "\n".join(notes)]) if notes else drawn


def _cell(cell: Cell) -> str:
    return cell.words if isinstance(cell, Drawing) else cell
