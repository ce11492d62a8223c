"""``msa mllm probe``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._memory import MemoryOption
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text, write_file
from harness.cli.mllm._client import (
    AcceptOption,
    ConcurrencyOption,
    FramesOption,
    KeyOption,
    LanguageOption,
    MediaOption,
    ModelOption,
    RevisionOption,
    ServerOption,
    SizeOption,
    TimeoutOption,
    addresses_of,
    card_of,
    connect,
    journal_of,
    language_of,
    limits_of,
)
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness._util.canonical import Json
    from harness.data.corpus import Corpus
    from harness.home import Home
    from mllm_eval.model.card import ModelCard
    from mllm_eval.probe.estimate import ProbeFinding
    from mllm_eval.probe.questions import Prober, Replies

__all__ = ["register"]


def register(mllm_app: typer.Typer) -> None:
    """Add the command."""
    mllm_app.command("probe")(_probe)


def _probe(
    context: typer.Context,
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="As msa list corpora names it.")],
    model: ModelOption,
    server: ServerOption = None,
    media: MediaOption = None,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    most: Annotated[
        int, typer.Option("--clips", min=1, help="Clips at most; those with recordings first.")
    ] = 200,
    only: Annotated[
        list[str] | None, typer.Option(help="Probes to make; repeatable. Default: all.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Asks for scores; default: the direct one.")
    ] = None,
    rewordings: Annotated[
        Path | None,
        typer.Option(help="Table of id and text: the transcripts in other words."),
    ] = None,
    constrained: Annotated[
        bool, typer.Option("--constrained", help="Have the server hold scores to their form.")
    ] = False,
    language: LanguageOption = None,
    frames: FramesOption = 8,
    size: SizeOption = 448,
    revision: RevisionOption = "",
    key_variable: KeyOption = "",
    accept_failed: AcceptOption = 0.0,
    concurrency: ConcurrencyOption = None,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Find out whether a model has seen a test set, and whether it uses what it is shown.

    Completion and recall look for memory; wording, swap, blank and hearing for what answers rest
    on. What was answered is never asked again.
    """
    from harness import data
    from mllm_eval.client import Journal, TokenSampling
    from mllm_eval.media.sampling import SENSES
    from mllm_eval.media.sampling import FrameSampling as Frames
    from mllm_eval.probe.probes import PROBES, findings
    from mllm_eval.probe.questions import Prober, choose
    from mllm_eval.prompt.prompt import prompts

    names = _names(only, tuple(PROBES))
    home = home_of(context)
    known = data.load(corpus, home)
    spoken, card = language_of(language, known), card_of(model)
    chosen = prompts[prompt or f"{spoken}-direct"]
    if card is not None:
        card.check_answer(chosen.answer, f"prompt {chosen.name}")
        _check_senses(card, only or (), media, chosen.name)
        if media is not None:
            card.check_budget(frames, size, "--media")
    prober = Prober(
        client=connect(
            *(addresses_of(server), model, revision, key_variable), limits_of(concurrency, timeout)
        ),
        prompt=chosen,
        language=spoken,
        frames=Frames(frames=frames, size=size),
        sampling=card.sampling() if card else TokenSampling(),
        extra=card.extra if card else {},
        system=card.system if card else "",
        rewordings=_reworded(rewordings),
        constrained=constrained,
    )
    subject = choose(known, split, media, most, card.senses if card else SENSES)
    with Journal(journal_of(home, f"probe-{known.name}")) as journal:
        replies = prober.ask(names, subject, journal, accept=accept_failed)
    found = findings(names, replies)
    facts = _facts(known, split, prober, replies, found) | {"accepted": accept_failed}
    stored = _store(home, facts)
    if as_json:
        echo_json({**facts, "stored": str(stored)})
    else:
        _print(facts, found, replies.outcomes, stored)


def _names(only: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    unknown = [name for name in only or () if name not in known]
    if unknown:
        raise SpecError(f"probes are {', '.join(known)}; found {unknown[0]!r}")
    return [name for name in known if not only or name in only]


def _check_senses(card: ModelCard, only: Sequence[str], media: Path | None, prompt: str) -> None:
    """Refuse what the model cannot be shown: probes that were named, and recordings."""
    from mllm_eval.media.sampling import SENSES
    from mllm_eval.probe.questions import SHOWS

    for name in only:
        card.check_senses(SHOWS[name], f"probe {name} with prompt {prompt}")
    if media is not None:
        card.check_senses(SENSES, f"--media with prompt {prompt}")


def _reworded(path: Path | None) -> Mapping[str, str]:
    """Clip id -> text of a table."""
    from harness.data.readers.predictions import read_predictions_table

    if path is None:
        return {}
    table = read_predictions_table(path).frame
    if not {"id", "text"} <= set(table):
        raise SpecError(f"{path.name}: expected the columns id and text")
    rows = table.dropna(subset=["text"])
    return dict(zip(rows["id"].astype(str), rows["text"].astype(str), strict=True))


def _facts(
    corpus: Corpus, split: str, prober: Prober, replies: Replies, found: Sequence[ProbeFinding]
) -> dict[str, Json]:
    from mllm_eval.probe.probes import hears

    return {
        "corpus": corpus.name,
        "data": corpus.fingerprint,
        "split": split,
        "asked": len(replies.subject.clips),
        "recordings": sum(held != {"text"} for held in replies.subject.held),
        "probed": prober.record(),
        "outcomes": replies.outcomes,
        "findings": [one.record() for one in found],
        "hears": hears(found),
    }


def _store(home: Home, facts: Mapping[str, Json]) -> Path:
    """Keep the findings under the home; the same probe of the same model is one file."""
    from harness._util.canonical import digest, dumps

    identity = {name: facts[name] for name in ("data", "split", "asked", "recordings", "probed")}
    path = home.root / "probes" / f"{facts['corpus']}-{digest(identity)[:12]}.json"
    write_file(path, dumps(facts, indent=1) + "\n")
    return path


def _print(
    facts: Mapping[str, Json],
    found: Sequence[ProbeFinding],
    outcomes: Mapping[str, Mapping[str, int]],
    stored: Path,
) -> None:
    echo_text(
        f"{facts['corpus']}, {facts['split']}: {facts['asked']} clips,"
        f" {facts['recordings']} with recordings"
    )
    echo_table([_row(one) for one in found], right=frozenset({"clips", "value", "95 %"}))
    counted = (f"{name} {_counted(counts)}" for name, counts in outcomes.items())
    echo_text(f"answers: {'; '.join(counted)}")
    if facts["hears"] is not None:
        typer.echo(f"claim that it hears emotion: {'holds' if facts['hears'] else 'not shown'}")
    typer.echo(f"written: {stored}")


def _row(one: ProbeFinding) -> dict[str, object]:
    estimate = one.estimate
    return {
        "probe": one.probe,
        "measure": one.measure,
        "clips": f"{estimate.clips}/{one.tried}",
        "value": _number(estimate.value),
        "95 %": f"{_number(estimate.low)} to {_number(estimate.high)}",
        "verdict": one.verdict,
    }


def _number(value: float) -> str:
    return f"{value:+.3f}" if math.isfinite(value) else "undefined"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
