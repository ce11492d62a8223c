"""What commands that query a model share: its server as options, progress on standard error."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.data.corpus import Corpus
    from harness.home import Home
    from mllm_eval.client import Answer, Client
    from mllm_eval.model.card import ModelCard
    from mllm_eval.prompt.instruction import Language

__all__ = [
    "FramesOption",
    "KeyOption",
    "LanguageOption",
    "MediaOption",
    "ModelOption",
    "RevisionOption",
    "ServerOption",
    "SizeOption",
    "Ticker",
    "card_of",
    "connect",
    "journal_of",
    "language_of",
]

ServerOption = Annotated[str, typer.Option(help="Base URL of the server, up to /v1.")]
ModelOption = Annotated[str, typer.Option(help="Name of the model that the server knows.")]
RevisionOption = Annotated[
    str, typer.Option(help="Of the weights or snapshot, where the server cannot tell.")
]
KeyOption = Annotated[
    str, typer.Option(help="Environment variable that holds the API key.", metavar="NAME")
]
MediaOption = Annotated[
    Path | None, typer.Option(help="Folder of the clips' recordings.", metavar="DIR")
]
LanguageOption = Annotated[
    str | None, typer.Option(help="en or zh; default: the language of the dataset.")
]
FramesOption = Annotated[int, typer.Option(help="Frames shown of a clip.")]
SizeOption = Annotated[int, typer.Option(help="Longest side of a frame, pixels.")]

_EVERY = 10.0  # seconds between lines


def card_of(model: str) -> ModelCard | None:
    """The card of a model served under its card's name or hub id, if it has one."""
    from mllm_eval.model.card import known

    return known(model)


def connect(server: str, model: str, revision: str, key: str) -> Client:
    """A client that knows which weights and which engine answer."""
    from mllm_eval.client import Client, ask_served

    served = ask_served(server, model, stated=revision, key_variable=key)
    return Client(
        base_url=server,
        model=model,
        revision=served.revision,
        engine=served.engine,
        key_variable=key or None,
    )


def language_of(given: str | None, corpus: Corpus) -> Language:
    """The language asked for, else that of the dataset.

    Raises:
        SpecError: For another than English or Chinese.
    """
    from mllm_eval.prompt.instruction import Language

    chosen = given or corpus.dataset.language
    if chosen not in get_args(Language):
        raise SpecError(f"--language is one of {', '.join(get_args(Language))}; found {chosen!r}")
    return cast("Language", chosen)


def journal_of(home: Home, name: str) -> Path:
    """Where the answers of a command are kept between its calls."""
    return home.cache / "mllm" / f"{name}.jsonl"


class Ticker:
    """Says every few seconds how many answers have come."""

    def __init__(self) -> None:
        self._count = 0
        self._reported = time.monotonic()

    def __call__(self, answer: Answer) -> None:
        """Count an answer."""
        self._count += 1
        if time.monotonic() - self._reported >= _EVERY:
            self._reported = time.monotonic()
            typer.echo(f"{self._count} answers", err=True)
