"""``msa score``: a predictions file in, every metric in every convention out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.errors import SubmissionError

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
    labels: Annotated[
        Path | None,
        typer.Option(
            help="An MMSA label.csv; default: a stored corpus, else the file's own labels."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    as_json: JsonFlag = False,
) -> None:
    """Score predictions in the canonical definitions and in every named repository's convention."""
    from harness.data.datasets import datasets
    from harness.metrics import score, score_conventions
    from harness.predictions import read_predictions

    known = datasets[dataset]
    table = read_predictions(file)
    truth, origin = _truth(table, known, labels, split)
    rows: list[dict[str, object]] = []
    for seed, part in table.groupby("seed") if "seed" in table else [(None, table)]:
        aligned = _align(part, truth)
        rows.append(
            {
                "seed": seed,
                "labels": origin,
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


def _align(table: pd.DataFrame, truth: dict[str, float]) -> Aligned:
    from harness.predictions import align

    return align(dict(zip(table["id"], table["pred"], strict=True)), truth)


def _truth(
    table: pd.DataFrame, dataset: Dataset, labels: Path | None, split: str
) -> tuple[dict[str, float], str]:
    """Labels by clip id, and where they came from."""
    from harness.data import label_csv
    from harness.data.store import CorpusStore
    from harness.home import Home

    if labels is not None:
        clips = label_csv.read(labels, dataset).clips
        chosen = clips[clips["split"] == split]
        return dict(zip(chosen["id"], chosen["label"].round(6), strict=True)), labels.name
    store = CorpusStore(Home.default().corpora)
    for name in store.names():
        corpus = store.load(name)
        official = {key: counts.clips for key, counts in dataset.splits.items()}
        sizes = {key: len(part) for key, part in corpus.splits.items()}
        if corpus.dataset is dataset and not corpus.is_twin and sizes == official:
            part = corpus.split(split)
            return dict(zip(part.ids, part.labels.tolist(), strict=True)), name
    if "label" in table:
        unique = table.drop_duplicates("id")
        own = dict(zip(unique["id"], unique["label"].round(6), strict=True))
        return own, "the file's own label column (unverified)"
    raise SubmissionError(
        f"no labels of {dataset.name} at hand to score against",
        hint=f"msa data add LABEL.CSV --dataset {dataset.name}, or --labels LABEL.CSV",
    )


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
