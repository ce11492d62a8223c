"""``msa mllm run --plan``: what asking takes, as a table and a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from harness._util.printed import duration
from harness.cli._output import echo_json, echo_table

if TYPE_CHECKING:
    from harness.home import Home
    from harness.spec import Suite
    from mllm_eval.zero_shot.forecast import Forecast

__all__ = ["print_forecasts"]

_NUMBERS = frozenset({"clips", "questions", "tokens in", "tokens out", "media", "time", "price"})
_UNKNOWN = "?"


def print_forecasts(
    suite: Suite, home: Home, *, rate: float | None, only: Sequence[str], as_json: bool
) -> None:
    """Print what the rows with language models would ask, whether or not it was asked before.

    Args:
        suite: With what was given for its language models.
        home: Of corpora, and of runs that tell how fast a model answers.
        rate: Answers a second; None: as measured here.
        only: Patterns on rows and corpora.
        as_json: Whether to print JSON.
    """
    from mllm_eval.zero_shot.forecast import forecasts

    found = list(forecasts(suite, home, rate=rate, only=only))
    if as_json:
        echo_json({"suite": suite.name, "rows": [one.record() for one in found]})
        return
    echo_table([_row(one) for one in found], right=_NUMBERS)
    for line in _remarks(found):
        typer.echo(line)


def _row(one: Forecast) -> dict[str, object]:
    return {
        "corpus": one.corpus,
        "row": one.row,
        "clips": one.clips - one.not_shown,
        "questions": one.questions,
        "tokens in": _UNKNOWN if one.prompt_tokens is None else f"{one.prompt_tokens:,}",
        "tokens out": f"{one.completion_tokens:,}",
        "media": f"{one.media_bytes / 1e6:,.1f} MB" if one.media_bytes else "",
        "time": _UNKNOWN if one.hours is None else duration(3600 * one.hours),
        "price": _UNKNOWN if one.price is None else f"${one.price:,.2f}",
        "rate": one.rate_from if one.rate is None else f"{one.rate:,.2g}/s, {one.rate_from}",
    }


def _remarks(found: Sequence[Forecast]) -> Iterator[str]:
    """What the figures leave out."""
    yield ""
    yield (
        "first tries; an answer that cannot be read takes one more. Tokens in are estimated from"
        " lengths and tilings, without sound; tokens out are the most that is allowed"
    )
    if hidden := sum(one.not_shown for one in found):
        yield f"{hidden} clips cannot be shown and are not asked about"
    if any(one.rate is None for one in found):
        yield "time: --rate R says how many answers a second; a trial measures it: --limit 20"
    if any(one.price is None for one in found):
        yield "price: none on the card, or tokens that its card does not tell"
