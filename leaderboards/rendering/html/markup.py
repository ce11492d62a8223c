"""Markup that cannot be injected into: every text is escaped by the one function that places it.

Whatever is not ``Html`` is foreign text. ``tag`` escapes it, in content and in attributes alike, so
no caller can forget to.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from leaderboards.document import one_line

__all__ = ["Html", "hidden", "join", "tag"]

_VOID = frozenset({"input", "link", "meta"})
_SHAPES = frozenset({"circle", "path", "use"})


class Html(str):
    """Text that is markup already: the work of ``tag`` and ``join``."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Html:
    """An element; children that are not markup yet are text and are escaped.

    Args:
        name: Of the element.
        children: Markup or text, in order.
        attributes: Values by name, a trailing underscore dropped and others turned into hyphens;
            True stands for an attribute without value, False and None for none at all.

    Example:
        >>> print(tag("p", "1 < 2 ", tag("b", "&"), class_="x", data_why='"', hidden=True))
        <p class="x" data-why="&quot;" hidden>1 &lt; 2 <b>&amp;</b></p>
    """
    opening = f"<{name}{''.join(_attribute(*item) for item in attributes.items())}"
    if name in _VOID:
        return Html(f"{opening}>")
    if name in _SHAPES:
        return Html(f"{opening}/>")
    return Html(f"{opening}>{join(children)}</{name}>")


def hidden(words: str) -> Html:
    """Words for screen readers alone."""
    return tag("span", words, class_="sr")


def join(parts: Iterable[str], between: str = "") -> Html:
    """Markup of several parts, those that are not markup yet escaped."""
    return Html(between.join(part if isinstance(part, Html) else _escaped(part) for part in parts))


def _attribute(name: str, value: str | float | None) -> str:
    written = name.removesuffix("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {written}" if value is True else f' {written}="{escape(one_line(str(value)))}"'


def _escaped(text: str) -> str:
    """Escaped, one space kept at either end: words around an element must not run together."""
    shown = escape(one_line(text))
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() and shown else ""
    return f"{before}{shown}{after}"
