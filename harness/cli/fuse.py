"""``msa fuse``: predictions of several systems into one, weighted on the validation split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._labels import CorpusOption, LabelsOption, examples, missing_and_extra, tell
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.errors import StoreError, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from harness.cli._fusing import Input
    from harness.data.datasets import Dataset
    from harness.data.labels import Notice

__all__ = ["register"]

_SHOWN = ("mae", "corr", "acc2_non0", "acc2_has0", "acc2")
_PRINTED = frozenset({"system", "clips", "weight", *_SHOWN})


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
    corpus: CorpusOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the fused test predictions here, as CSV.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Late fusion: non-negative weights fitted on valid, every system and their fusion on test."""
    import numpy as np

    from baselines.late_fusion import fuse
    from harness.cli._fusing import read_input, unidentified
    from harness.data.datasets import datasets

    known = datasets[dataset]
    table = read_input(file, columns, known, labels, corpus)
    valid, test = table.valid, table.test
    fusion = fuse(table.fitted(), np.array(list(valid.truth.values())))
    given = table.of(test)
    fused = fusion(given)
    rows = [
        _row(name, column, weight, test.truth, known)
        for name, column, weight in zip(table.names, given.T, fusion.weights.tolist(), strict=True)
    ]
    rows.append(_row("fusion", fused, None, test.truth, known))
    notices = [*table.notices, *unidentified(table), *_copied(rows)]
    tell(notices)
    if out is not None:
        _write(out, file, dict(zip(test.truth, fused.tolist(), strict=True)))
    if as_json:
        echo_json([_record(row, table, notices) for row in rows])
        return
    _show(rows, table, known)


def _row(
    name: str,
    predictions: NDArray[np.float64],
    weight: float | None,
    truth: Mapping[str, float],
    dataset: Dataset,
) -> dict[str, object]:
    import numpy as np

    from harness.data.labels import copied
    from harness.metrics import score

    there, labels = np.isfinite(predictions), np.array(list(truth.values()))
    scores = score(predictions[there], labels[there], dataset)
    return {
        "system": name,
        "clips": int(there.sum()),
        "weight": weight,
        **{metric: scores[metric] for metric in _SHOWN if metric in scores},
        "copied": copied(predictions[there], labels[there]),
    }


def _copied(rows: list[dict[str, object]]) -> list[Notice]:
    from harness.data.labels import Notice

    return [
        Notice(
            "labels-copied",
            f"{row['copied']} of {row['clips']} predictions of {row['system']} equal their label:"
            " these are the labels",
        )
        for row in rows
        if row["copied"]
    ]


def _record(row: dict[str, object], table: Input, notices: list[Notice]) -> dict[str, object]:
    """A row as JSON: what it leaves out, and what all rows are warned of."""
    kept = {key: value for key, value in row.items() if key in _PRINTED}
    name = row["system"]
    missing = table.without(str(name)) if name in table.names else []
    return {
        **kept,
        "labels": table.test.origin,
        **missing_and_extra(missing, table.extra),
        "warnings": [notice.record() for notice in notices],
    }


def _show(rows: list[dict[str, object]], table: Input, dataset: Dataset) -> None:
    fitted, given = len(table.valid.truth), table.predicted(table.valid)
    typer.echo(
        f"{dataset.title}: weights from {given} of {fitted} valid clips, scores on test;"
        f" labels: {table.test.origin}"
    )
    for name in table.names:
        missing = table.without(name)
        if missing:
            shown = examples(missing, len(missing))
            typer.echo(f"{name} lacks {len(missing)} test clips{shown}; the fusion takes its mean")
    if table.extra:
        shown = examples(table.extra, len(table.extra))
        typer.echo(f"left out, of neither valid nor test: {len(table.extra)} clips{shown}")
    printed = [{key: value for key, value in row.items() if key in _PRINTED} for row in rows]
    echo_table(printed, right=frozenset({"clips", "weight", *_SHOWN}))


def _write(path: Path, source: Path, fused: Mapping[str, float]) -> None:
    from harness._util.atomic import write_atomic

    if path.exists() and path.samefile(source):
        raise SubmissionError(f"--out would replace the table itself: {path}", hint="--out OTHER")
    lines = "".join(f"{clip},{value!r}\n" for clip, value in fused.items())
    try:
        write_atomic(path, "id,pred\n" + lines)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}") from error
    typer.echo(f"written: {path}", err=True)
