"""``msa predict``: stored, exported or released weights applied to clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli._home import home_of
from harness.cli._memory import MemoryOption
from harness.cli._output import JsonFlag, complain, echo_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(_predict)


def _predict(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FOLDER|FILE.pth",
            help="A stored run (digits of its key, or SUITE:ROW:CORPUS:SEED), a folder of msa"
            " weights, or released weights.",
        ),
    ],
    on: Annotated[
        str,
        typer.Option(
            metavar="CORPUS|FILE|FOLDER",
            help="A corpus, a table of clips (id, text), a pickle of features, or recordings.",
        ),
    ],
    to: Annotated[
        Path, typer.Option(metavar="FILE", help="Predictions: .csv, .parquet or .jsonl.")
    ],
    split: Annotated[str, typer.Option(help="Of a corpus: train, valid, test or all.")] = "test",
    system: Annotated[
        str | None, typer.Option(help="Of released weights: what they are of.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Where its text encoder is, if it was a local folder.")
    ] = None,
    space_encoder: Annotated[
        str | None,
        typer.Option(help="The same of the encoder that makes the text stream of recordings."),
    ] = None,
    whisper: Annotated[
        str | None,
        typer.Option(help="Transcribe recordings with these faster-whisper weights."),
    ] = None,
    openface: Annotated[
        Path | None, typer.Option(help="Folder of OpenFace tables of the recordings.")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Processes that extract features.")
    ] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    memory: MemoryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Predict clips with trained weights; on the run's own corpus, what it stored, bit for bit."""
    import harness

    found = harness.predict(
        *(source, on),
        to=to,
        split=split,
        system=system,
        encoder=encoder,
        space_encoder=space_encoder,
        whisper=whisper,
        openface=openface,
        workers=jobs,
        device=device,
        home=home_of(context),
    )
    for notice in found.notices:
        complain(f"warning: {notice}", colour="yellow")
    if as_json:
        echo_json(
            {
                "weights": found.weights,
                "system": found.system,
                "dataset": found.dataset,
                "encoder": found.encoder,
                "on": found.on,
                "clips": len(found.table),
                "to": str(to),
                "warnings": list(found.notices),
            }
        )
        return
    typer.echo(f"{to}: {len(found.table)} clips of {found.on} by {found.system} ({found.weights})")
