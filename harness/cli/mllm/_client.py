"""What commands that query a model share: its server as options, progress on standard error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.data.corpus import Corpus
    from harness.home import Home
    from mllm_eval.client import Client, Limits
    from mllm_eval.model.card import ModelCard
    from mllm_eval.prompt.instruction import Language

__all__ = [
    "AcceptOption",
    "ConcurrencyOption",
    "FramesOption",
    "KeyOption",
    "LanguageOption",
    "MediaOption",
    "ModelOption",
    "RateOption",
    "RevisionOption",
    "ServerOption",
    "SizeOption",
    "TimeoutOption",
    "addresses_of",
    "card_of",
    "check_rate",
    "connect",
    "journal_of",
    "language_of",
    "limits_of",
    "unconnected",
]

_SERVER = (
    "Base URL of the server, up to /v1; repeat it for several that serve the model alike. Default:"
    " what the model's card names."
)
ServerOption = Annotated[list[str] | None, typer.Option("--server", help=_SERVER, metavar="URL")]
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
AcceptOption = Annotated[
    float,
    typer.Option(
        "--accept-failed",
        min=0.0,
        max=1.0,
        metavar="SHARE",
        help="Share of clips that may lack an answer after all attempts; counted and recorded.",
    ),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(
        "--concurrency", min=1, help="Requests in flight at most, for each server; default: 64."
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0.001, help="Seconds that an answer may take; default: 120.", metavar="S"
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--rate",
        min=0.001,
        metavar="R",
        help="With --plan: answers a second; default: measured, where ratings were asked for.",
    ),
]
FramesOption = Annotated[int, typer.Option(help="Frames shown of a clip.")]
SizeOption = Annotated[int, typer.Option(help="Longest side of a frame, pixels.")]


def card_of(model: str) -> ModelCard | None:
    """The card of a model served under its card's name or hub id, if it has one."""
    from mllm_eval.model.card import known

    return known(model)


def addresses_of(servers: Sequence[str] | None) -> str:
    """One or several base URLs as clients take them."""
    return ",".join(servers or ())


def connect(
    server: str, model: str, revision: str, key: str, limits: Limits | None = None
) -> Client:
    """A client that knows which weights and which engine answer; None tries as hard as usual.

    Raises:
        NotHere: When neither a server is named nor the card names one.
        RunFailed: When it does not answer or refuses.
    """
    from mllm_eval.client import Client, Limits, ask_served

    card = card_of(model)
    asked_as = card.asked_as if card else ""
    if card and card.hosted:
        key, revision = key or card.key_variable, revision or card.revision
        server = server or card.base_url
    served = ask_served(server, asked_as or model, stated=revision, key_variable=key)
    return Client(
        asked_as=asked_as,
        audio_part=card.audio_part if card else "input_audio",
        frame_part=card.frame_part if card else "image_url",
        base_url=server,
        model=model,
        revision=served.revision,
        engine=served.engine,
        arguments=served.arguments,
        key_variable=key or None,
        limits=limits or Limits(),
    )


def unconnected(model: str) -> Client:
    """A client for counting what would be asked: it knows no server."""
    from mllm_eval.client import Client

    return Client(base_url="", model=model, revision="", engine="")


def check_rate(rate: float | None, *, plan_only: bool) -> None:
    """Refuse a rate where something is asked."""
    if rate is not None and not plan_only:
        raise SpecError("--rate goes with --plan: a run takes as long as it takes")


def limits_of(concurrency: int | None, timeout: float | None) -> Limits:
    """How hard to try, as the options say."""
    from mllm_eval.client import Limits

    return Limits.asked(most=concurrency, timeout=timeout)


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
