"""``msa replay``: whether a stored run comes out the same today."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.runs.replay import Replay

__all__ = ["RunArgument", "register"]

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="The first digits of a run's key, or SUITE:ROW:CORPUS:SEED."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(_replay)


def _replay(
    context: typer.Context,
    run: RunArgument,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest tolerated difference, on the label scale.")
    ] = 1e-3,
    encoder: Annotated[
        str | None, typer.Option(help="Where its text encoder is, if it was a local folder.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Where the released weights are that it evaluated.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda; default: the run's own.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Run a stored run again: identical, within tolerance, or different (exit 1)."""
    from harness.runs.executors.local import LocalExecutor
    from harness.runs.replay import find_run, job_of, replay
    from harness.runs.store import RunStore

    home = home_of(context)
    stored = find_run(RunStore(home.store), run)
    job = job_of(stored, home, encoder=encoder, checkpoint=checkpoint, device=device)
    found = replay(stored, job, LocalExecutor(1), tolerance=tolerance)
    if as_json:
        echo_json(found.record())
    else:
        for line in _lines(found):
            typer.echo(line)
    if found.verdict == "different":
        raise typer.Exit(1)


def _lines(found: Replay) -> Iterator[str]:
    yield f"{found.key}: {found.cell}"
    yield f"{found.verdict}: {found.changed} of {found.predictions} predictions changed" + (
        "" if found.largest is None else f", by {found.largest:.3g} at most"
    )
    for name, (then, now) in found.surroundings.items():
        yield f"{name}: {then} then, {now} now"
