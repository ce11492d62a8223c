"""``msa study reliability SUITE``: one checkpoint over the grid of conditions it was run under."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text
from harness.errors import SpecError, StoreError

if TYPE_CHECKING:
    from harness.metrics import Metric
    from leaderboards.document import Table
    from leaderboards.model import Board, Grid
    from leaderboards.sections.reliability import Gain, Reliability

__all__ = ["register"]

_Suite = Annotated[str, typer.Argument(help="A suite that was run here under a grid.")]
_Metric = Annotated[str, typer.Option(help="MAE, Corr, an accuracy or F1; default: selection.")]
_Figures = Annotated[Path | None, typer.Option(help="Write PDF, PNG and SVG figures here.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reliability")(_reliability)


def _reliability(
    context: typer.Context,
    suite: _Suite,
    metric: _Metric = "",
    figures: _Figures = None,
    as_json: JsonFlag = False,
) -> None:
    """Areas, worst cells, sets, modalities, and what training for one condition would gain."""
    from harness.metrics import metrics
    from harness.runs.store import RunStore
    from leaderboards.model import gather

    board = gather(RunStore(home_of(context).store), suite)
    if all(grid.under is None for grid in board.grids):
        raise SpecError(
            f"suite {suite!r} was run on clips as they are",
            hint='[protocol] name = "reliability"',
        )
    found = list(_studies(board, metrics[metric] if metric else None))
    if as_json:
        echo_json({"suite": suite, "corpora": [_facts(grid, one) for grid, one in found]})
    else:
        for grid, one in found:
            _print(grid, one)
    if figures is not None:
        for grid, one in found:
            _draw(suite, grid, one, figures, as_json=as_json)


def _studies(board: Board, metric: Metric | None) -> Iterator[tuple[Grid, Reliability]]:
    from leaderboards.sections.reliability import reliability, study

    for grid in board.grids:
        own = metric is None or metric == grid.selection
        found = reliability(grid) if own else study(grid, metric or grid.selection)
        if found is not None:
            yield grid, found


def _print(grid: Grid, found: Reliability) -> None:
    from leaderboards.sections.reliability import tables

    dataset = grid.corpus.dataset.title
    where = f"SYNTHETIC TWIN of {dataset}" if grid.corpus.twin else dataset
    echo_text(
        f"{where} ({grid.corpus.name}): {found.metric.title} under {len(found.conditions)}"
        f" conditions, {grid.corruption}\n"
    )
    for track in tables.tracks(found):
        typer.echo(track.title)
        for table in (
            tables.areas(found, track),
            tables.sets(found, track),
            tables.breakdown(found, track),
            tables.pairs(found, track),
        ):
            _show(table)
    if found.gains:
        echo_text("One checkpoint for all: what training for one condition would gain at most")
        _show(tables.gains(found))


def _show(table: Table) -> None:
    if not table.rows:
        return
    titles = [column.title for column in table.columns]
    right = frozenset(column.title for column in table.columns if column.align == "right")
    echo_table([dict(zip(titles, row, strict=True)) for row in table.rows], right=right)
    typer.echo()


def _facts(grid: Grid, found: Reliability) -> Mapping[str, object]:
    from leaderboards.sections.reliability import tables

    crossed = found.crossed
    return {
        "corpus": grid.corpus.name,
        "twin": grid.corpus.twin,
        "grid": grid.corruption,
        "metric": found.metric.name,
        "ranked_by": found.ranked_by,
        "conditions": found.conditions,
        "rows": list(tables.records(found)),
        "pairs": [
            dataclasses.asdict(pair) | {"verdict": pair.verdict(), "stratum": track.title}
            for track, ranking in found.rankings.items()
            for pair in ranking.pairs
        ],
        "across": [] if crossed is None else [dataclasses.asdict(pair) for pair in crossed.pairs],
        "one_checkpoint_for_all": [_gain(gain) for gain in found.gains],
    }


def _gain(found: Gain) -> Mapping[str, object]:
    from leaderboards.sections.reliability.tables import verdict

    return dataclasses.asdict(found) | {"verdict": verdict(found)}


def _draw(suite: str, grid: Grid, found: Reliability, folder: Path, *, as_json: bool) -> None:
    from leaderboards.figures import reliability_curves, reliability_maps, save

    drawn = {"curves": reliability_curves(grid, found), "maps": reliability_maps(grid, found)}
    for kind, figure in drawn.items():
        if figure is None:
            continue
        path = folder / f"{suite}.{grid.corpus.name}.{found.metric.name}.{kind}"
        try:
            files = save(figure, path)
        except OSError as error:
            raise StoreError(f"figures cannot be written: {error}") from error
        for file in files:
            typer.echo(f"figure: {file}", err=as_json)
