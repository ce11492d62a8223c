"""The command line: ``msa`` = ``python -m harness``.

One module per group of commands, which imports what it needs inside the commands, so that
``msa --help`` stays instant. Exit codes: 0 done, 1 the work failed, 2 wrong input.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from harness._util.environment import environment
from harness._util.extras import explained
from harness._util.siblings import refuse_strangers
from harness._util.streams import guarded
from harness.cli import (
    boards,
    card,
    carry,
    check,
    clips,
    compare,
    data,
    doctor,
    export,
    extract,
    fuse,
    lint,
    lists,
    mllm,
    new,
    paper,
    plans,
    predict,
    prune,
    publish,
    replay,
    reproduce,
    run,
    runs,
    schema,
    score,
    status,
    store,
    study,
    submit,
    tune,
    verify,
    weights,
)
from harness.cli._disk import disk_named
from harness.cli._output import complain
from harness.errors import HarnessError
from harness.home import Home

__all__ = ["app", "main"]

_ASKED_BY_SHELL = "_MSA_COMPLETE"  # set where a shell wants to know how a line may go on

app = typer.Typer(
    name="msa",
    help="Benchmark harness and leaderboards for multimodal sentiment analysis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # panels cost as much time as all the rest of `msa --help`
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    *(
        run,
        carry,
        tune,
        status,
        runs,
        plans,
        lists,
        card,
        data,
        score,
        compare,
        boards,
        clips,
        paper,
    ),
    *(reproduce, study, new, check),
    *(extract, predict, weights, submit, fuse, mllm, lint, schema),
    *(verify, publish, replay, prune, store, export, doctor),
):
    group.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        import harness

        typer.echo(f"msa {harness.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(help="Folder of corpora, runs and boards.", envvar="MSA_HOME", metavar="DIR"),
    ] = None,
    plugins: Annotated[
        Path | None,
        typer.Option(
            help="Folder of own systems/, datasets/, metrics/ … (default: where DIR of --home is).",
            envvar="MSA_PLUGINS",
            metavar="DIR",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    # Registries and workers look there too, for this call.
    given = {"MSA_HOME": home, "MSA_PLUGINS": plugins}
    context.with_resource(
        environment({k: str(v.absolute()) for k, v in given.items() if v is not None})
    )
    context.obj = Home.default()
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s")


def _called() -> None:
    if _ASKED_BY_SHELL not in os.environ:
        app(prog_name="msa")
        return
    from harness.cli._completion import completing

    completing(app)(prog_name="msa")


def main() -> None:
    """Run the command line; a deliberate error becomes one line and an exit code."""
    with guarded():
        try:
            with explained(), disk_named():
                refuse_strangers()
                _called()
        except HarnessError as error:
            if "--debug" in sys.argv:
                traceback.print_exc()
                sys.exit(error.exit_code)
            complain(f"error: {error}", colour="red")
            if error.hint:
                complain(f"next: {error.hint}")
            sys.exit(error.exit_code)
