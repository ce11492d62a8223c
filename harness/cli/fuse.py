"""``msa fuse``: predictions of several systems into one, weighted on the validation split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._labels import CorpusOption, LabelsOption, examples, missing_and_extra, warn
from harness.cli._memory import MemoryOption
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text, write_file
from harness.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.submissions.fusing import Fused, FusedSystem

__all__ = ["register"]

_SHOWN = ("mae", "corr", "acc2_non0", "acc2_has0", "acc2")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fuse")(_fuse)


def _fuse(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A table with id and one column of predictions per system."
        ),
    ],
    dataset: Annotated[str, typer.Option(help="As `msa list datasets` names it, such as mosi.")],
    columns: Annotated[
        str, typer.Option(help="The systems' columns, with commas between.")
    ] = "pred_T,pred_A,pred_V",
    labels: LabelsOption = None,
    corpus: CorpusOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the fused test predictions here, as CSV.")
    ] = None,
    memory: MemoryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Late fusion: non-negative weights fitted on valid, every system and their fusion on test."""
    from baselines.late_fusion import fuse
    from harness.data.datasets import datasets
    from harness.submissions.fusing import fuse_file

    found = fuse_file(
        *(file, dataset, fuse), columns=columns, labels=labels, corpus=corpus, home=home_of(context)
    )
    warn(found.notices)
    if out is not None:
        _write(out, file, found.predictions)
    if as_json:
        echo_json([_record(part, found) for part in found.parts])
    else:
        _show(found, datasets[dataset].title)


def _row(part: FusedSystem) -> dict[str, object]:
    scores = {metric: part.scores[metric] for metric in _SHOWN if metric in part.scores}
    return {"system": part.name, "clips": part.clips, "weight": part.weight, **scores}


def _record(part: FusedSystem, found: Fused) -> dict[str, object]:
    """A row as JSON: what it leaves out, and what all rows are warned of."""
    table = found.table
    missing = table.without(part.name) if part.name in table.names else []
    return {
        **_row(part),
        "labels": table.test.origin,
        **missing_and_extra(missing, table.extra),
        "warnings": [notice.record() for notice in found.notices],
    }


def _show(found: Fused, title: str) -> None:
    table = found.table
    fitted, given = len(table.valid.truth), table.predicted(table.valid)
    echo_text(
        f"{title}: weights from {given} of {fitted} valid clips, scores on test;"
        f" labels: {table.test.origin}"
    )
    for name in table.names:
        missing = table.without(name)
        if missing:
            shown = examples(missing)
            echo_text(f"{name} lacks {len(missing)} test clips{shown}; the fusion takes its mean")
    if table.extra:
        shown = examples(table.extra)
        echo_text(f"left out, of neither valid nor test: {len(table.extra)} clips{shown}")
    echo_table([_row(part) for part in found.parts], right=frozenset({"clips", "weight", *_SHOWN}))


def _write(path: Path, source: Path, fused: Mapping[str, float]) -> None:
    if path.exists() and path.samefile(source):
        raise SubmissionError(f"--out would replace the table itself: {path}", hint="--out OTHER")
    lines = "".join(f"{clip},{value!r}\n" for clip, value in fused.items())
    write_file(path, "id,pred\n" + lines)
    typer.echo(f"written: {path}", err=True)
