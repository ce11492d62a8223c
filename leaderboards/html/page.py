"""The page around the sections: policy, table of contents, filters."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

from harness.metrics import metrics_for
from leaderboards.board import Board
from leaderboards.html.around import across, legend, protocol, transfers
from leaderboards.html.lines import Line, lines_of
from leaderboards.html.markup import Html, join, tag
from leaderboards.html.sections import corpus, title_of

__all__ = ["render_html"]


def render_html(board: Board) -> str:
    """The whole board as one page, ending in a newline."""
    page = tag("html", join((_head(board), _body(board)), "\n"), lang="en")
    return f"<!doctype html>\n{page}\n"


@cache
def _own(name: str) -> Html:
    """A file beside this module that goes into the page as it is."""
    return Html(resources.files(__package__).joinpath(name).read_text("utf-8"))


def _head(board: Board) -> Html:
    style, script = Html(_own("page.css") + _chosen_metric(board)), _own("page.js")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(style)}; script-src {_hash(script)}"
    )
    parts = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", board.title),
        # Nothing shows before the last section has begun: the widths of a table follow from all
        # its rows, and its columns would jump while they arrive.
        tag("link", rel="expect", href="#reading", blocking="render"),
        Html(f"<style>{style}</style>"),
        Html(f"<script>{script}</script>"),
    )
    return tag("head", join(parts, "\n"))


def _hash(source: str) -> str:
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _chosen_metric(board: Board) -> str:
    """Rules that hide what belongs to metrics other than the chosen one."""
    most = max((len(metrics_for(g.corpus.dataset, primary=True)) for g in board.grids), default=0)
    return "".join(
        f'.corpus:has([value="{i}"]:checked) [data-metric]:not([data-metric="{i}"])'
        " { display: none }\n"
        for i in range(most)
    )


def _body(board: Board) -> Html:
    names = [f"corpus-{place}" for place, _ in enumerate(board.shown, start=1)]
    lines = [lines_of(grid) for grid in board.shown]
    corpora = [corpus(*shown) for shown in zip(board.shown, lines, names, strict=True)]
    main = (
        *transfers(board),
        _filters([line for found in lines for line in found.every]),
        *corpora,
        *across(board),
        protocol(board),
        legend(board),
    )
    skip = tag("a", "Skip to the results", href="#main", class_="skip")
    parts = (skip, _header(board, names), tag("main", join(main, "\n"), id="main"))
    return tag("body", join(parts, "\n"))


def _header(board: Board, names: Sequence[str]) -> Html:
    theme = tag("button", "Dark", type="button", id="theme", aria_pressed="false")
    seeds = f"Suite {board.suite}, seeds {', '.join(map(str, board.seeds))}."
    links = [
        *([("transfers", "All transfers")] if board.contests else []),
        *((name, f"{title_of(g.corpus)}") for name, g in zip(names, board.shown, strict=True)),
        *([("across", "Across datasets")] if board.across else []),
        ("protocol", "Protocol"),
        ("reading", "How to read this"),
    ]
    items = (tag("li", tag("a", words, href=f"#{name}")) for name, words in links)
    contents = tag("nav", tag("ul", *items), aria_label="Contents")
    return tag("header", tag("h1", board.title), theme, tag("p", seeds), contents)


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
        "badge": ("Badge", {str(line.badge) for line in lines}),
        "text": ("Encoder", {line.text for line in lines}),
        "side": ("Side information", {line.side_info for line in lines}),
    }
    for name, (title, values) in columns.items():
        options = (tag("option", value, value=value) for value in sorted(values))
        anything = tag("option", "any", value="")
        select = tag("select", anything, *options, id=f"filter-{name}", data_filter=name)
        yield tag("label", tag("span", title), select)
