"""``msa mllm explain``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from harness.cli._home import home_of
from harness.cli._leak_gate import echo_leak_gate, warn_of_leak
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.cli.mllm._client import (
    AcceptOption,
    ConcurrencyOption,
    FramesOption,
    KeyOption,
    LanguageOption,
    MediaOption,
    ModelOption,
    RateOption,
    RevisionOption,
    ServerOption,
    SizeOption,
    TimeoutOption,
    addresses_of,
    card_of,
    check_rate,
    connect,
    journal_of,
    language_of,
    limits_of,
    unconnected,
)
from harness.cli.mllm._forecasts import print_forecasts
from harness.errors import DataError, RunFailed, SpecError

if TYPE_CHECKING:
    from harness.data.corpus import Corpus
    from mllm_eval.client import Client
    from mllm_eval.explain.write import Control, Explained, Explainer, ExplanationStage
    from mllm_eval.media.sampling import Clip

__all__ = ["register"]


def register(mllm_app: typer.Typer) -> None:
    """Add the command."""
    mllm_app.command("explain")(_explain)


def _explain(
    context: typer.Context,
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="As msa list corpora names it.")],
    model: ModelOption,
    feature_set: Annotated[
        str, typer.Option("--as", help="Feature set of the explained corpus.", metavar="NAME")
    ],
    server: ServerOption = None,
    media: MediaOption = None,
    rewrite_model: Annotated[
        str | None, typer.Option(help="Model that rewrites the notes; default: the same.")
    ] = None,
    rewrite_server: Annotated[
        list[str] | None, typer.Option(help="Its server; default: the same.", metavar="URL")
    ] = None,
    control: Annotated[
        str,
        typer.Option(
            help="none; transcript: notes imagined from the words alone; shuffled: another clip's."
        ),
    ] = "none",
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Explain N clips of each split: a trial corpus."),
    ] = None,
    language: LanguageOption = None,
    frames: FramesOption = 8,
    size: SizeOption = 448,
    ratings: Annotated[
        bool, typer.Option("--ratings", help="Keep texts that name a rating, too.")
    ] = False,
    leave_failed: Annotated[
        bool, typer.Option("--leave-failed", help="As --accept-failed 1.")
    ] = False,
    accept_failed: AcceptOption = 0.0,
    concurrency: ConcurrencyOption = None,
    timeout: TimeoutOption = None,
    revision: RevisionOption = "",
    rewrite_revision: RevisionOption = "",
    key_variable: KeyOption = "",
    rewrite_key_variable: KeyOption = "",
    plan_only: Annotated[
        bool,
        typer.Option("--plan", help="Count questions, tokens, bytes, price; no server is asked."),
    ] = False,
    rate: RateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Have a model explain the clips of a corpus: audio clue, visual clue, summary.

    Notes of what is heard and what is seen come first, then a model that reads rewrites them. What
    was answered is never asked again: repeat the same command after a stop. The result is a corpus
    of its own, for systems that read explanations.
    """
    from harness import data
    from harness.checks.leak_gate import measure
    from harness.data.readers import explanations
    from harness.data.store import CorpusStore
    from harness.data.trials import trial_name
    from mllm_eval.client import Journal
    from mllm_eval.explain.write import LONGEST_NOTE, LONGEST_REWRITING, Explainer, shuffled
    from mllm_eval.forecast.explanations import explanation_forecasts
    from mllm_eval.media.sampling import SENSES, FrameSampling

    home = home_of(context)
    known = data.load(corpus if limit is None else trial_name(corpus, limit), home)
    explanations.check_bare(known)
    explanations.explained_name(known, feature_set)
    chosen = _control(control, media)
    spoken, card = language_of(language, known), card_of(model)
    if card and media is not None:
        card.check_senses(SENSES, f"--media with prompt explain-{spoken}")
        card.check_budget(frames, size, "--media")
    check_rate(rate, plan_only=plan_only)
    if plan_only:
        writer, rewriter = unconnected(model), unconnected(rewrite_model or model)
    else:
        limits = limits_of(concurrency, timeout)
        writer = connect(addresses_of(server), model, revision, key_variable, limits)
        rewriter = writer
        if rewrite_model or rewrite_server:
            rewriter = connect(
                addresses_of(rewrite_server or server),
                rewrite_model or model,
                rewrite_revision or revision,
                rewrite_key_variable or key_variable,
                limits,
            )
    explainer = Explainer(
        notes=_stage(writer, LONGEST_NOTE),
        rewriting=_stage(rewriter, LONGEST_REWRITING),
        language=spoken,
        from_words=chosen == "transcript",
        frames=FrameSampling(frames=frames, size=size),
        ratings=ratings,
    )
    clips = _clips(known, media, explainer)
    if plan_only:
        found = explanation_forecasts(explainer, clips, known.name, rate)
        print_forecasts({"corpus": known.name}, found, as_json=as_json)
        return
    with Journal(journal_of(home, f"explain-{known.name}")) as journal:
        explained = explainer.explain(clips, journal)
    accepted = 1.0 if leave_failed else accept_failed
    _check(explained, accepted)
    texts = explained.texts
    if chosen == "shuffled":
        texts = shuffled(texts, known.clips)
    added = CorpusStore(home.corpora).add(
        explanations.explain(
            known,
            texts,
            feature_set=feature_set,
            kind=explainer.kind,
            source=explainer.provenance(explained, chosen, accepted),
            gate=measure(known, texts),
        )
    )
    _report(added, explained, as_json=as_json)


