"""``msa submit``: predictions of an external system in, checked, scored and stored."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._labels import CorpusOption, SplitOption
from harness.cli._memory import MemoryOption
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text
from harness.cli._tables import text_width

if TYPE_CHECKING:
    from harness.data.datasets import Dataset
    from harness.submissions import SubmissionRecord

__all__ = ["register"]

Scores = Mapping[int, Mapping[str, float]]

_STATED = ("paper", "selection", "side_info", "encoder", "trained_on")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("submit")(_submit)


def _submit(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Predictions: .csv, .parquet or .jsonl.")
    ],
    dataset: Annotated[str, typer.Option(help="As `msa list datasets` names it, such as mosi.")],
    manifest: Annotated[
        Path | None, typer.Option(help="What is stated of the system: .toml or .json.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the submission; default: manifest, then file.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="An MMSA label.csv; default: a stored corpus.")
    ] = None,
    corpus: CorpusOption = None,
    split: SplitOption = "test",
    partial: Annotated[
        bool, typer.Option("--partial", help="Accept less than half of the clips.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a submission of the same name.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and score only.")] = False,
    memory: MemoryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Check, score and store an external system's predictions."""
    from harness.submissions import submit

    found = submit(
        *(file, dataset, manifest),
        name=name,
        labels=labels,
        corpus=corpus,
        split=split,
        partial=partial,
        replace=replace,
        dry_run=dry_run,
        home=home_of(context),
    )
    record, outcome = found.record, found.outcome or "not stored (--dry-run)"
    if as_json:
        facts = {"labels": found.labels, "scores": found.scores, "outcome": outcome}
        echo_json({**record.table(), **facts})
        return
    _show(record, found.dataset, found.scores, found.labels)
    typer.echo(f"\n{outcome}: {record.dataset}/{record.name}")
    if found.outcome is not None:
        typer.echo(f"`msa board` shows it on boards of {found.dataset.title}")
        for line in _unranked(record):
            echo_text(line)


def _unranked(record: SubmissionRecord) -> Iterator[str]:
    """What keeps it from the ranks of boards, as far as its own manifest tells."""
    stated = record.stated
    if stated.protocol is None:
        yield (
            "it is ranked where its manifest names the board's protocol: protocol = "
            '"…", the digest that the board shows'
        )
    if record.clips < record.expected:
        yield (
            f"it predicts {record.clips} of {record.expected} clips: ranked apart, on the clips"
            " that all rows predict"
        )
    if record.runs == 1 and not stated.deterministic:
        yield "one run is a checkpoint, compared in pairs: ranks take runs of several seeds"


def _show(record: SubmissionRecord, dataset: Dataset, scores: Scores, origin: str) -> None:
    runs = "1 run" if record.runs == 1 else f"{record.runs} runs"
    typer.echo(f"{record.stated.display} on {dataset.title} {record.split}\n")
    facts = {
        "badge": f"{record.badge}: {record.badge.meaning}",
        "clips": f"{record.clips} of {record.expected}, {runs}; labels: {origin}",
        **{key.replace("_", " "): record.stated.shown(key) for key in _STATED},
    }
    if record.stated.mapping is not None:
        facts["mapping"] = record.stated.mapping
    if record.left_out:
        facts["left out"] = f"{record.left_out} rows for other splits"
    for fact, text in facts.items():
        _echo_fact(fact, text)
    for number, flag in enumerate(record.flags):
        _echo_fact("" if number else "flags", f"! {flag.text}")
    typer.echo()
    _show_scores(dataset, scores)


def _echo_fact(fact: str, text: str) -> None:
    margin = " " * 12
    first = f"{fact:11} "
    typer.echo(textwrap.fill(text, text_width(), initial_indent=first, subsequent_indent=margin))


def _show_scores(dataset: Dataset, scores: Scores) -> None:
    from harness.metrics import metrics_for

    rows: list[dict[str, object]] = []
    notes: list[str] = []
    for metric in metrics_for(dataset, primary=True):
        values = [score[metric.name] for score in scores.values()]
        rows.append({"metric": metric.title, **_over_runs(values)})
        missing = sum(map(math.isnan, values))
        if missing:
            notes.append(
                f"{metric.title} is undefined in {missing} of {len(values)} runs:"
                f" {metric.undefined}"
            )
    echo_table(rows, right=frozenset({"value", "sd", "lowest", "highest"}))
    for note in notes:
        echo_text(note)


def _over_runs(values: Sequence[float]) -> dict[str, object]:
    """Mean, deviation and range; undefined when a run is, for the others alone would flatter."""
    from harness.stats.spread import spread

    found = spread(values)
    if len(values) == 1:
        return {"value": found.mean}
    return {"value": found.mean, "sd": found.sd, "lowest": found.low, "highest": found.high}
