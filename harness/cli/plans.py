"""``msa plans``: which suites were planned here, plans taken away and brought back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text

if TYPE_CHECKING:
    from harness.runs.store import RunStore

__all__ = ["register"]

_plans = typer.Typer(help="List plans of suites, delete some.", no_args_is_help=True)

SuiteName = Annotated[str, typer.Argument(metavar="SUITE", help="As msa plans list names it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_plans, name="plans")


@_plans.command("list")
def _list(
    context: typer.Context,
    removed: Annotated[
        bool, typer.Option("--removed", help="Those that were deleted and can be restored.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the suites that were planned here: rows, corpora, seeds, cells, stored runs."""
    from harness.runs.removing import removed_plans
    from harness.runs.store import RunStore

    store = RunStore(home_of(context).store)
    if removed:
        names = removed_plans(store)
        rows: list[dict[str, Any]] = [{"suite": name} for name in names]
    else:
        rows = [_row(store, suite) for suite in store.plans()]
    if as_json:
        echo_json(rows)
        return
    told = [
        {**row, "corpora": ", ".join(row["corpora"])} if "corpora" in row else row for row in rows
    ]
    echo_table(told, right=frozenset({"rows", "seeds", "cells", "stored", "holes"}))


def _row(store: RunStore, suite: str) -> dict[str, Any]:
    plan = store.plan(suite)
    written = time.gmtime(store.plan_file(suite).stat().st_mtime)
    return {
        "suite": suite,
        "rows": len(plan.rows),
        "seeds": len(plan.seeds),
        "cells": len(plan.keys),
        "stored": len(plan.keys & store.keys()),
        "holes": sum(cell.key is None for cell in plan.cells),
        "planned": time.strftime("%Y-%m-%d %H:%M", written),
        "corpora": list(dict.fromkeys(cell.corpus for cell in plan.cells)),
    }


@_plans.command("delete")
def _delete(context: typer.Context, suite: SuiteName) -> None:
    """Take a suite's plan away; runs and board stay. Undone by restore until `msa store clean`."""
    from harness.runs.removing import remove_plan
    from harness.runs.store import RunStore

    free = remove_plan(RunStore(home_of(context).store), suite)
    typer.echo(f"{suite}: plan deleted; msa plans restore {suite} brings it back")
    if free:
        echo_text(f"{len(free)} runs are in no other plan: msa prune lists what nothing names")


@_plans.command("restore")
def _restore(context: typer.Context, suite: SuiteName) -> None:
    """Bring the plan of a suite back."""
    from harness.runs.removing import restore_plan
    from harness.runs.store import RunStore

    restore_plan(RunStore(home_of(context).store), suite)
    typer.echo(f"{suite}: back")
