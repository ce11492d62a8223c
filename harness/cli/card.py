"""``msa card``: what a system is, what its paper printed, and every hyper-parameter."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from harness._util.canonical import dumps, plain
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.cli._tables import text_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.system import System
    from leaderboards.literature import PublishedRow

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("card")(_card)


def _card(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SYSTEM|MODEL", help="As `msa list systems` or `msa list mllms` names it."
        ),
    ],
    as_json: JsonFlag = False,
) -> None:
    """Show a system's card: paper, deviations, published numbers, hyper-parameters per dataset.

    Of a language model: what it takes, what it is sent, how it is served, and what limits its use.
    """
    if _model_card(name, as_json=as_json):
        return
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


def _model_card(name: str, *, as_json: bool) -> bool:
    """Show the card of a language model; False where there is none of that name."""
    from mllm_eval.model.card import known

    card = known(name)
    if card is None:
        return False
    facts = {item.name: getattr(card, item.name) for item in dataclasses.fields(card)}
    shown = {key: value for key, value in facts.items() if value or key == "revision"}
    if as_json:
        echo_json({key: plain(value) for key, value in facts.items()})
        return True
    for key, value in shown.items():
        told = value if isinstance(value, str) else dumps(plain(value))
        typer.echo(f"{key.replace('_', ' ')}: {' '.join(str(told).split())}")
    return True


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
    yield from textwrap.wrap(card.paper, text_width())
    if card.url:
        yield card.url
    yield f"reads {', '.join(sorted(system.inputs)) or 'nothing'}; text: {card.text or 'none'}"
    yield from _listed("departs from the paper", card.deviations)
    declared = [f"{check}: {why}" for check, why in card.declares.items()]
    yield from _listed("fails by design", declared)
    yield from _listed("chooses the epoch as released (protocol as_released)", _chosen(system))
    yield from _listed("published, accuracies in percent", _printed(numbers))
    if card.unlisted:
        yield from _listed("none published", [card.unlisted])


def _chosen(system: System) -> list[str]:
    """The rule of the released code on each dataset, its source, and what is not followed."""
    from harness.data.datasets import datasets
    from harness.spec.selection import described

    card = system.card
    if card.selection is None:
        return [f"no rule to follow: {card.unselected}"] if card.unselected else []
    rules = {name: described(card.selection.on(name)) for name in datasets}
    words = list(dict.fromkeys(filter(None, rules.values())))
    by_words = {one: ", ".join(name for name, own in rules.items() if own == one) for one in words}
    found = words if len(words) == 1 else [f"{names}: {one}" for one, names in by_words.items()]
    return [*found, f"source: {card.selection.source}", *card.selection.notes]


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
        yield textwrap.fill(item, text_width(), initial_indent="- ", subsequent_indent="  ")
