"""``msa card``: what a system is, what its paper printed, and every hyper-parameter."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._output import JsonFlag, echo_json, echo_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.system import System
    from leaderboards.literature import PublishedRow

__all__ = ["register"]

_WIDTH = 100


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("card")(_card)


def _card(
    name: Annotated[str, typer.Argument(metavar="SYSTEM", help="As `msa list systems` names it.")],
    as_json: JsonFlag = False,
) -> None:
    """Show a system's card: paper, deviations, published numbers, hyper-parameters per dataset."""
    from harness.data.datasets import datasets
    from harness.system import systems

    system = systems[name]
    numbers = _numbers(system)
    values = {each: dataclasses.asdict(system.resolve(each, {})) for each in datasets}
    if as_json:
        echo_json({**_facts(system, numbers), "parameters": _parameters(system, values)})
        return
    for line in _lines(system, numbers):
        typer.echo(line)
    typer.echo()
    echo_table(_parameters(system, values))


def _numbers(system: System) -> tuple[PublishedRow, ...]:
    """What boards show as published of a system: complete test clips first, then corrupted ones.

    A variant that reads what its base reads is another way to run the same paper: its base's
    numbers are its own.
    """
    from harness.data.datasets import datasets
    from harness.system import systems
    from leaderboards.literature import for_board, of_conditions

    names, base = {system.name}, system.name.partition("@")[0]
    if base in systems and systems[base].inputs == system.inputs:
        names.add(base)
    return tuple(
        row
        for shown in (for_board, of_conditions)
        for dataset in datasets
        for row in shown(dataset)
        if row.system in names
    )


def _facts(system: System, numbers: Iterable[PublishedRow]) -> dict[str, object]:
    return {
        "name": system.name,
        **dataclasses.asdict(system.card),
        "published": [_record(row) for row in numbers],
        "inputs": sorted(system.inputs),
        "optional": sorted(system.optional),
        "deterministic": system.deterministic,
    }


def _record(row: PublishedRow) -> dict[str, object]:
    """A published number in the unit of boards: accuracies in percent."""
    said = ("table", "dataset", "metric", "source", "reliability", "text", "features", "side_info")
    more = ("condition", "selection", "seeds", "convention", "note")
    return {**{name: getattr(row, name) for name in (*said, *more)}, "value": float(row.shown)}


def _parameters(system: System, values: dict[str, dict[str, object]]) -> list[dict[str, object]]:
    """One row per hyper-parameter: its value on each dataset and where the default comes from."""
    return [
        {
            "parameter": item.name,
            **{dataset: _shown(own[item.name]) for dataset, own in values.items()},
            "allowed": _allowed(item),
            "source of the default": item.metadata.get("source", ""),
        }
        for item in dataclasses.fields(system.params)
    ]


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _allowed(item: dataclasses.Field[object]) -> str:
    rule = item.metadata
    if rule.get("choices"):
        return " | ".join(map(str, rule["choices"]))
    low, high = rule.get("low"), rule.get("high")
    if low is None and high is None:
        return ""
    return f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'}".strip()


def _lines(system: System, numbers: Iterable[PublishedRow]) -> Iterator[str]:
    card = system.card
    yield f"{system.name}: {card.title}"
    yield from textwrap.wrap(card.paper, _WIDTH)
    if card.url:
        yield card.url
    yield f"reads {', '.join(sorted(system.inputs)) or 'nothing'}; text: {card.text or 'none'}"
    yield from _listed("departs from the paper", card.deviations)
    declared = [f"{check}: {why}" for check, why in card.declares.items()]
    yield from _listed("fails by design", declared)
    yield from _listed("published, accuracies in percent", _printed(numbers))
    if card.unlisted:
        yield from _listed("none published", [card.unlisted])


def _printed(numbers: Iterable[PublishedRow]) -> list[str]:
    """One line per line of a published table."""
    from leaderboards.literature import lines

    return [_printed_line(line) for line in lines(numbers)]


def _printed_line(line: tuple[PublishedRow, ...]) -> str:
    first = line[0]
    corrupted = "" if first.condition == "clean" else first.condition
    setting = filter(None, (first.dataset, first.features, first.side_info, corrupted))
    values = ", ".join(f"{row.metric} {row.shown}" for row in line)
    return f"{', '.join(setting)}: {values} ({first.source}; {first.reliability})"


def _listed(title: str, items: tuple[str, ...] | list[str]) -> Iterator[str]:
    if items:
        yield f"\n{title}:"
    for item in items:
        yield textwrap.fill(item, _WIDTH, initial_indent="- ", subsequent_indent="  ")
