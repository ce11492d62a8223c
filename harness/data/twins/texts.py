"""Rendering a story as words: transcripts and explanations."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.twins.recipe import Telling, TwinRecipe
from harness.data.twins.truth import TwinTruth
from harness.data.twins.words import CLUES, ENGLISH, MANDARIN, Lexicon

__all__ = ["Utterance", "explain", "speak"]


class Utterance(NamedTuple):
    """A transcript with what its W words carry."""

    text: str
    words: tuple[str, ...]
    valences: tuple[float, ...]
    """In context: of an opinion word after its modifier, of any other word 0."""
    mean: float
    """Mean valence of the claims."""


class _Clause(NamedTuple):
    words: tuple[str, ...]
    valences: tuple[float, ...]


def speak(recipe: TwinRecipe, truth: TwinTruth) -> list[Utterance]:
    """One utterance per clip, saying what the clip's text signal shows."""
    lexicon = MANDARIN if recipe.dataset.language == "zh" else ENGLISH
    return [
        _utter(recipe, lexicon, signal, recipe.rng(clip, "transcript"))
        for clip, signal in zip(truth.clips["id"], truth.signals[:, 0].tolist(), strict=True)
    ]


def _utter(
    recipe: TwinRecipe, lexicon: Lexicon, signal: float, rng: np.random.Generator
) -> Utterance:
    (median, spread), telling = recipe.story.length, recipe.telling
    length = max(1, round(median * np.exp(np.clip(spread * rng.standard_normal(), -2, 2))))
    aim = telling.unit * signal + telling.slip * rng.standard_normal()
    scatter = telling.scatter * rng.standard_normal(1 + length // telling.room)
    aims = aim + scatter - scatter.mean()
    claims = [_claim(lexicon, telling.negated, each, rng) for each in aims.tolist()]
    clauses = _clauses(lexicon, claims, length / len(claims), rng)
    _pad(clauses, lexicon, length, rng)
    return Utterance(
        text=lexicon.comma.join(lexicon.space.join(clause.words) for clause in clauses),
        words=tuple(word for clause in clauses for word in clause.words),
        valences=tuple(valence for clause in clauses for valence in clause.valences),
        mean=sum(claim.valences[-1] for claim in claims) / len(claims),
    )


@cache
def _claims(lexicon: Lexicon, negated: float) -> tuple[tuple[_Clause, ...], NDArray[np.float64]]:
    """Every opinion word with every modifier, sorted by valence, and these valences."""
    found = [_Clause((word,), (valence,)) for word, valence in lexicon.valences.items()]
    for modifier, factor in ((lexicon.negation, negated), *lexicon.intensifiers.items()):
        found += [
            _Clause((modifier, word), (0.0, factor * valence))
            for word, valence in lexicon.valences.items()
        ]
    found.sort(key=lambda claim: claim.valences[-1])
    return tuple(found), np.array([claim.valences[-1] for claim in found])


def _claim(lexicon: Lexicon, negated: float, aim: float, rng: np.random.Generator) -> _Clause:
    """One of the eight claims next to a valence."""
    claims, valences = _claims(lexicon, negated)
    start = int(np.searchsorted(valences, aim)) - 4
    return claims[min(max(start, 0), len(claims) - 8) + int(rng.integers(8))]


def _clauses(
    lexicon: Lexicon, claims: list[_Clause], room: float, rng: np.random.Generator
) -> list[_Clause]:
    """Claims in frames, later ones sometimes with a connective that fits their sign."""
    clauses: list[_Clause] = []
    frames = lexicon.frames if room >= 6 else lexicon.short_frames
    for i, claim in enumerate(claims):
        clause = _framed(_pick(frames, rng), claim, _pick(lexicon.topics, rng))
        if i > 0 and rng.random() < 0.6:
            agree = claim.valences[-1] * claims[i - 1].valences[-1] >= 0
            link = _plain(_pick(lexicon.agreeing if agree else lexicon.opposing, rng))
            clause = _Clause(link.words + clause.words, link.valences + clause.valences)
        clauses.append(clause)
    return clauses


def _framed(frame: str, claim: _Clause, topic: str) -> _Clause:
    parts = {"*": _plain(topic), "#": claim}
    pieces = [parts.get(word) or _plain(word) for word in frame.split()]
    return _Clause(
        tuple(word for piece in pieces for word in piece.words),
        tuple(valence for piece in pieces for valence in piece.valences),
    )


def _plain(phrase: str) -> _Clause:
    words = tuple(phrase.split())
    return _Clause(words, (0.0,) * len(words))


def _pad(clauses: list[_Clause], lexicon: Lexicon, length: int, rng: np.random.Generator) -> None:
    """Insert remarks and fillers until the utterance has its length."""
    missing = length - sum(_length(lexicon, clause) for clause in clauses)
    while missing > 0:
        extra = _plain(_pick(lexicon.remarks if missing > 4 else lexicon.fillers, rng))
        clauses.insert(int(rng.integers(len(clauses) + 1)), extra)
        missing -= _length(lexicon, extra)


def _length(lexicon: Lexicon, clause: _Clause) -> int:
    return sum(map(len, clause.words)) if lexicon.counts_characters else len(clause.words)


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def explain(recipe: TwinRecipe, truth: TwinTruth) -> pd.DataFrame:
    """Explanation columns: clues to the audio and the vision signal, a summary of all three."""
    shown = np.column_stack([truth.signals[:, 1:], truth.signals.mean(axis=1)])
    rows = []
    for clip, levels in zip(truth.clips["id"], _levels(recipe.telling, shown), strict=True):
        rng = recipe.rng(clip, "explanations")
        told = np.where(rng.random(3) < recipe.telling.truthful, levels, rng.integers(5, size=3))
        rows.append([_pick(CLUES[column][k], rng) for column, k in zip(CLUES, told, strict=True)])
    return pd.DataFrame(rows, columns=list(CLUES))


def _levels(telling: Telling, signals: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index into ``LEVELS`` of each signal."""
    mild, strong = telling.levels
    return np.searchsorted([-strong, -mild, mild, strong], signals)
