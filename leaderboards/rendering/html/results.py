"""The main table of a corpus: one line per row, ranks and seeds of the chosen metric, every metric.

What depends on the chosen metric is written once per metric, marked ``data-metric`` with its place
in table order; the style sheet shows the one that is chosen, script or none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from harness.metrics import Metric
from leaderboards.document import Line, Results, Score
from leaderboards.numbers import EMPTY, EXPLORATORY, TIED, UNDEFINED, arrow, rank_set
from leaderboards.rendering.html.drawings import (
    Axis,
    axis_of,
    draw_axis,
    draw_rank,
    draw_ranks,
    draw_seeds,
)
from leaderboards.rendering.html.markup import Html, hidden, join, tag
from leaderboards.rendering.html.numbers import defined, key, number, span, typeset
from leaderboards.rendering.html.tables import scrolling

__all__ = ["ResultsTable"]

_TIED = "not separated from the best"
_CLAIM = "no other row is significantly better in the metric that ranks (all pairs, error ≤ 5 %)"
_EXPLORED = (
    "the same in another metric, exploratory: each metric is a family of its own, so that over all"
    " of them a false mark is expected more often"
)
_Slot = tuple[int, Metric, Axis]


@dataclass(frozen=True)
class ResultsTable:
    """A table of results.

    Args:
        shown: What it shows.
        name: Unique on the page, part of identifiers.
    """

    shown: Results
    name: str

    @cached_property
    def _slots(self) -> tuple[_Slot, ...]:
        """Place, metric and axis of every metric that has values."""
        found = [
            (i, metric, axis_of(self.shown.lines, metric))
            for i, metric in enumerate(self.shown.metrics)
        ]
        return tuple((i, metric, axis) for i, metric, axis in found if axis is not None)

    def render(self) -> Html:
        """The table in a container of its own that scrolls sideways."""
        caption = tag("caption", tag("span", self.shown.caption), id=f"{self.name}-caption")
        table = tag(
            "table",
            caption,
            tag("thead", tag("tr", *self._headings())),
            tag("tbody", *map(self._row, self.shown.lines)),
            class_="results",
        )
        none = tag("p", "No row of this table matches the filters.", class_="none", hidden=True)
        key_ = self._key() if self.shown.ranked > 1 else ()
        return join((scrolling(table, f"{self.name}-caption"), none, *key_), "\n")

    def _key(self) -> Iterator[Html]:
        """What the marks that stand in the table mean."""
        scores = [score for line in self.shown.lines for score in line.scores.values()]
        for exploratory, words in ((False, _CLAIM), (True, _EXPLORED)):
            if any(score.leads and score.exploratory == exploratory for score in scores):
                yield tag("p", _mark(exploratory=exploratory), f" {_TIED}: {words}.", class_="key")

    @property
    def _apart(self) -> bool:
        return any(line.unranked for line in self.shown.lines)

    @property
    def _seeded(self) -> bool:
        return any(line.runs for line in self.shown.lines)

    def _headings(self) -> Iterator[Html]:
        yield _heading("System", class_="name")
        yield _heading("Seeds", first="descending", class_="number")
        if self.shown.ranked > 1:
            ranked = self.shown.ranked
            below = join((draw_ranks(ranked, f"{self.name}-r"), hidden(f" 1 to {ranked}")))
            yield _heading(*self._per_metric("Rank, ", claims=True), below=below, class_="ranks")
        elif self._apart:
            yield _heading("Rank", class_="ranks")
        if self._seeded:
            below = join((hidden(" below each: 95 % interval, then seeds"), self._axes()))
            yield _heading(*self._per_metric("Seeds, "), below=below, class_="seeds")
        for metric in self.shown.metrics:
            unit = "% " if metric.percent else ""
            small = tag("small", unit, arrow(metric))
            first = "descending" if metric.higher_is_better else "ascending"
            words = (tag("span", word, class_="word") for word in metric.title.split())
            yield _heading(join(words, " "), below=small, first=first, class_="number")

    def _per_metric(self, words: str, *, claims: bool = False) -> Iterator[Html]:
        """Of every metric, with a word on those whose ranks are no claims."""
        for i, metric, _ in self._slots:
            explored = claims and any(
                score.exploratory
                for line in self.shown.lines
                if (score := line.scores.get(metric.name)) is not None
            )
            title = f"{words}{metric.title}{' (exploratory)' if explored else ''}"
            yield tag("span", title, data_metric=i)

    def _axes(self) -> Html:
        return join(
            tag("span", draw_axis(axis, metric, f"{self.name}-s{i}"), data_metric=i)
            for i, metric, axis in self._slots
        )

    def _row(self, line: Line) -> Html:
        about = line.about_seeds or None
        share = _share(line)
        runs = tag("td", line.seeds, data_sort=share, title=about)
        cells = [_name(line), runs]
        if self.shown.ranked > 1 or self._apart:
            cells.append(self._rank(line))
        if self._seeded:
            cells.append(self._seeds(line))
        cells.extend(_cell(line, metric) for metric in self.shown.metrics)
        return tag(
            "tr",
            *cells,
            class_="constant" if line.constant else None,
            data_badge=line.badge,
            data_side=line.side_info,
            data_text=line.text,
            data_ranked=any(score.rank for score in line.scores.values()),
        )

    def _rank(self, line: Line) -> Html:
        """Rank sets or why there are none, and what a reader must know."""
        if line.unranked:
            shown = [tag("small", f"not ranked: {line.unranked}")]
        else:
            shown = [
                _rank_of(score, i, self.shown.ranked, f"{self.name}-r")
                for i, metric, _ in self._slots
                if (score := line.scores.get(metric.name)) is not None
            ]
        flags = (tag("small", f"⚠ {flag}", class_="flag") for flag in line.flags)
        return tag("td", *shown, *flags, class_="ranks")

    def _seeds(self, line: Line) -> Html:
        per_metric = (
            _seeds_of(score, i, metric, axis, f"{self.name}-s{i}")
            for i, metric, axis in self._slots
            if (score := line.scores.get(metric.name)) is not None
        )
        return tag("td", join(per_metric) or EMPTY, class_="seeds")


def _heading(*words: str, below: str = "", first: str = "ascending", class_: str) -> Html:
    """A column heading; the script turns its first part into a button that sorts."""
    title = tag("span", *words, class_="sorts")
    return tag("th", title, below, scope="col", class_=class_, data_first=first)


def _name(line: Line) -> Html:
    about = " ".join(("", " · ".join(line.about)))
    return tag(
        "th",
        tag("span", line.label, class_="label"),
        tag("small", tag("span", line.badge, class_="badge"), about),
        scope="row",
        abbr=line.label,
        class_="name",
        data_sort=line.label,
    )


def _share(line: Line) -> str | None:
    if line.runs:
        return str(len(line.runs))
    return line.seeds if line.seeds.isdecimal() else None


def _mark(*, exploratory: bool) -> Html:
    """The mark of the tie group at the top; what it claims stands below the table, once."""
    return tag("span", EXPLORATORY if exploratory else TIED, class_="tied", aria_hidden="true")


def _rank_of(score: Score, place: int, ranked: int, grid: str) -> Html:
    if score.rank is None:
        return tag("span", EMPTY, data_metric=place)
    best, worst = score.rank
    mark = _mark(exploratory=score.exploratory)
    return tag(
        "span",
        draw_rank(score.rank, ranked, grid),
        rank_set(score.rank),
        tag("small", mark, "top tie group") if score.leads else "",
        class_="exploratory" if score.exploratory else None,
        data_metric=place,
        data_sort=1000 * best + worst,
    )


def _seeds_of(score: Score, place: int, metric: Metric, axis: Axis, grid: str) -> Html:
    values = ", ".join(number(value, metric) for value in score.values)
    seeds = f"; seeds {values}" if values else ""
    if score.interval is not None and defined(score.interval):
        interval = tag("small", span(score.interval, metric))
        words = join((interval, hidden(seeds) if seeds else ""))
    else:
        words = hidden(f"no interval{seeds}")
    return tag(
        "span",
        draw_seeds(score, axis, grid),
        words,
        data_metric=place,
        data_sort=key(score.mean),
    )


def _cell(line: Line, metric: Metric) -> Html:
    score = line.scores.get(metric.name)
    if score is None:
        return tag("td", EMPTY)
    if math.isnan(score.mean):
        missing = sum(map(math.isnan, score.values))
        some = f" in {missing} of {len(score.values)}" if missing < len(score.values) else ""
        return tag("td", UNDEFINED, tag("small", f" undefined{some}"))
    mark, words = _mark(exploratory=score.exploratory), hidden(f"{_TIED} ")
    tied = join((mark, words)) if score.leads else ""
    spread = "" if math.isnan(score.sd) else tag("small", f" ± {number(score.sd, metric)}")
    mean = typeset(score.printed) or number(score.mean, metric)
    return tag("td", tied, mean, spread, data_sort=key(score.mean))
