"""Blocks of a document as markup."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from leaderboards.document import (
    BREAK,
    Block,
    Bullets,
    ByMetric,
    Explorer,
    Fold,
    Heading,
    Notice,
    Pairs,
    Part,
    PerFormat,
    Results,
    Span,
    Table,
    Text,
)
from leaderboards.rendering.html.explorer import draw_explorer
from leaderboards.rendering.html.markup import Html, join, tag
from leaderboards.rendering.html.pairs import draw_pairs
from leaderboards.rendering.html.results import ResultsTable
from leaderboards.rendering.html.tables import plain_table

__all__ = ["draw_part"]

_STYLES = {"bold": "strong", "code": "code"}


def draw_part(part: Part) -> Html:
    """A chapter as a section of the page, with the choice of its metric below the notices."""
    drawer = _Drawer(part)
    content = join(drawer.draw(_opened(part)), "\n")
    return tag(
        "section",
        content,
        id=part.name,
        class_=("corpus twin" if part.twin else "corpus") if part.metrics else None,
        aria_labelledby=f"{part.name}-title" if drawer.titled else None,
    )


def _opened(part: Part) -> list[Block | _Choice]:
    """The blocks of a part, the choice of a metric below its notices."""
    notices = [place for place, block in enumerate(part.blocks) if isinstance(block, Notice)]
    at = 1 + max(notices, default=0)
    choice = [_Choice()] if part.metrics else []
    return [*part.blocks[:at], *choice, *part.blocks[at:]]


class _Choice:
    """Stands where a reader chooses the metric that ranks and seeds are drawn in."""


class _Drawer:
    """Draws the blocks of one part; identifiers are unique as long as names of parts are."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._numbers = itertools.count(1)
        self.titled = False
        """Whether a heading has been drawn: the first one names the part."""

    def draw(self, blocks: Iterable[Block | _Choice]) -> Iterator[Html]:
        """Each block as markup."""
        for block in blocks:
            match block:
                case PerFormat(page=inside):
                    yield from self.draw(inside)
                case ByMetric(choices=choices):
                    for place, inside in choices.items():
                        yield tag("div", join(self.draw(inside), "\n"), data_metric=place)
                case Fold(title=title, blocks=inside, opened=opened):
                    content = join(self.draw(inside), "\n")
                    yield tag("details", tag("summary", title), content, open=opened)
                case Results():
                    yield ResultsTable(block, self._name()).render()
                case Pairs():
                    yield draw_pairs(block, self._name())
                case Explorer():
                    yield draw_explorer(block, self._name())
                case _:
                    yield self._plain(block)

    def _plain(self, block: Heading | Text | Bullets | Notice | Table | _Choice) -> Html:
        """A block that holds no other and needs no name."""
        match block:
            case Heading():
                return self._heading(block)
            case Text():
                return tag("p", _text(block))
            case Bullets(items=items):
                return tag("ul", *(tag("li", _text(item)) for item in items))
            case Notice():
                return _notice(block)
            case Table():
                return plain_table(block)
            case _Choice():
                return self._choice()

    def _name(self) -> str:
        return f"{self._part.name}-{next(self._numbers)}"

    def _heading(self, heading: Heading) -> Html:
        name = None
        if not self.titled:
            self.titled, name = True, f"{self._part.name}-title"
        return tag(f"h{heading.level}", _text(heading.text), id=name)

    def _choice(self) -> Html:
        """The style sheet reads it; no script needs to."""
        options = (
            tag(
                "label",
                tag(
                    "input",
                    type="radio",
                    name=f"{self._part.name}-metric",
                    value=place,
                    checked=place == self._part.chosen,
                ),
                tag("span", metric.title),
            )
            for place, metric in enumerate(self._part.metrics)
        )
        question = tag("legend", "Ranks, seeds and pairs in")
        return tag("fieldset", question, *options, class_="metrics")


def _notice(notice: Notice) -> Html:
    kind = "banner" if notice.kind == "twin" else notice.kind
    role = None if notice.kind == "data" else "note"
    return tag("p", _text(notice.text), class_=kind, role=role)


def _text(text: Text) -> Html:
    return join(map(_span, text.spans))


def _span(span: Span) -> str:
    if span == BREAK:
        return " "
    if span.style == "badge":
        return tag("span", span.words, class_="badge")
    return tag(_STYLES[span.style], span.words) if span.style in _STYLES else span.words
