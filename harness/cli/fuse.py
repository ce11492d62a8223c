"""``msa fuse``: predictions of several systems into one, weighted on the validation split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._labels import LabelsOption, find_labels
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.errors import StoreError, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from harness.data.datasets import Dataset

__all__ = ["register"]

_SHOWN = ("mae", "corr", "acc2_non0", "acc2_has0", "acc2")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fuse")(_fuse)


def _fuse(
    file: Annotated[
        Path, typer.Argument(help="A table with id and one column of predictions per system.")
    ],
    dataset: Annotated[str, typer.Option(help="mosi, mosei, sims or simsv2.")],
    columns: Annotated[
        str, typer.Option(help="The systems' columns, with commas between.")
    ] = "pred_T,pred_A,pred_V",
    labels: LabelsOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the fused test predictions here, as CSV.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Late fusion: non-negative weights fitted on valid, every system and their fusion on test."""
    import numpy as np

    from baselines.late_fusion import fuse
    from harness.data.datasets import datasets

    known, names = datasets[dataset], [name.strip() for name in columns.split(",")]
    table = _read(file, names)
    ids = table.reset_index()
    valid, test = (find_labels(ids, known, labels, split).truth for split in ("valid", "test"))
    fusion = fuse(_of(table, valid, names), np.array(list(valid.values())))
    given = _of(table, test, names)
    fused = fusion(given)
    rows = [
        _row(name, column, weight, test, known)
        for name, column, weight in zip(names, given.T, fusion.weights.tolist(), strict=True)
    ]
    rows.append(_row("fusion", fused, None, test, known))
    if out is not None:
        _write(out, dict(zip(test, fused.tolist(), strict=True)))
    if as_json:
        echo_json(rows)
        return
    typer.echo(f"{known.title}: weights from {len(valid)} valid clips, scores on test")
    echo_table(rows, right=frozenset({"clips", "weight", *_SHOWN}))


def _read(file: Path, names: list[str]) -> pd.DataFrame:
    """The table indexed by clip id, predictions as numbers, NaN where a cell is empty."""
    import numpy as np
    import pandas as pd

    from harness.predictions import read_table

    table = read_table(file)
    missing = [name for name in ("id", *names) if name not in table]
    if missing:
        raise SubmissionError(
            f"{file.name} has no column {missing[0]}; it has {', '.join(map(str, table))}",
            hint="--columns NAME,NAME,…",
        )
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise SubmissionError(f"{file.name} has clip {twice.iloc[0]} twice")
    cells = table.set_index("id")[names]
    numbers = cells.apply(pd.to_numeric, errors="coerce")
    for name in names:
        filled = cells[name].notna() & (cells[name].astype(str).str.strip() != "")
        wrong = filled & ~np.isfinite(numbers[name])
        if wrong.any():
            raise SubmissionError(f"{file.name}, clip {wrong.idxmax()}: {name} should be a number")
    return pd.DataFrame(numbers)


def _of(table: pd.DataFrame, truth: Mapping[str, float], names: list[str]) -> NDArray[np.float64]:
    """(n, m) predictions of the labelled clips, NaN where there is none."""
    there = table.reindex(list(truth))[names]
    if there.isna().all(axis=None):
        raise SubmissionError(
            "the table predicts none of the labelled clips",
            hint=f"its clips are called like {table.index[0]}, not like {next(iter(truth))}",
        )
    return there.to_numpy(dtype="float64")


def _row(
    name: str,
    predictions: NDArray[np.float64],
    weight: float | None,
    truth: Mapping[str, float],
    dataset: Dataset,
) -> dict[str, object]:
    import numpy as np

    from harness.metrics import score

    there = np.isfinite(predictions)
    scores = score(predictions[there], np.array(list(truth.values()))[there], dataset)
    return {
        "system": name,
        "clips": int(there.sum()),
        "weight": weight,
        **{metric: scores[metric] for metric in _SHOWN if metric in scores},
    }


def _write(path: Path, fused: Mapping[str, float]) -> None:
    from harness.files import write_atomic

    lines = "".join(f"{clip},{value!r}\n" for clip, value in fused.items())
    try:
        write_atomic(path, "id,pred\n" + lines)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}") from error
    typer.echo(f"written: {path}")
