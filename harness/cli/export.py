"""``msa export``: projections of the run store into other tools."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, complain, echo_json

if TYPE_CHECKING:
    from harness.home import Home
    from harness.runs.store import RunStore

__all__ = ["register"]

_export = typer.Typer(help="Export stored runs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_export, name="export")


@_export.callback()
def _group() -> None:
    """Keep ``mlflow`` a named command though it is the only one."""


@_export.command("mlflow")
def _mlflow(
    context: typer.Context,
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="SUITE", help="Only runs of these; default: all that is here."),
    ] = None,
    uri: Annotated[
        str | None,
        typer.Option(
            help="Tracking URI, e.g. http://127.0.0.1:5000; default: SQLite in the home. The"
            " password of USER@HOST is that in MSA_TRACKING_PASSWORD.",
            envvar=["MSA_TRACKING_URI", "MLFLOW_TRACKING_URI"],
        ),
    ] = None,
    artifact_root: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where new experiments keep artifacts, unless a server decides; default:"
            " mlflow-artifacts in the home, or beside the file of another database.",
        ),
    ] = None,
    files: Annotated[
        bool,
        typer.Option(
            "--files/--no-files", help="Attach boards, and predictions and manifests of runs."
        ),
    ] = True,
    figures: Annotated[bool, typer.Option("--figures", help="Attach figures of boards.")] = False,
    weights: Annotated[
        bool, typer.Option("--weights", help="Register kept weights as versions of models.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Project stored runs and boards into MLflow; what is already there is left alone."""
    from harness.runs.store import RunStore
    from harness.tracking import export as tracking

    home = home_of(context)
    store = RunStore(home.store)
    default = f"sqlite:///{home.mlflow_db}"
    root = artifact_root or (home.mlflow_artifacts if uri is None else None)
    with _boards(home, store, suites, files=files, figures=figures) as boards:
        report = tracking.export(
            store,
            uri or default,
            suites=suites or None,
            artifacts=None if root is None else root.absolute(),
            files=files,
            boards=boards,
            weights=weights,
        )
    if as_json:
        echo_json(
            {
                "created": report.created,
                "present": report.present,
                "boards": report.boards,
                "registered": report.registered,
                "seconds": report.seconds,
                "where": report.where,
                "left_out": report.left_out,
            }
        )
        return
    typer.echo(
        f"{report.created} runs exported, {report.present} already there, {report.seconds:.1f} s"
    )
    for corpus, count in report.left_out.items():
        complain(
            f"left out: {count} runs on {corpus}, whose dataset nothing installed here defines",
            colour="yellow",
        )
    for number, what in ((report.boards, "boards attached"), (report.registered, "models")):
        if number:
            typer.echo(f"{number} {what}")
    typer.echo(f"in {report.where}")
    if report.artifacts is not None:
        typer.echo(f"artifacts of new experiments in {report.artifacts}")
    if report.where.startswith("sqlite:///"):
        typer.echo(
            f"next: mlflow server --backend-store-uri {report.where}, then open"
            " http://127.0.0.1:5000/#/experiments?workflowType=machine_learning"
        )


@contextlib.contextmanager
def _boards(
    home: Home, store: RunStore, suites: list[str] | None, *, files: bool, figures: bool
) -> Iterator[dict[str, list[Path]]]:
    """The files of every written board, its plan and suite; figures as long as the block runs."""
    import leaderboards

    found: dict[str, list[Path]] = {}
    unwritten: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for suite in suites or store.plans() if files or figures else ():
            board = home.boards / f"{suite}.md"
            if not board.is_file():
                unwritten.append(suite)
            else:
                made_of = [store.plan_file(suite), home.suite_files().get(suite)]
                given = [*leaderboards.files_of(board), *filter(None, made_of)]
                found[suite] = [file for file in given if file.is_file()] if files else []
                if figures:
                    found[suite] += leaderboards.draw(store, suite, Path(folder))
        yield found
    for suite in unwritten:
        complain(
            f"no board of {suite} is written, none was attached: msa board {suite}",
            colour="yellow",
        )
