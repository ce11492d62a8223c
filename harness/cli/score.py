"""``msa score``: a predictions file in, every metric in every convention out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._labels import (
    CorpusOption,
    LabelsOption,
    SplitOption,
    examples,
    find_labels,
    missing_and_extra,
    tell,
)
from harness.cli._output import JsonFlag, echo_json, echo_table

if TYPE_CHECKING:
    from harness.data.datasets import Dataset
    from harness.data.labels import Notice
    from harness.data.readers.predictions import Aligned

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score")(_score)


def _score(
    file: Annotated[Path, typer.Argument(help="Predictions: .csv, .parquet or .jsonl.")],
    dataset: Annotated[str, typer.Option(help="mosi, mosei, sims or simsv2.")],
    labels: LabelsOption = None,
    corpus: CorpusOption = None,
    split: SplitOption = "test",
    as_json: JsonFlag = False,
) -> None:
    """Score predictions in the canonical definitions and in every named repository's convention."""
    from harness.data.datasets import datasets
    from harness.data.known_labels import own_labels
    from harness.data.readers.predictions import align, read_predictions
    from harness.metrics import score, score_conventions

    known = datasets[dataset]
    table = read_predictions(file)
    found = find_labels(own_labels(table, file.name), known, labels, corpus, split)
    rows: list[dict[str, object]] = []
    notices: list[Notice] = []
    for seed, part in table.groupby("seed") if "seed" in table else [(None, table)]:
        aligned = align(dict(zip(part["id"], part["pred"], strict=True)), found.truth)
        here = [*found.notices, *_copied(aligned, seed)]
        notices += here
        rows.append(
            {
                "seed": seed,
                "labels": found.origin,
                "clips": len(aligned.ids),
                **missing_and_extra(aligned.missing, aligned.extra),
                "warnings": [notice.record() for notice in here],
                "scores": score(aligned.pred, aligned.truth, known, secondary=True),
                "conventions": score_conventions(aligned.pred, aligned.truth, known),
            }
        )
    tell(notices)
    if as_json:
        echo_json(rows)
    else:
        for row in rows:
            _show(row, known, split)


def _copied(aligned: Aligned, seed: object) -> list[Notice]:
    from harness.data.labels import Notice, copied

    equal = copied(aligned.pred, aligned.truth)
    if not equal:
        return []
    run = "" if seed is None else f" of seed {seed}"
    text = f"{equal} of {len(aligned.ids)} predictions{run} equal their label: these are the labels"
    return [Notice("labels-copied", text)]


def _show(row: dict[str, object], dataset: Dataset, split: str) -> None:
    seed = "" if row["seed"] is None else f", seed {row['seed']}"
    missing, extra = (_examples(row, kind) for kind in ("missing", "extra"))
    typer.echo(
        f"{dataset.title} {split}{seed}: {row['clips']} clips scored,"
        f" {row['missing']} labelled clips without a prediction{missing},"
        f" {row['extra']} predictions without a label{extra}; labels: {row['labels']}"
    )
    scores, conventions = row["scores"], row["conventions"]
    assert isinstance(scores, dict)
    assert isinstance(conventions, list)
    echo_table([{"metric": k, "value": v} for k, v in scores.items()], right=frozenset({"value"}))
    typer.echo()
    echo_table(conventions)


def _examples(row: dict[str, object], kind: str) -> str:
    clips, total = row[f"{kind}_examples"], row[kind]
    assert isinstance(clips, list)
    assert isinstance(total, int)
    return examples(clips, total)
