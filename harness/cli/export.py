"""``msa export``: projections of the run store into other tools."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli._home import home_of

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
    uri: Annotated[
        str | None,
        typer.Option(
            help="Tracking URI, e.g. http://127.0.0.1:5000; default: SQLite in the home. The"
            " password of USER@HOST is that in MSA_TRACKING_PASSWORD.",
            envvar="MSA_TRACKING_URI",
        ),
    ] = None,
) -> None:
    """Project stored runs into MLflow; runs already there are left alone."""
    from harness.runs.store import RunStore
    from harness.tracking import export as tracking

    home = home_of(context)
    report = tracking.export(RunStore(home.store), uri or f"sqlite:///{home.mlflow_db}")
    typer.echo(
        f"{report.created} runs exported, {report.present} already there, {report.seconds:.1f} s"
    )
