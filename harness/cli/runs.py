"""``msa runs``: what was run, one run in full, runs taken away and brought back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, complain, echo_json, echo_table, echo_text
from harness.cli._plan import duration
from harness.cli.replay import RunArgument
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.runs.catalogue import CellFacts, ListedCell

__all__ = ["register"]

_NUMBERS = frozenset({"seed", "epochs"})

_runs = typer.Typer(help="List runs, show one, delete some.", no_args_is_help=True)

RunArguments = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN", help="The first digits of a run's key, or SUITE:ROW:CORPUS:SEED; several."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_runs, name="runs")


@_runs.command("list")
def _list(
    context: typer.Context,
    suite: Annotated[str | None, typer.Option(help="Only cells of this suite.")] = None,
    system: Annotated[
        str | None, typer.Option(help="Only of this system, or the row of this label.")
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="Only on this corpus.")] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            help="stored, damaged, failed, missing or hole; repeatable; default: what was run."
        ),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="As --status failed.")] = False,
    removed: Annotated[
        bool, typer.Option("--removed", help="Those that were deleted and can be restored.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List runs, with the metric that chooses epochs on test clips, and cells that failed."""
    from harness.runs.catalogue import listed
    from harness.runs.removing import removed_runs
    from harness.runs.store import RunStore

    home = home_of(context)
    if removed:
        if suite or system or corpus or status or failed:
            raise SpecError("--removed lists keys alone: it goes with no other option")
        keys = removed_runs(RunStore(home.store))
        if as_json:
            echo_json(keys)
        else:
            echo_table([{"run": key} for key in keys])
        return
    statuses = [*(status or ()), *(["failed"] if failed else [])]
    found = listed(home, suite=suite, system=system, corpus=corpus, statuses=statuses)
    if as_json:
        echo_json([cell.record() for cell in found])
        return
    rows = [_row(cell) for cell in found]
    said = [name for name in (rows[0] if rows else ()) if any(row[name] for row in rows)]
    echo_table([{name: row[name] for name in said} for row in rows], right=_NUMBERS)
    for cell in found:
        if cell.reason is not None:
            echo_text(f"{_short(cell) or cell.title}: {cell.reason}")
    if not found:
        typer.echo("next: msa run SUITE, or msa runs list --status missing")


def _row(cell: ListedCell) -> dict[str, object]:
    epochs = "" if cell.epochs is None else str(cell.epochs)
    score = None if cell.score is None else f"{cell.metric} {cell.score:.4f}"
    return {
        "run": _short(cell),
        "row": cell.row,
        "corpus": cell.corpus,
        "seed": "" if cell.seed is None else str(cell.seed),
        "outcome": cell.status if score is None else score,
        "epochs": epochs,
        "took": "" if cell.seconds is None else duration(cell.seconds),
    }


def _short(cell: ListedCell) -> str:
    """So much of its key as tells it from others; nothing for a hole."""
    return "" if cell.key is None else cell.key[:8]


@_runs.command("show")
def _show(context: typer.Context, run: RunArgument, as_json: JsonFlag = False) -> None:
    """Show one cell: its outcome, scores, times and log; of a failed one, where it broke."""
    from harness.runs.catalogue import facts_of

    facts = facts_of(home_of(context), run)
    if as_json:
        echo_json(facts.record())
        return
    for line in _told(facts):
        typer.echo(line)
    if facts.scores:
        typer.echo("")
        echo_table(_scores(facts.scores), right=frozenset({"valid", "test"}))
    if facts.traceback is not None:
        typer.echo(f"\n{facts.traceback.rstrip()}")


def _told(facts: CellFacts) -> Iterator[str]:
    cell = facts.cell
    yield f"run      {cell.key}"
    yield f"cell     {cell.title}"
    if cell.system not in (None, cell.row):
        yield f"system   {cell.system}"
    yield f"suites   {', '.join(cell.suites) or 'none names it'}"
    yield f"outcome  {cell.status}{f': {cell.reason}' if cell.reason else ''}"
    if cell.epochs is not None:
        yield f"epochs   {cell.epochs}, the weights of epoch {cell.selected_epoch}"
    if facts.fit_seconds is not None and facts.predict_seconds is not None:
        yield (
            f"took     {duration(facts.fit_seconds)} to fit, {duration(facts.predict_seconds)} to"
            f" predict, on {facts.device}, {(facts.peak_memory_bytes or 0) / 2**30:.1f} GiB"
        )
    if facts.parameters:
        yield f"network  {facts.parameters:,} parameters, {facts.train_clips:,} training clips"
    if facts.weights:
        yield f"weights  kept: msa weights {str(cell.key)[:12]} --to FOLDER"
    if facts.kept_epoch is not None:
        yield f"resume   goes on after epoch {facts.kept_epoch}"
    if facts.log is not None:
        yield f"log      {facts.log}"


def _scores(scores: Mapping[str, Mapping[str, float]]) -> list[dict[str, object]]:
    """One row per metric."""
    names = dict.fromkeys(name for split in scores.values() for name in split)
    return [
        {"metric": name, **{split: values.get(name) for split, values in scores.items()}}
        for name in names
    ]


@_runs.command("delete")
def _delete(context: typer.Context, runs: RunArguments) -> None:
    """Take runs, or failures, out of the store; undone by restore until `msa store clean`."""
    from harness.runs.removing import remove_runs
    from harness.runs.store import RunStore

    home = home_of(context)
    store = RunStore(home.store)
    keys = remove_runs(store, runs)
    typer.echo(f"{len(keys)} deleted; msa runs restore {' '.join(key[:12] for key in keys)}")
    for suite in store.plans():
        if count := len(store.plan(suite, written=True).keys.intersection(keys)):
            complain(
                f"suite {suite} has {count} of them: `msa run {suite}` runs them again, `msa board"
                f" {suite}` shows holes",
                colour="yellow",
            )


@_runs.command("restore")
def _restore(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="The first digits of their keys; default: all."),
    ] = None,
) -> None:
    """Bring deleted runs back."""
    from harness.runs.removing import restore_runs
    from harness.runs.store import RunStore

    keys = restore_runs(RunStore(home_of(context).store), runs or ())
    typer.echo(f"{len(keys)} restored")
