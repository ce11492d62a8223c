"""``msa carry``: runs of an earlier source count, where a sample of them comes out the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from harness._util.printed import duration
from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json
from harness.cli._progress import progress
from harness.cli.run import (
    AddressOption,
    DeviceOption,
    ExecutorOption,
    JobsOption,
    OnlyOption,
    SeedsOption,
    SuiteArgument,
    TimeoutOption,
    seeds_of,
)

if TYPE_CHECKING:
    from harness.runs.carrying import CarryReport, Change
    from harness.runs.equivalence import Replayed

__all__ = ["register"]

_SHOWN = 5  # runs that came out otherwise, of each system
_DIGITS = 8  # of a fingerprint


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("carry")(_carry)


def _carry(
    context: typer.Context,
    suite: SuiteArgument,
    seeds: SeedsOption = None,
    only: OnlyOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Execute every stored run again, not a sample.")
    ] = False,
    every_seed: Annotated[
        bool,
        typer.Option(
            "--every-seed", help="Execute each seed of each changed system at least once."
        ),
    ] = False,
    tolerance: Annotated[
        float,
        typer.Option(help="Largest tolerated difference, on the label scale; at most 0.001."),
    ] = 1e-6,
    jobs: JobsOption = 1,
    device: DeviceOption = "cpu",
    executor: ExecutorOption = "local",
    ray_address: AddressOption = None,
    cell_timeout: TimeoutOption = None,
    plan_only: Annotated[
        bool, typer.Option("--plan", help="Say what would be executed; execute nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Execute a sample of stored runs again where only code changed; if equal, the others count.

    The cheapest runs, so that each changed system is executed on every corpus and with every class
    of parameters, and every seed with some system. Every prediction is compared: identical or
    within tolerance, the other stored runs of the system count as runs of today's code; else its
    cells run again. What is executed is stored as a run of today's code. Exit 1 where any differs.
    """
    import harness
    from harness.runs.running import find_executor

    home = home_of(context)
    workplace = find_executor(
        executor, home, workers=jobs, address=ray_address, cell_timeout=cell_timeout
    )
    with progress() as shown:
        report = harness.carry(
            *(suite, home),
            workers=jobs,
            seeds=seeds_of(seeds),
            only=only or (),
            everything=everything,
            every_seed=every_seed,
            tolerance=tolerance,
            plan_only=plan_only,
            device=device,
            executor=workplace,
            cell_timeout=cell_timeout if workplace is None else None,
            on_start=shown.start,
            on_done=shown.advance,
        )
    if report.changes and not plan_only:
        _write_board(context, report.suite)
    if as_json:
        echo_json(report.record())
    else:
        for line in _planned(report) if plan_only else _lines(report):
            typer.echo(line)
    if not report.holds:
        raise typer.Exit(1)


def _write_board(context: typer.Context, suite: str) -> None:
    import leaderboards
    from harness.runs.store import RunStore

    home = home_of(context)
    leaderboards.write(RunStore(home.store), suite, home.boards / f"{suite}.md")


def _planned(report: CarryReport) -> Iterator[str]:
    """What would be executed."""
    for change in report.changes:
        yield f"{_name(change)}: {change.stored} stored runs; {_sample(change)}"
        yield from (f"  {cell}" for cell in change.sample)
    yield _rest(report)


def _sample(change: Change) -> str:
    if change.verdict == "different":
        return "those that both sources have are different: nothing is executed"
    return f"{len(change.sample)} to execute again, {duration(change.sample_seconds)} then"


def _lines(report: CarryReport) -> Iterator[str]:
    for change in report.changes:
        yield f"{_name(change)}: {_outcome(change)}"
        if change.verdict == "different":
            yield from _differences(change, report.tolerance)
        yield from (f"  {cell}: {reason}" for cell, reason in change.failures)
    yield _rest(report)
    again = sum(change.again for change in report.changes)
    if again:
        yield f"{again} cells have to run again: msa run {report.suite}"


def _name(change: Change) -> str:
    return f"{change.system} ({change.old[:_DIGITS]} -> {change.new[:_DIGITS]})"


def _outcome(change: Change) -> str:
    compared = f"{len(change.replayed)} of {change.stored} compared"
    if change.verdict == "failed":
        return f"{compared}, {len(change.failures)} failed: nothing is carried over"
    if change.verdict == "different":
        return f"{compared}: different, nothing is carried over"
    largest = max((run.largest or 0.0 for run in change.replayed), default=0.0)
    found = change.verdict if not largest else f"{change.verdict}, {largest:.3g} at most"
    worth = f", {duration(change.carried_seconds)} of work" if change.carried else ""
    return f"{compared}: {found}; {change.carried} carried over{worth}"


def _differences(change: Change, tolerance: float) -> Iterator[str]:
    found = [run for run in change.replayed if not run.within(tolerance)]
    for run in found[:_SHOWN]:
        yield f"  run {run.old[:12]}, {run.corpus}, seed {run.seed}: {_apart(run)}"
    if len(found) > _SHOWN:
        yield f"  and {len(found) - _SHOWN} more"
    around = {name: pair for run in found for name, pair in run.surroundings.items()}
    for name, (then, now) in sorted(around.items()):
        yield f"  {name}: {then} then, {now} now"


def _apart(run: Replayed) -> str:
    if run.largest is None:
        return "other clips are predicted"
    return f"{run.changed} of {run.predictions} predictions changed, by {run.largest:.3g} at most"


def _rest(report: CarryReport) -> str:
    """Cells that ask for nothing, and those that nothing can be carried over for."""
    parts = [f"{report.present} of today's code", f"{report.before} carried over before"]
    if report.without:
        parts.append(f"{report.without} of no code, which msa run {report.suite} runs")
    if not report.changes:
        return f"nothing to carry over: {', '.join(parts)}"
    return f"before this: {', '.join(parts)}"
