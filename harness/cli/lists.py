"""``msa list``: what there is to run, and on what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from harness._util.extras import explained
from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.errors import DataError, MissingExtra, SpecError
from harness.home import Home

if TYPE_CHECKING:
    from harness.spec import Suite

__all__ = ["register", "rows_of"]

Rows = list[dict[str, object]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list")(_list)


def rows_of(noun: str, home: Home | None = None) -> Rows:
    """What there is of a noun, as a table.

    Args:
        noun: In the plural.
        home: Where corpora and suites are; ``Home.default()`` when None.

    Raises:
        SpecError: For a noun that is not listed.
    """
    if noun not in _LISTS:
        raise SpecError(f"msa list takes {', '.join(_LISTS)}; found {noun!r}")
    return _LISTS[noun](home or Home.default())


def _list(
    context: typer.Context,
    noun: Annotated[
        str,
        typer.Argument(
            help="systems, datasets, corpora, protocols, metrics, slicings, mllms, prompts, suites,"
            " tables"
        ),
    ],
    as_json: JsonFlag = False,
) -> None:
    """List what there is to run, to measure and to compare with."""
    rows = rows_of(noun, home_of(context))
    if as_json:
        echo_json(rows)
        return
    left_out = _ON_CARDS.get(noun, frozenset())
    echo_table([{k: v for k, v in row.items() if k not in left_out} for row in rows])
    if not rows and noun in _BROUGHT_BY:
        typer.echo(f"next: {_BROUGHT_BY[noun]}")


def _systems(_: Home) -> Rows:
    from harness.system import systems

    return [
        {
            "name": system.name,
            "title": system.card.title,
            "inputs": " ".join(sorted(system.inputs)) or "-",
            "text": system.card.text,
            "paper": system.card.paper,
        }
        for system in systems.values()
    ]


def _datasets(_: Home) -> Rows:
    from harness.data.datasets import datasets

    return [
        {
            "name": dataset.name,
            "title": dataset.title,
            "language": dataset.language,
            "range": f"[{dataset.low:g}, {dataset.high:g}]",
            "train/valid/test": "/".join(str(c.clips) for c in dataset.splits.values()),
            "licence": dataset.licence,
        }
        for dataset in datasets.values()
    ]


def _corpora(home: Home) -> Rows:
    from harness.data.store import CorpusStore

    store = CorpusStore(home.corpora)
    rows: Rows = []
    for name in store.names():
        try:
            corpus = store.load(name)
        except DataError as error:
            rows.append({"name": name, "clips": None, "streams": str(error), "data": None})
            continue
        streams = " ".join(f"{k}({s.frames}x{s.dim})" for k, s in corpus.streams.items())
        rows.append(
            {
                "name": name,
                "clips": len(corpus.clips),
                "streams": streams or "transcripts only",
                "data": corpus.fingerprint[:12],
            }
        )
    return rows


def _protocols(_: Home) -> Rows:
    from harness.spec.protocols import protocols

    return [
        {
            "name": protocol.name,
            "title": protocol.title,
            "selection": (
                f"{protocol.selection_metric} on {protocol.selection_split}"
                if protocol.selection == "protocol"
                else f"as released, on {protocol.selection_split}"
            ),
            "epochs": protocol.max_epochs,
            "patience": protocol.patience,
            "digest": protocol.digest,
        }
        for protocol in protocols.values()
    ]


def _metrics(_: Home) -> Rows:
    from harness.metrics import metrics

    return [
        {
            "name": metric.name,
            "title": metric.title,
            "better": "higher" if metric.higher_is_better else "lower",
            "range": f"[{metric.low:g}, {metric.high:g}]",
            "undefined": metric.undefined,
            "source": metric.source,
        }
        for metric in metrics.values()
    ]


def _slicings(_: Home) -> Rows:
    from harness.data.slicing import slicings

    return [
        {"name": slicing.name, "title": slicing.title, "decided by": slicing.definition}
        for slicing in slicings.values()
    ]


def _suites(home: Home) -> Rows:
    from harness.spec import Suite

    rows: Rows = []
    for path in home.suite_files().values():
        suite = Suite.load(path)
        rows.append(
            {
                "name": suite.name,
                "title": suite.title,
                "corpora": len(suite.corpora),
                "rows": _row_count(suite),
                "protocol": suite.protocol,
            }
        )
    return rows


def _row_count(suite: Suite) -> int | None:
    """Rows of a suite with those that its queries find.

    None where systems cannot be read to see which a query means, for the extra ``train`` is absent.
    """
    if not suite.queries:
        return len(suite.entries)
    try:
        with explained():
            from harness.runs.plan import expand_queries
    except MissingExtra:
        return None
    return len(expand_queries(suite).entries)


def _tables(_: Home) -> Rows:
    from leaderboards.literature import table, tables

    rows: Rows = []
    for name in tables():
        numbers = table(name)
        source, *others = dict.fromkeys(row.source for row in numbers)
        rows.append(
            {
                "name": name,
                "source": f"{source}; {len(others)} more" if others else source,
                "datasets": " ".join(dict.fromkeys(row.dataset for row in numbers)),
                "systems": len({row.title for row in numbers}),
                "numbers": len(numbers),
            }
        )
    return rows


def _mllms(home: Home) -> Rows:
    from collections import Counter

    from harness.runs.store import RunStore
    from mllm_eval.model.card import known, models

    asked: Counter[str] = Counter()
    for run in RunStore(home.store):
        if run.spec.system == "mllm":
            model = str(run.spec.params.get("model", ""))
            card = known(model)
            asked[model if card is None else card.name] += 1
    return [
        {
            "name": card.name,
            "title": card.title,
            "inputs": " ".join(card.inputs),
            "parameters": "" if card.parameters is None else f"{card.parameters:g} B",
            "licence": card.licence,
            "from": card.base_url or card.weights,
            "runs here": str(asked[card.name] or ""),
            "retired": "yes" if card.retired else "",
        }
        for card in models.values()
    ]


def _prompts(_: Home) -> Rows:
    from mllm_eval.prompt.prompt import prompts

    return [
        {
            "name": prompt.name,
            "language": prompt.language,
            "answer": prompt.answer,
            "preregistered": "yes" if prompt.preregistered else "no",
            "digest": prompt.digest[:12],
        }
        for prompt in prompts.values()
    ]


_ON_CARDS = {"systems": frozenset({"paper"})}
"""Noun -> columns that its table leaves to ``msa card``."""
_BROUGHT_BY = {"corpora": "msa data add FILE --dataset NAME, or msa run demo, which makes twins"}
"""Noun -> what to do where there is none of it."""

_LISTS: dict[str, Callable[[Home], Rows]] = {
    "systems": _systems,
    "datasets": _datasets,
    "corpora": _corpora,
    "protocols": _protocols,
    "metrics": _metrics,
    "slicings": _slicings,
    "mllms": _mllms,
    "suites": _suites,
    "prompts": _prompts,
    "tables": _tables,
}
