"""``--plan`` of what asks models: what asking takes, as a table and a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from harness._util.printed import duration
from harness.cli._output import echo_json, echo_table

if TYPE_CHECKING:
    from mllm_eval.forecast.estimates import Forecast

__all__ = ["print_forecasts"]

_NUMBERS = frozenset({"clips", "questions", "tokens in", "tokens out", "media", "time", "price"})
_UNKNOWN = "?"


def print_forecasts(of: Mapping[str, str], found: Sequence[Forecast], *, as_json: bool) -> None:
    """Print what models would be asked, whether or not it was asked before.

    Args:
        of: What it is about, as JSON has it.
        found: A row each.
        as_json: Whether to print JSON.
    """
    if as_json:
        echo_json({**of, "rows": [one.record() for one in found]})
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
        yield (
            "time: --rate R says how many answers a second; for ratings, a trial measures it:"
            " --limit 20"
        )
    if any(one.price is None for one in found):
        yield "price: none on the card, or tokens that its card does not tell"
