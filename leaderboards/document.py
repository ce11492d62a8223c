"""What a page consists of, whatever draws it: headings, words, tables, folds, drawings.

Sections yield blocks, renderers draw them; neither knows the other. Every text is plain: a renderer
escapes what its format would read as markup.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from harness.metrics import Metric

__all__ = [
    "BREAK",
    "Block",
    "Bullets",
    "ByMetric",
    "Cell",
    "Column",
    "Document",
    "Drawing",
    "Explorer",
    "Facet",
    "Fold",
    "Heading",
    "Line",
    "Notice",
    "Pair",
    "Pairs",
    "Part",
    "PerFormat",
    "Results",
    "Score",
    "Span",
    "Table",
    "Text",
    "Value",
    "badge",
    "bold",
    "code",
    "left",
    "one_line",
    "right",
    "text",
]

Style: TypeAlias = Literal["plain", "bold", "code", "badge"]
Align: TypeAlias = Literal["left", "right"]


def one_line(words: str) -> str:
    r"""``words`` without line breaks, control characters and marks that change the direction.

    Example:
        >>> one_line("a\n  b\x1b[1m\u202e c")
        'a b [1m c'
    """
    if not words.isprintable():
        words = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in words)
    return " ".join(words.split())


@dataclass(frozen=True)
class Span:
    """Words in one style."""

    words: str
    style: Style = "plain"


BREAK = Span("\n")
"""Where text files begin a new line of the same paragraph."""


def bold(words: str) -> Span:
    """Words that must not be missed."""
    return Span(words, "bold")


def code(words: str) -> Span:
    """Something to type, or to read literally."""
    return Span(words, "code")


def badge(words: str) -> Span:
    """Where numbers come from."""
    return Span(words, "badge")


@dataclass(frozen=True)
class Text:
    """A paragraph, or the words of a heading or a bullet."""

    spans: tuple[Span, ...]


def text(*parts: str | Span) -> Text:
    """Words in a row; what is not a span is plain.

    Example:
        >>> text("one ", bold("two")).spans
        (Span(words='one ', style='plain'), Span(words='two', style='bold'))
    """
    return Text(tuple(part if isinstance(part, Span) else Span(part) for part in parts))


@dataclass(frozen=True)
class Heading:
    """A heading.

    Args:
        level: 1 for the page, 2 for a part of it, 3 inside a part.
        text: Its words.
    """

    level: int
    text: Text


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Notice:
    """What a reader must see before any number.

    Args:
        text: The words.
        kind: ``twin``: the data are synthetic. ``caution``: the numbers need care. ``data``: facts.
    """

    text: Text
    kind: Literal["twin", "caution", "data"]


@dataclass(frozen=True)
class Column:
    """A heading and the side its cells stand on."""

    title: str
    align: Align = "right"


def left(*titles: str) -> tuple[Column, ...]:
    """Columns of words."""
    return tuple(Column(title, "left") for title in titles)


def right(*titles: str) -> tuple[Column, ...]:
    """Columns of numbers."""
    return tuple(Column(title, "right") for title in titles)


@dataclass(frozen=True)
class Drawing:
    """A value with its interval on an axis of whole numbers from 1 to ``last``.

    Args:
        words: What it says, for formats that do not draw.
        value: The value.
        low: Lower end of its interval.
        high: Upper end.
        last: Where the axis ends.
    """

    words: str
    value: float
    low: float
    high: float
    last: int


Cell: TypeAlias = str | Drawing


@dataclass(frozen=True, kw_only=True)
class Table:
    """Headings, rows of cells, and numbered notes that cells refer to by superscript.

    Args:
        columns: One per cell of a row; the first names the rows.
        rows: Cells, as many as columns.
        notes: Numbered from 1.
        caption: What the table shows, for those who do not see what stands above it.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A line of results in one metric.

    Args:
        mean: NaN when undefined for at least one value.
        printed: How the mean is written where its source decides on the digits.
        sd: Sample standard deviation; NaN when there is none.
        values: One per run, in the order of the line's ``runs``; empty when only a mean is known.
        interval: 95 % interval of the mean, where it was compared.
        rank: Rank set, where it was ranked.
        leads: Whether no other line is significantly better.
        exploratory: Whether ranks are of a metric other than the one that ranks.
    """

    mean: float
    printed: str = ""
    sd: float = math.nan
    values: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    rank: tuple[int, int] | None = None
    leads: bool = False
    exploratory: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a table of results, wherever it comes from.

    Args:
        label: Its name.
        about: What it is, in short phrases.
        badge: Where its numbers come from.
        text: How text enters, with the encoder.
        side_info: What it knew besides transcript, audio and vision.
        seeds: Runs present of runs planned, as shown.
        about_seeds: What else there is to say of them, where a page can.
        runs: Names of its runs: seeds, or ``det.``.
        unranked: Why it has no rank; empty when it has one.
        flags: What a reader must know, a sentence each.
        constant: Whether it is a constant predictor.
        scores: Metric -> score; metrics nobody knows are absent.
    """

    label: str
    about: tuple[str, ...] = ()
    badge: str
    text: str
    side_info: str = "none"
    seeds: str
    about_seeds: str = ""
    runs: tuple[str, ...] = ()
    unranked: str = ""
    flags: tuple[str, ...] = ()
    constant: bool = False
    scores: Mapping[str, Score] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Results:
    """Lines in every metric, with ranks and seeds of whichever metric a reader chooses.

    Args:
        caption: What it shows.
        lines: Its rows in their first order.
        metrics: Its columns in table order.
        ranked: M, the number of rows that were compared; below two there are no ranks to show.
    """

    caption: str
    lines: tuple[Line, ...]
    metrics: tuple[Metric, ...]
    ranked: int


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two rows compared: ``a`` minus ``b``.

    Args:
        a: Place of one row among the names.
        b: Place of the other.
        effect: Difference of their values.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: P-value, adjusted for all pairs of its table.
        verdict: ``better`` says that ``a`` is; ``negligible``, ``equivalent``, ``undecided``.
    """

    a: int
    b: int
    effect: float
    low: float
    high: float
    p: float
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Every row against every other one, in one metric.

    Args:
        caption: What it shows.
        names: Rows and columns of the square, in order.
        metric: What is compared.
        pairs: Each two rows at most once; what is absent was not compared.
        family: How many pairs the p-values are adjusted for.
        margin: Declared margin of equivalence, if any.
        mark: Stands before every cell.
        single: Places of the names with one run although seeds change them; what is said of them
            is said of checkpoints.
    """

    caption: str
    names: tuple[str, ...]
    metric: Metric
    pairs: tuple[Pair, ...]
    family: int
    margin: float | None
    mark: str = ""
    single: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Value:
    """A cell of an ``Explorer``.

    Args:
        words: What it shows.
        key: What it is sorted by; None, always last, where there is nothing.
        below: What else it shows, smaller.
    """

    words: str
    key: float | str | None = None
    below: str = ""


