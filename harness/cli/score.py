"""``msa score``: a predictions file in, every metric in every convention out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._labels import LabelsOption, SplitOption, find_labels
from harness.cli._output import JsonFlag, echo_json, echo_table

if TYPE_CHECKING:
    import pandas as pd

    from harness.data.datasets import Dataset
    from harness.predictions import Aligned

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score")(_score)


def _score(
    file: Annotated[Path, typer.Argument(help="Predictions: .csv, .parquet or .jsonl.")],
    dataset: Annotated[str, typer.Option(help="mosi, mosei, sims or simsv2.")],
    labels: LabelsOption = None,
    split: SplitOption = "test",
    as_json: JsonFlag = False,
) -> None:
    """Score predictions in the canonical definitions and in every named repository's convention."""
    from harness.data.datasets import datasets
    from harness.metrics import score, score_conventions
    from harness.predictions import read_predictions

    known = datasets[dataset]
    table = read_predictions(file)
    found = find_labels(table, known, labels, split)
    rows: list[dict[str, object]] = []
    for seed, part in table.groupby("seed") if "seed" in table else [(None, table)]:
        aligned = _align(part, found.truth)
        rows.append(
            {
                "seed": seed,
                "labels": found.origin,
                "clips": len(aligned.ids),
                "missing": len(aligned.missing),
                "extra": len(aligned.extra),
                "scores": score(aligned.pred, aligned.truth, known, secondary=True),
                "conventions": score_conventions(aligned.pred, aligned.truth, known),
            }
        )
    if as_json:
        echo_json(rows)
    else:
        for row in rows:
            _show(row, known, split)


def _align(table: pd.DataFrame, truth: Mapping[str, float]) -> Aligned:
    from harness.predictions import align

    return align(dict(zip(table["id"], table["pred"], strict=True)), truth)


def _show(row: dict[str, object], dataset: Dataset, split: str) -> None:
    seed = "" if row["seed"] is None else f", seed {row['seed']}"
    typer.echo(
        f"{dataset.title} {split}{seed}: {row['clips']} clips scored,"
        f" {row['missing']} labelled clips without a prediction,"
        f" {row['extra']} predictions without a label; labels: {row['labels']}"
    )
    scores, conventions = row["scores"], row["conventions"]
    assert isinstance(scores, dict)
    assert isinstance(conventions, list)
    echo_table([{"metric": k, "value": v} for k, v in scores.items()], right=frozenset({"value"}))
    typer.echo()
    echo_table(conventions)
