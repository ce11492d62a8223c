"""``msa score``: a predictions file in, every metric in every convention out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._labels import (
    ConditionOption,
    CorpusOption,
    LabelsOption,
    SplitOption,
    VariantOption,
    examples,
    missing_and_extra,
    said,
    warn,
)
from harness.cli._memory import MemoryOption
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text

if TYPE_CHECKING:
    from harness.submissions import ScoredFile

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score")(_score)


def _score(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Predictions: .csv, .parquet or .jsonl.")
    ],
    dataset: Annotated[str, typer.Option(help="As `msa list datasets` names it, such as mosi.")],
    labels: LabelsOption = None,
    corpus: CorpusOption = None,
    split: SplitOption = "test",
    condition: ConditionOption = "clean",
    variant: VariantOption = "plain",
    memory: MemoryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Score predictions in the canonical definitions and in every named repository's convention."""
    import harness
    from harness.data.datasets import datasets
    from harness.spec import PredictionCell

    home = home_of(context)
    cell = PredictionCell(condition=condition, variant=variant)
    runs = harness.score(
        file, dataset, labels=labels, corpus=corpus, split=split, cell=cell, home=home
    )
    warn([notice for run in runs for notice in run.notices])
    if as_json:
        under = {"condition": cell.condition, "variant": cell.variant}
        echo_json([_record(run) | under for run in runs])
    else:
        for run in runs:
            _show(run, f"{datasets[dataset].title} {split}{said(cell)}")


def _record(run: ScoredFile) -> dict[str, object]:
    return {
        "seed": run.seed,
        "labels": run.labels,
        "clips": run.clips,
        **missing_and_extra(run.missing, run.extra),
        "warnings": [notice.record() for notice in run.notices],
        "scores": run.scores,
        "conventions": run.conventions,
    }


def _show(run: ScoredFile, about: str) -> None:
    seed = "" if run.seed is None else f", seed {run.seed}"
    echo_text(
        f"{about}{seed}: {run.clips} clips scored,"
        f" {len(run.missing)} labelled clips without a prediction{examples(run.missing)},"
        f" {len(run.extra)} predictions without a label{examples(run.extra)}; labels: {run.labels}"
    )
    scores = [{"metric": name, "value": value} for name, value in run.scores.items()]
    echo_table(scores, right=frozenset({"value"}))
    typer.echo()
    echo_table(run.conventions)
