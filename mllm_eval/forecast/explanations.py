"""What explaining the clips of a corpus takes, before anything is asked and without a server."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mllm_eval.explain.write import CLUES, Explainer
from mllm_eval.forecast.estimates import Forecast, media_bytes, price_of, tokens_of
from mllm_eval.media import sampling as media
from mllm_eval.media.sampling import Clip
from mllm_eval.model.card import ModelCard, known
from mllm_eval.prompt.prompt import Rendered

__all__ = ["explanation_forecasts"]


def explanation_forecasts(
    explainer: Explainer, clips: Sequence[Clip], corpus: str, rate: float | None = None
) -> tuple[Forecast, Forecast]:
    """What both stages take: every note answered, each of the longest that is allowed.

    Args:
        explainer: Who would explain; no server of its clients is asked.
        clips: Of the corpus.
        corpus: Its name.
        rate: Answers a second of either stage; None: not known, for ratings are far shorter.
    """
    wanted = [(clip, sense) for clip in clips for sense in explainer.senses(clip)]
    noted: dict[str, list[str]] = {}
    for clip, sense in wanted:
        noted.setdefault(clip.id, []).append(CLUES[sense])
    notes, rewriting = explainer.notes, explainer.rewriting
    longest = notes.sampling.max_tokens
    shown = {  # apart, for frames and sound are not of one size
        sense: [clip for clip, of in wanted if of == sense and not explainer.from_words]
        for sense in CLUES
    }
    return (
        _stage(
            *("notes", notes.client.model, corpus),
            clips=len(clips),
            not_shown=len(clips) - len(noted),
            questions=len(wanted),
            sent=_with_frames(
                sum(_words(explainer.note_words(clip, sense)) for clip, sense in wanted),
                len(shown["vision"]) * explainer.frames.frames,
                known(notes.client.model),
                explainer.frames.size,
            ),
            received=len(wanted) * (longest + notes.sampling.thinking),
            media_bytes=sum(
                media_bytes(
                    clips_of_it,
                    partial(media.parts, condition=sense, sampling=explainer.frames),
                )
                for sense, clips_of_it in shown.items()
            ),
            rate=rate,
        ),
        _stage(
            *("rewriting", rewriting.client.model, corpus),
            clips=len(noted),
            not_shown=0,
            questions=len(noted),
            sent=sum(
                _words(explainer.rewriting_words(clip, dict.fromkeys(noted[clip.id], "")))
                + longest * len(noted[clip.id])
                for clip in clips
                if clip.id in noted
            ),
            received=len(noted) * (rewriting.sampling.max_tokens + rewriting.sampling.thinking),
            media_bytes=0,
            rate=rate,
        ),
    )


def _stage(
    name: str,
    model: str,
    corpus: str,
    *,
    clips: int,
    not_shown: int,
    questions: int,
    sent: int | None,
    received: int,
    media_bytes: int,
    rate: float | None,
) -> Forecast:
    return Forecast(
        corpus=corpus,
        row=name,
        model=model,
        clips=clips,
        not_shown=not_shown,
        questions=questions,
        prompt_tokens=sent,
        completion_tokens=received,
        media_bytes=media_bytes,
        rate=rate,
        rate_from="not known" if rate is None else "stated",
        price=price_of(known(model), sent, received),
    )


def _words(words: Rendered) -> int:
    return tokens_of(f"{words.system}{words.user}")


def _with_frames(said: int, frames: int, card: ModelCard | None, size: int) -> int | None:
    """Tokens of words and frames; None where frames are shown whose tokens no card tells."""
    each = card.frame_tokens(size) if card is not None else None
    if frames and each is None:
        return None
    return said + frames * (each or 0)
