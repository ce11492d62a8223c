"""The page around the sections: policy, table of contents, filters."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources

from leaderboards.document import Block, Document, Explorer, Fold, Line, Part, PerFormat, Results
from leaderboards.rendering.html.blocks import draw_part
from leaderboards.rendering.html.markup import Html, join, tag

__all__ = ["render_html"]


def render_html(document: Document) -> str:
    """The whole document as one page, ending in a newline."""
    page = tag("html", join((_head(document), _body(document)), "\n"), lang="en")
    return f"<!doctype html>\n{page}\n"


@cache
def _own(name: str) -> Html:
    """A file beside this module that goes into the page as it is."""
    return Html(resources.files(__package__).joinpath(name).read_text("utf-8"))


def _head(document: Document) -> Html:
    own = (
        ("page", "explorer")
        if any(_explores(part.blocks) for part in document.parts)
        else ("page",)
    )
    style = Html("".join(_own(f"{name}.css") for name in own) + _chosen_metric(document))
    script = Html("".join(_own(f"{name}.js") for name in own))
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(style)}; script-src {_hash(script)}"
    )
    last = _in_order(document)[-1].name
    parts = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", document.title),
        # Nothing shows before the last section has begun: the widths of a table follow from all
        # its rows, and its columns would jump while they arrive.
        tag("link", rel="expect", href=f"#{last}", blocking="render"),
        Html(f"<style>{style}</style>"),
        Html(f"<script>{script}</script>"),
    )
    return tag("head", join(parts, "\n"))


def _hash(source: str) -> str:
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _chosen_metric(document: Document) -> str:
    """Rules that hide what belongs to metrics other than the chosen one."""
    most = max((len(part.metrics) for part in document.parts), default=0)
    return "".join(
        f'.corpus:has([value="{i}"]:checked) [data-metric]:not([data-metric="{i}"])'
        " { display: none }\n"
        for i in range(most)
    )


def _body(document: Document) -> Html:
    parts = _in_order(document)
    lines = [line for part in parts for line in _lines(part.blocks)]
    filters = _filters(lines) if lines else tag("div", _filters(lines), hidden=True)
    main = (filters, *map(draw_part, parts))
    skip = tag("a", "Skip to the results", href="#main", class_="skip")
    shown = (skip, _header(document, parts), tag("main", join(main, "\n"), id="main"))
    return tag("body", join(shown, "\n"))


def _in_order(document: Document) -> list[Part]:
    """Results first, what explains them last."""
    return sorted(document.parts, key=lambda part: part.reference)


def _lines(blocks: Iterable[Block]) -> Iterator[Line]:
    """Every row of every table of results."""
    for block in blocks:
        match block:
            case Results(lines=lines):
                yield from lines
            case Fold(blocks=inside) | PerFormat(page=inside):
                yield from _lines(inside)


def _explores(blocks: Iterable[Block]) -> bool:
    """Whether there is a table to explore."""
    return any(
        isinstance(block, Explorer)
        or (isinstance(block, Fold) and _explores(block.blocks))
        or (isinstance(block, PerFormat) and _explores(block.page))
        for block in blocks
    )


def _header(document: Document, parts: Sequence[Part]) -> Html:
    theme = tag("button", "Dark", type="button", id="theme", aria_pressed="false")
    items = (tag("li", tag("a", part.title, href=f"#{part.name}")) for part in parts)
    contents = tag("nav", tag("ul", *items), aria_label="Contents")
    about = tag("p", document.about)
    return tag("header", tag("h1", document.title), theme, about, contents)


def _filters(lines: Sequence[Line]) -> Html:
    """Filters over all tables of results; without script they do not show."""
    search = tag("input", type="search", id="search", autocomplete="off")
    only = tag("input", type="checkbox", id="ranked")
    return tag(
        "form",
        tag("label", tag("span", "Search"), search),
        *_choices(lines),
        tag("label", only, tag("span", "Ranked only"), class_="check"),
        tag("button", "Reset", type="reset"),
        tag("output", aria_live="polite", id="count"),
        id="filters",
        role="search",
        aria_label="Filter the rows of all tables",
    )


def _choices(lines: Sequence[Line]) -> Iterator[Html]:
    columns = {
        "badge": ("Badge", {line.badge for line in lines}),
        "text": ("Encoder", {line.text for line in lines}),
        "side": ("Side information", {line.side_info for line in lines}),
    }
    for name, (title, values) in columns.items():
        options = (tag("option", value, value=value) for value in sorted(values))
        anything = tag("option", "any", value="")
        select = tag("select", anything, *options, id=f"filter-{name}", data_filter=name)
        yield tag("label", tag("span", title), select)
