"""``msa mllm canary``: is the served model the model, and does it take in what it is shown?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.cli.mllm._client import (
    ConcurrencyOption,
    FramesOption,
    KeyOption,
    MediaOption,
    RevisionOption,
    ServerOption,
    SizeOption,
    TimeoutOption,
    addresses_of,
    connect,
    limits_of,
)

if TYPE_CHECKING:
    from harness.home import Home
    from mllm_eval.canary.check import Canary, CanaryFinding, Item
    from mllm_eval.model.card import ModelCard

__all__ = ["register"]


def register(mllm_app: typer.Typer) -> None:
    """Add the command."""
    mllm_app.command("canary")(_canary)


def _canary(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Card, hub id or folder, as it is served.")
    ],
    server: ServerOption = None,
    reference: Annotated[
        Literal["transformers", "none"], typer.Option(help="Engine to compare with.")
    ] = "transformers",
    corpus: Annotated[
        str | None, typer.Option(help="Show its validation clips, not made items.")
    ] = None,
    media: MediaOption = None,
    prompt: Annotated[str, typer.Option(help="Asks for scores (msa list prompts).")] = "en-levels",
    count: Annotated[int, typer.Option("--items", min=2, help="Items at most.")] = 32,
    frames: FramesOption = 8,
    size: SizeOption = 448,
    concurrency: ConcurrencyOption = None,
    timeout: TimeoutOption = None,
    revision: RevisionOption = "",
    key_variable: KeyOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Check a served model on 32 items: against another engine, other orders, blanked media."""
    from mllm_eval.canary.check import Canary
    from mllm_eval.media.sampling import SENSES, FrameSampling
    from mllm_eval.model.card import resolve
    from mllm_eval.prompt.prompt import prompts

    home, card = home_of(context), resolve(model)
    if media is not None:
        card.check_senses(SENSES, f"--media with prompt {prompt}")
        card.check_budget(frames, size, "--media")
    card.check_answer(prompts[prompt].answer, f"prompt {prompt}")
    items = _items(card, corpus, media, FrameSampling(frames=frames, size=size), count, home)
    client = connect(
        *(addresses_of(server), card.name, revision, key_variable or card.key_variable),
        limits_of(concurrency, timeout),
    )
    canary = Canary(client, card, prompts[prompt], items)
    found = _found(canary, card, home, reference if not card.hosted else "none")
    if as_json:
        facts = {"model": card.name, "revision": client.revision, "engine": client.engine}
        echo_json({**facts, "findings": [dataclasses.asdict(one) for one in found]})
    else:
        typer.echo(f"{card.name}, {client.engine}, weights {client.revision[:12]}")
        _print(found)
    if not all(one.passed for one in found):
        raise typer.Exit(1)


def _items(
    card: ModelCard, corpus: str | None, media: Path | None, frames: object, count: int, home: Home
) -> Sequence[Item]:
    from harness import data
    from mllm_eval.canary.check import clips, made, senses_of
    from mllm_eval.media.sampling import FrameSampling

    senses = senses_of(card)
    if corpus is None:
        return made(senses, count)
    assert isinstance(frames, FrameSampling)
    shown = senses if media is not None else frozenset()
    return clips(data.load(corpus, home).split("valid"), media, shown, frames, count)


def _found(canary: Canary, card: ModelCard, home: Home, engine: str) -> list[CanaryFinding]:
    from mllm_eval.server.reference import reference

    if engine == "none":
        return canary.findings(None)
    with reference(card, cache=home.servers) as other:
        return canary.findings(other.answer)


def _print(found: Sequence[CanaryFinding]) -> None:
    rows = [
        {
            "check": one.check,
            "measure": one.measure,
            "items": one.items,
            "value": _number(one.value),
            "limit": _number(one.limit),
            "": "ok" if one.passed else "LOOK",
            "verdict": one.verdict,
        }
        for one in found
    ]
    echo_table(rows, right=frozenset({"items", "value", "limit"}))


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "undefined"