def _control(name: str, media: Path | None) -> Control:
    from mllm_eval.explain.write import Control

    if name not in get_args(Control):
        raise SpecError(f"--control is one of {', '.join(get_args(Control))}; found {name!r}")
    if name == "transcript" and media is not None:
        raise SpecError("--control transcript shows no media: leave --media out")
    if name != "transcript" and media is None:
        raise SpecError(
            "explanations are told from recordings",
            hint="--media DIR, or --control transcript to imagine them from the words alone",
        )
    return cast("Control", name)


def _stage(client: Client, longest: int) -> ExplanationStage:
    from mllm_eval.client import TokenSampling
    from mllm_eval.explain.write import ExplanationStage

    card = card_of(client.model)
    if card is None:
        return ExplanationStage(client=client, sampling=TokenSampling(max_tokens=longest))
    return ExplanationStage(
        client=client,
        sampling=card.sampling(max_tokens=longest),
        extra=card.extra,
        senses=card.senses,
        system=card.system,
    )


def _clips(corpus: Corpus, media: Path | None, explainer: Explainer) -> Sequence[Clip]:
    from mllm_eval.media.clips import clips_of

    clips = clips_of(corpus.clips, media)
    if media is None:
        return clips
    senses = [explainer.senses(clip) for clip in clips]
    heard, seen = (sum(sense in held for held in senses) for sense in ("audio", "vision"))
    if not heard + seen:
        taken = " and ".join(sorted(explainer.notes.senses))
        raise DataError(
            f"{media} has no recording of any of the {len(clips)} clips of {corpus.name}"
            f" with {taken}, which the model takes",
            hint=f"name them like {clips[0].id}.mp4, or list them in {media / 'manifest.csv'}",
        )
    typer.echo(f"{len(clips)} clips: sound of {heard}, frames of {seen}", err=True)
    return clips


def _check(explained: Explained, accepted: float) -> None:
    if not explained.share_unsettled <= accepted:
        raise RunFailed(
            f"{explained.unsettled} clips failed in transport: {_tally(explained)}",
            hint="repeat the same command: what was answered is kept; or let a share of the clips"
            " stay without: --accept-failed SHARE",
        )
    if not explained.texts.any(axis=None):
        raise RunFailed(
            f"no text can stand as an explanation: {_tally(explained)}",
            hint="the journal has what the model said",
        )


def _tally(explained: Explained) -> str:
    return "; ".join(
        f"{name}: " + ", ".join(f"{count} {status}" for status, count in statuses.items())
        for name, statuses in explained.statuses().items()
    )


def _report(corpus: Corpus, explained: Explained, *, as_json: bool) -> None:
    facts = {
        "corpus": corpus.name,
        "data": corpus.fingerprint,
        "side_info": corpus.manifest["side_info"],
        "explanations": corpus.manifest["explanations"],
    }
    if as_json:
        echo_json(facts)
        warn_of_leak(corpus)
        return
    typer.echo(f"{corpus.name}: {len(corpus.clips)} clips, data {corpus.fingerprint[:12]}")
    typer.echo(f"side information: {facts['side_info']}")
    echo_table([{"text": name, **statuses} for name, statuses in explained.statuses().items()])
    echo_leak_gate(corpus)
