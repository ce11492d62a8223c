"""Squares of comparisons as data from which the page's script draws them when they are opened.

A square of 36 rows has 1,260 cells in each of nine metrics: written out they would be nine tenths
of the page.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator

from harness.metrics import Metric
from leaderboards import numbers
from leaderboards.document import Pair, Pairs, one_line
from leaderboards.rendering.html.markup import Html, join, tag
from leaderboards.rendering.html.numbers import number

__all__ = ["draw_pairs"]

_MEANINGS = {
    "better": "the row is better than the column",
    "worse": "the row is worse",
    "negligible": "they differ, by less than the declared margin",
    "equivalent": "equivalent: any difference is within the declared margin",
    "undecided": "undecided: the data show neither",
}
_SINGLE = "Tinted: one run of a system that seeds change, so of checkpoints, not of systems."
_VERDICTS = ("better", "worse", "negligible", "equivalent", "undecided")
_OPPOSITE = {"better": "worse"}


def draw_pairs(square: Pairs, name: str) -> Html:
    """A square of pairs.

    Args:
        square: What to draw.
        name: Unique on the page.
    """
    data = json.dumps(_data(square), ensure_ascii=False, separators=(",", ":"))
    return join((tag("div", _WITHOUT, data_pairs=data, id=name), _key(square)), "\n")


_WITHOUT = tag("p", "The page's script draws this table; the Markdown board has one of them.")


def _data(square: Pairs) -> dict[str, object]:
    """All that the script needs: numbers as whole units of their last printed digit."""
    found = {(pair.a, pair.b): pair for pair in square.pairs}
    places = range(len(square.names))
    return {
        "caption": square.caption,
        "names": "\n".join(map(one_line, square.names)),  # each quote would take six letters
        "mark": square.mark,
        "single": sorted(square.single),
        "decimals": 2 if square.metric.percent else 3,
        "verdicts": _VERDICTS,
        "pairs": ";".join(
            _packed(found.get((a, b)), found.get((b, a)), square.metric)
            for a, b in itertools.combinations(places, 2)
        ),
    }


def _packed(pair: Pair | None, opposite: Pair | None, metric: Metric) -> str:
    """The first minus the second: effect, ends of the interval, verdict, p; empty for none.

    The ends are distances from the effect where all three are numbers, p is in thousandths and left
    out below one: a page has tens of thousands of pairs, and their digits are a third of it.
    """
    if pair is not None:
        verdict, values = pair.verdict, (pair.effect, pair.low, pair.high)
    elif opposite is not None:
        pair = opposite
        verdict = _OPPOSITE.get(pair.verdict, pair.verdict)
        values = (-pair.effect, -pair.high, -pair.low)
    else:
        return ""
    effect, low, high = (_units(value, metric) for value in values)
    if isinstance(effect, int) and isinstance(low, int) and isinstance(high, int):
        low, high = effect - low, high - effect
    return ",".join(map(str, (effect, low, high, _VERDICTS.index(verdict), *_thousandths(pair.p))))


def _thousandths(p: float) -> Iterator[int | str]:
    """A p-value as printed, without its point; nothing below one thousandth."""
    if math.isnan(p):
        yield numbers.UNDEFINED
    elif p >= 0.001:
        yield int(f"{p:.3f}".replace(".", ""))


def _units(value: float, metric: Metric) -> int | str:
    """A printed number without its point; as it is where it is none."""
    printed = numbers.number(value, metric)
    digits = printed.replace(".", "")
    return int(digits) if digits.removeprefix("-").isdecimal() else printed


def _key(square: Pairs) -> Html:
    margin = square.margin
    declared = (
        "No margin of equivalence is declared for this metric."
        if margin is None
        else f"Declared margin: {number(margin, square.metric)}."
    )
    family = f"p-values are adjusted for all {square.family} pairs that were compared."
    words = join(_meanings(declared=margin is not None), "; ")
    single = tag("span", _SINGLE, class_="checkpoint") if square.single else ""
    return tag("p", words, f". {family} {declared} ", single, class_="key")


def _meanings(*, declared: bool) -> Iterator[Html]:
    for verdict, meaning in _MEANINGS.items():
        if declared or verdict not in ("negligible", "equivalent"):
            yield tag("span", meaning, class_=verdict)