@dataclass(frozen=True, kw_only=True)
class Facet:
    """Something that tells the rows of an ``Explorer`` apart, for a reader to choose from.

    Args:
        title: What is asked.
        of: The answer of each row; empty where it has none.
        answers: In the order in which they are offered.
    """

    title: str
    of: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Explorer:
    """A long table that a reader sorts, searches and filters; text files have none.

    Args:
        caption: What it shows.
        columns: One per cell of a row; the first names the rows.
        rows: Cells, as many as columns.
        facets: To filter by.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    facets: tuple[Facet, ...] = ()


@dataclass(frozen=True)
class ByMetric:
    """Blocks of which those of the chosen metric show: place of the metric -> blocks."""

    choices: Mapping[int, tuple[Block, ...]]


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Blocks under a title that opens them.

    Args:
        title: What is inside.
        blocks: The content.
        opened: Whether it shows at first, where a reader can close it.
    """

    title: str
    blocks: tuple[Block, ...]
    opened: bool = False


@dataclass(frozen=True, kw_only=True)
class PerFormat:
    """The same content as a text file can show it, and as a page can.

    Args:
        file: Blocks for text files.
        page: Blocks for pages with style and script.
    """

    file: tuple[Block, ...] = ()
    page: tuple[Block, ...] = ()


Block: TypeAlias = (
    Heading
    | Text
    | Bullets
    | Notice
    | Table
    | Results
    | Pairs
    | Explorer
    | ByMetric
    | Fold
    | PerFormat
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A chapter of a document.

    Args:
        name: Unique in the document, for links.
        title: What the table of contents calls it.
        blocks: The content, its heading first.
        metrics: Those a reader may choose from; empty where there is nothing to choose.
        chosen: Place of the metric that is chosen at first.
        twin: Whether its numbers come from synthetic data.
        reference: Whether it explains numbers and has none: pages show such parts last.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    metrics: tuple[Metric, ...] = ()
    chosen: int = 0
    twin: bool = False
    reference: bool = False


@dataclass(frozen=True, kw_only=True)
class Document:
    """A board, or another report.

    Args:
        title: Of the whole.
        about: A line below the title.
        parts: In order.
    """

    title: str
    about: str
    parts: tuple[Part, ...]
