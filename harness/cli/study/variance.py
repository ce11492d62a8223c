"""``msa study variance``: where results vary, what seeds buy, and how choosing flatters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._home import home_of
from harness.cli._memory import MemoryOption
from harness.cli._output import JsonFlag
from harness.errors import SpecError

__all__ = ["register"]

_Suite = Annotated[str | None, typer.Argument(metavar="SUITE", help="A suite that was run here.")]
_Metric = Annotated[str, typer.Option(help="MAE or an accuracy; of results per seed any metric.")]
_Rows = Annotated[list[str] | None, typer.Option(help="Only this row of the suite; repeatable.")]
_Deltas = Annotated[
    list[float] | None,
    typer.Option(help="A difference to detect; repeatable. Default: 1, 2 and 5 margins."),
]
_Csv = Annotated[Path | None, typer.Option(help="Instead of a suite: results per seed.")]
_Reference = Annotated[
    bool, typer.Option("--reference-runs", help="Instead of a suite: runs of released code.")
]
_Models = Annotated[
    list[str] | None, typer.Option(help="With results per seed: this model; repeatable.")
]
_Dataset = Annotated[str | None, typer.Option(help="With results per seed: only this dataset.")]
_LeastSeeds = Annotated[
    int | None, typer.Option(help="With results per seed: seeds a config needs. [5]")
]
_Against = Annotated[Path | None, typer.Option(help="With results per seed: published means.")]
_Table = Annotated[str | None, typer.Option(help="With --against: rows of this table of the file.")]
_Figures = Annotated[Path | None, typer.Option(help="Write PDF, PNG and SVG figures here.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("variance")(_variance)


def _variance(
    context: typer.Context,
    suite: _Suite = None,
    metric: _Metric = "mae",
    row: _Rows = None,
    delta: _Deltas = None,
    csv: _Csv = None,
    reference_runs: _Reference = False,
    model: _Models = None,
    dataset: _Dataset = None,
    least_seeds: _LeastSeeds = None,
    against: _Against = None,
    table: _Table = None,
    figures: _Figures = None,
    memory: MemoryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Variance components, seeds needed, selection and best-of-k optimism."""
    from harness.cli.study import _seed_table, _stored
    from harness.metrics import metrics

    if reference_runs and csv is None:
        from leaderboards.literature import REFERENCE_FILE

        csv = REFERENCE_FILE
    elif reference_runs:
        raise SpecError("--reference-runs are a file of their own: leave out --csv")
    if (suite is None) == (csv is None):
        raise SpecError(
            "expected a suite, --csv FILE or --reference-runs", hint="msa study variance demo"
        )
    if table is not None and against is None:
        raise SpecError("--table says which rows of --against FILE count")
    if suite is not None:
        of_table = {"--model": model, "--dataset": dataset, "--least-seeds": least_seeds}
        _refuse(of_table | {"--against": against}, "--csv FILE")
        home, rows = home_of(context), row or ()
        _stored.show(home, suite, metrics[metric], rows, delta or (), figures, as_json=as_json)
    elif csv is not None:
        _refuse({"--row": row, "--delta": delta}, "a suite")
        wanted = _seed_table.Wanted(
            metric=metrics[metric],
            models=tuple(model or ()),
            dataset=dataset,
            least_seeds=least_seeds,
        )
        _seed_table.show(csv, wanted, against, table, figures, as_json=as_json)


def _refuse(options: Mapping[str, object], needs: str) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise SpecError(f"{' and '.join(given)} can only be used with {needs}")
