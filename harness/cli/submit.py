"""``msa submit``: predictions of an external system in, checked, scored and stored."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._labels import CorpusOption, SplitOption, corpora
from harness.cli._output import JsonFlag, echo_json, echo_table

if TYPE_CHECKING:
    from harness.data.datasets import Dataset
    from harness.submissions import Gold, Manifest, Record

__all__ = ["register"]

Scores = Mapping[int, Mapping[str, float]]

_STATED = ("paper", "selection", "side_info", "encoder", "trained_on")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("submit")(_submit)


def _submit(
    file: Annotated[Path, typer.Argument(help="Predictions: .csv, .parquet or .jsonl.")],
    dataset: Annotated[str, typer.Option(help="mosi, mosei, sims or simsv2.")],
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
    as_json: JsonFlag = False,
) -> None:
    """Check, score and store an external system's predictions."""
    from harness._util.canonical import file_digest
    from harness.data.datasets import datasets
    from harness.home import Home
    from harness.submissions import (
        Record,
        SubmissionStore,
        check,
        read_submission,
        score_runs,
    )

    known = datasets[dataset]
    stated = _manifest(manifest, name, file)
    table = read_submission(file, stated)
    gold, origin = _gold(known, labels, corpus, split)
    checked = check(table, gold, stated, partial=partial)
    source = file_digest(file)
    record = Record.of(checked, stated, dataset=known.name, split=split, source=source)
    outcome = "not stored (--dry-run)"
    if not dry_run:
        store = SubmissionStore(Home.default().store / "submissions")
        outcome = store.put(record, checked.predictions, replace=replace)
    scores = score_runs(checked.predictions, gold.labels, known)
    if as_json:
        echo_json({**record.table(), "labels": origin, "scores": scores, "outcome": outcome})
    else:
        _show(record, known, scores, origin)
        typer.echo(f"\n{outcome}: {known.name}/{record.name}")
        if not dry_run:
            typer.echo(f"`msa board` shows it on boards of {known.title}")


def _manifest(path: Path | None, name: str | None, file: Path) -> Manifest:
    from harness.submissions import Manifest

    if path is None:
        return Manifest.parse({"name": name or file.stem}, where=file.name)
    return Manifest.load(path, name=name, default=file.stem)


# Labels


def _gold(dataset: Dataset, path: Path | None, corpus: str | None, split: str) -> tuple[Gold, str]:
    """The labels to check against and where they came from; never the file's own."""
    from harness.data.known_labels import annotated, no_labels, refuse_unknown_split
    from harness.submissions import Gold

    refuse_unknown_split(dataset, split)
    found = annotated(dataset, split, corpora(), file=path, corpus=corpus)
    if found is None or (corpus is not None and not found.is_near(split)):
        raise no_labels(dataset, split, corpora(), only=corpus)
    here = found.split(split)
    labels = dict(zip(here["id"], here["label"].astype(float).round(6), strict=True))
    elsewhere = {
        clip: (dataset.name, other)
        for clip, other in zip(found.clips["id"], found.clips["split"], strict=True)
        if clip not in labels
    }
    gold = Gold(
        dataset=dataset,
        split=split,
        labels=labels,
        elsewhere={**_other_datasets(dataset), **elsewhere},
        origin=f"those of {found.name}",
        gap=found.gap,
    )
    return gold, found.name if path is not None else found.origin


def _other_datasets(dataset: Dataset) -> dict[str, tuple[str, str]]:
    """Clip id -> (dataset, split) of the stored corpora of other datasets."""
    from harness.data.datasets import datasets
    from harness.data.known_labels import official_clips

    others = [other for other in datasets.values() if other.name != dataset.name]
    stored = [found for other in others if (found := official_clips(other, corpora()))]
    return {
        clip: (found.dataset.name, split)
        for found in stored
        for clip, split in zip(found.clips["id"], found.clips["split"], strict=True)
    }


# Report


def _show(record: Record, dataset: Dataset, scores: Scores, origin: str) -> None:
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
    typer.echo(textwrap.fill(text, 100, initial_indent=first, subsequent_indent=margin))


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
        typer.echo(note)


def _over_runs(values: Sequence[float]) -> dict[str, object]:
    """Mean, deviation and range; undefined when a run is, for the others alone would flatter."""
    from harness.stats.spread import spread

    found = spread(values)
    if len(values) == 1:
        return {"value": found.mean}
    return {"value": found.mean, "sd": found.sd, "lowest": found.low, "highest": found.high}
