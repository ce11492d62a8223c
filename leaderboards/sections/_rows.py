"""What several tables say of a row: seeds, text, scores, notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from harness._util.printed import with_spread
from harness.metrics import Metric
from harness.stats import Ranking
from leaderboards.document import Text, bold, text
from leaderboards.model import Grid, Row, evaluation_noise, passes_of, summarise
from leaderboards.numbers import EMPTY, ONCE, UNDEFINED, arrow, number

__all__ = ["could_be_best", "encoded", "heading", "noise", "numbered", "score", "seeds"]

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def heading(metric: Metric) -> str:
    """A metric as the heading of a column."""
    unit = " (%)" if metric.percent else ""
    return f"{metric.title}{unit} {arrow(metric)}"


def seeds(row: Row) -> str:
    """Runs present of runs planned: ``3/5``, ``4/5 + 1 collapsed``, ``det.``; or why none is."""
    n = len(row.runs)
    if row.missing_runs and all(one.state == "not applicable" for one in row.missing_runs):
        return "n/a"
    if row.missing_runs and all(one.state == "not here" for one in row.missing_runs):
        return "not here"
    if row.deterministic:
        done = ONCE if row.zero_shot else "det."
        return done if n else f"{done} 0/1"
    done = f"{n}/{row.planned}"
    if row.collapse is not None and row.collapsed:
        done = row.collapse.among(row.planned)
    return done + (", n=1" if n == 1 else "")


def encoded(row: Row) -> str:
    """How text enters, with the encoder."""
    encoders = sorted({fact.encoder for fact in row.facts if fact.encoder})
    return ": ".join(part for part in (row.text, ", ".join(encoders)) if part) or EMPTY


def could_be_best(ranking: Ranking, where: str) -> Iterator[Text]:
    """The rows among which the best one is; nothing where no value is defined.

    Args:
        ranking: In what ranks.
        where: What that is.
    """
    names = ", ".join(name for name in ranking.names if name in ranking.could_be_best)
    if names:
        yield text(
            bold("Could be best:"), f" in {where}, the best of these is, with 95 %, among: {names}."
        )


def score(row: Row, metric: Metric, notes: list[str]) -> str:
    """Mean ± sample standard deviation over seeds.

    What cannot be averaged becomes a dash that refers to one of ``notes``.
    """
    if not row.runs:
        return EMPTY
    summary = summarise(row, metric)
    if summary.undefined:
        of = f"{summary.undefined} of {len(summary.values)}"
        note = f"{metric.title} is undefined in {of} runs ({metric.undefined})."
        return UNDEFINED + numbered([note], notes)
    return with_spread(summary.mean, summary.sd, partial(number, metric=metric))


def noise(grid: Grid, row: Row) -> Iterator[str]:
    """How far scores move between passes over the same clips, where they do."""
    if passes_of(row) > 1:
        moved = ", ".join(
            f"{metric.title} {number(evaluation_noise(row, metric), metric, decimals=4)}"
            for metric in grid.metrics
        )
        yield (
            f"evaluation noise, the standard deviation of a score over {passes_of(row)} passes of"
            f" the same weights over the same clips: {moved}"
        )


def numbered(said: Iterable[str], notes: list[str]) -> str:
    """Superscripts that refer to ``notes``, to which new sentences are added."""
    numbers = []
    for words in said:
        note = f"{words[:1].upper()}{words[1:].rstrip('.')}."
        if note not in notes:
            notes.append(note)
        numbers.append(str(notes.index(note) + 1).translate(_SUPERSCRIPTS))
    return " ".join(numbers)
