"""``msa reproduce``: a published table beside the stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table

if TYPE_CHECKING:
    from leaderboards.studies.reproduce import ReproducedNumber

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reproduce")(_reproduce)


def _reproduce(
    context: typer.Context,
    table: Annotated[str, typer.Argument(help="A published table: msa list tables.")],
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    system: Annotated[str | None, typer.Option(help="Only this system.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write Markdown to this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Put published numbers beside ours: gap with interval, verdict per number."""
    from harness.runs.store import RunStore
    from leaderboards.literature import table as published_table
    from leaderboards.studies import reproduce, reproduce_page

    rows = published_table(table, dataset, system)
    cells = reproduce.reproduce(RunStore(home_of(context).store), rows)
    if out is not None:
        _write(out, reproduce_page.render(table, cells))
    if as_json:
        echo_json(reproduce.as_records(cells))
        return
    if out is None:
        echo_table([_printed(cell) for cell in cells], right=frozenset(("published", "ours")))
        typer.echo()
    typer.echo(reproduce_page.counts(cells))


def _write(path: Path, page: str) -> None:
    from harness._util.atomic import write_atomic
    from harness.errors import StoreError

    try:
        write_atomic(path, page)
    except OSError as error:
        raise StoreError(f"{path.name} cannot be written: {error}") from error
    typer.echo(f"reproduction: {path}", err=True)


def _printed(cell: ReproducedNumber) -> dict[str, object]:
    from leaderboards.studies.reproduce_page import interval, named, number, verdict_of

    row, ours = cell.published, cell.ours
    return {
        "dataset": row.dataset,
        "system": named(row),
        "metric": row.metric,
        "published": number(row.value, row),
        "ours": number(ours.mean, row) if ours else "",
        "gap, 95 % interval": interval(cell),
        "verdict": verdict_of(cell),
    }
