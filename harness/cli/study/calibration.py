"""``msa study calibration``: are the tests honest?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.errors import SpecError, StoreError

if TYPE_CHECKING:
    from harness.stats.calibration import Progress, Results, Settings

__all__ = ["register"]

_Replicates = Annotated[
    int,
    typer.Option(
        min=8,
        help="Comparisons in every design with a difference, three times as many without; half as"
        " many are bootstrapped, boards are a quarter.",
    ),
]
_Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Worker processes.")]
_Out = Annotated[
    Path | None, typer.Option(help="Folder to write the page, its figures and all numbers into.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibration")(_calibration)


def _calibration(
    context: typer.Context,
    replicates: _Replicates = 2000,
    draws: Annotated[int, typer.Option(min=100, help="Of a comparison's bootstrap.")] = 400,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 0,
    jobs: _Jobs = 1,
    out: _Out = None,
    as_json: JsonFlag = False,
) -> None:
    """False positives, coverage, power and boards where the truth is known; resumable."""
    from harness.runs.identity import code_fingerprint
    from harness.stats.calibration import Settings, load, run, study

    if out is not None and out.is_file():
        raise SpecError(f"--out names a folder, {out.name} is a file", hint=f"--out {out.parent}")
    settings = Settings(replicates=replicates, draws=draws, seed=seed)
    folder = home_of(context).cache / "calibration"
    code = code_fingerprint(study.__name__)
    hours = sum(part.work(settings) for part in study.PARTS) / 3.6e6 / jobs
    typer.echo(f"{len(study.PARTS)} parts, about {60 * hours:.0f} min on idle cores", err=True)
    try:
        for step in run(settings, folder, code=code, jobs=jobs, parts=study.PARTS):
            _say(step, settings)
        found = load(settings, folder, code=code, parts=study.PARTS)
        if out is not None:
            _write(found, out)
    except OSError as error:
        raise StoreError(f"the study cannot be kept: {error}") from error
    if as_json:
        echo_json({"settings": dataclasses.asdict(settings), "parts": list(_facts(found))})
    else:
        echo_table(list(_summary(found)))


def _write(found: Results, folder: Path) -> None:
    from leaderboards.guide.calibration import write

    for file in write(found, folder):
        typer.echo(f"written: {file}", err=True)


def _say(step: Progress, settings: Settings) -> None:
    place = f"[{step.done:{len(str(step.total))}}/{step.total}]"
    if not step.seconds:
        typer.echo(f"{place} {step.part.title}: kept from before", err=True)
        return
    left = f"; about {math.ceil(step.left / 60)} min left" if step.done < step.total else ""
    typer.echo(f"{place} {step.part.title}: {step.seconds:.0f} s{left}", err=True)


def _facts(found: Results) -> Iterator[dict[str, object]]:
    for part, finding in found.findings.items():
        yield {
            "kind": part.kind,
            "design": part.design.title,
            "times": part.times,
            "systems": part.systems,
            **finding.plain(),
        }


def _summary(found: Results) -> Iterator[dict[str, object]]:
    """False positives in MAE, percent."""
    from harness.stats.calibration import CANDIDATES

    for part, finding in found.of("null").items():
        rates = {name: finding.rate("mae", name, "missed") for name in CANDIDATES}
        yield {
            "false positives in MAE (%)": part.design.title,
            **{
                name: "" if rate is None else f"{100 * rate.share:.1f}"
                for name, rate in rates.items()
            },
        }
