"""``msa tune``: a search for hyper-parameters, the suite it ends in, and its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table, write_file
from harness.cli._progress import progress
from harness.cli.run import (
    AddressOption,
    DeviceOption,
    ExecutorOption,
    JobsOption,
    SuiteArgument,
    TimeoutOption,
)
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.home import Home
    from harness.tuning import TuningResult
    from leaderboards.studies.tuning import TuningStudy

__all__ = ["register"]

_Trials = Annotated[int, typer.Option(help="Settings that each row may try.")]
_Sampler = Annotated[str, typer.Option(help="random, tpe or halving.")]
_Seed = Annotated[int, typer.Option(help="Of the sampler; trials train with the suite's first.")]
_Batch = Annotated[
    int, typer.Option(help="With tpe: settings that are drawn before any of them has a score.")
]
_Only = Annotated[
    list[str] | None,
    typer.Option(help="Rows or systems to search (* and ? allowed); repeatable."),
]
_After = Annotated[
    int, typer.Option("--seeds-after", help="Fresh seeds of the suite that is written.")
]
_To = Annotated[
    Path | None,
    typer.Option(metavar="FILE.toml", help="Where to write that suite; default: among the suites."),
]
_Untuned = Annotated[
    bool, typer.Option("--untuned", help="Write each row as it was too, beside the tuned one.")
]
_Figures = Annotated[Path | None, typer.Option(help="Write PDF, PNG and SVG figures here.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tune")(_tune)


def _tune(
    context: typer.Context,
    suite: SuiteArgument,
    trials: _Trials = 20,
    sampler: _Sampler = "tpe",
    seed: _Seed = 0,
    batch: _Batch = 8,
    only: _Only = None,
    seeds_after: _After = 3,
    to: _To = None,
    untuned: _Untuned = False,
    figures: _Figures = None,
    jobs: JobsOption = 1,
    device: DeviceOption = "cpu",
    executor: ExecutorOption = "local",
    ray_address: AddressOption = None,
    cell_timeout: TimeoutOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Search hyper-parameters on validation clips, each row with the same budget; resumable."""
    from harness import tuning
    from harness.runs.running import find_executor
    from harness.runs.suite_files import find_suite

    home = home_of(context)
    budget = tuning.Budget(
        trials=trials, sampler=sampler, seed=seed, batch=batch, seeds_after=seeds_after
    )
    chosen = find_suite(suite, home)
    place = _place(to, home, chosen.name)
    workers = find_executor(
        executor, home, workers=jobs, address=ray_address, cell_timeout=cell_timeout
    )
    with progress() as shown:
        result = tuning.tune(
            *(chosen, home, budget),
            workers=jobs,
            only=only or (),
            device=device,
            executor=workers,
            cell_timeout=cell_timeout if workers is None else None,
            watch=tuning.Watch(on_start=shown.start, on_done=shown.advance, on_event=shown.hear),
        )
    write_file(place, tuning.suite_text(result, untuned=untuned))
    studies = _report(result, home, figures)
    if as_json:
        echo_json(_record(result, place, studies))
    else:
        _print(result, place, home)


def _place(to: Path | None, home: Home, suite: str) -> Path:
    """Where the suite that results is written, if nothing of another's is there."""
    from harness.tuning import is_ours

    place = home.suites / f"{suite}_tuned.toml" if to is None else to
    if place.suffix.lower() != ".toml":
        raise SpecError(f"--to takes a .toml file; found {place.name!r}")
    if to is not None and not place.parent.is_dir():
        raise SpecError(f"--to: there is no folder {place.parent.name!r} to write into")
    if place.exists() and not is_ours(place):
        raise SpecError(
            f"--to: {place.name} is there and was not written by msa tune",
            hint="give --to another file",
        )
    return place


def _report(result: TuningResult, home: Home, figures: Path | None) -> list[TuningStudy]:
    """Write the page of every corpus beside the boards, and figures where they are asked for."""
    from harness.runs.store import RunStore
    from leaderboards.studies import tuning, tuning_page

    store = RunStore(home.store)
    studies = [tuning.study(store, plan) for plan in result.plans]
    for study in studies:
        tuning_page.write(study, home.boards / f"{study.plan}.md")
    if figures is not None:
        from leaderboards.figures.tuning import draw_searches

        draw_searches(studies, figures)
    return studies


def _record(result: TuningResult, place: Path, studies: list[TuningStudy]) -> dict[str, object]:
    return {
        "suite": result.suite.name,
        "written": place.stem,
        "skipped": [
            {"row": each.label, "corpus": each.corpus, "reason": each.reason}
            for each in result.skipped
        ],
        "searches": [study.record() for study in studies],
    }


def _print(result: TuningResult, place: Path, home: Home) -> None:
    for each in result.skipped:
        typer.echo(f"not searched: {each.label} on {each.corpus}: {each.reason}", err=True)
    rows = [
        {
            "corpus": row.corpus,
            "row": row.row.label,
            "trials": row.trials,
            "failed": row.failed,
            "chosen": f"#{row.chosen}",
            "validation": f"{row.valid:.4f}",
            "setting": ", ".join(
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                for k, v in row.setting.items()
            ),
        }
        for row in result.rows
    ]
    echo_table(rows, right=frozenset({"trials", "failed", "chosen", "validation"}))
    for plan in result.plans:
        typer.echo(f"report: {home.boards / f'{plan}.md'}")
    typer.echo(f"suite: {place}")
    typer.echo(f"next: msa run {place.stem if place.parent == home.suites else place}")
