"""Do explanations know the label? Measured, for no word list could tell.

The label is predicted twice by the same method: from the explanations alone, and from the
transcripts alone, of the same clips. Texts that were written from the label predict it far better
than the transcripts do; texts of another clip, or made from the transcript, do not. A text need
not name a rating to be such: "a bright, delighted voice" for every positive clip suffices.

The method is plain on purpose: counts of words (Chinese characters one by one) and pairs of them,
TF-IDF, and a ridge for the label; for its sign three ridges, one per class, the highest wins. Five
folds of whole source videos; the strength is chosen on the fold after the one that is predicted,
and the other three are learned from. The difference and its interval are those of every comparison
here (``harness.stats.compare``).

What it cannot tell: explanations that pass may still leak less than a transcript tells; and a good
model may make more of clip and transcript than word counts do, honestly. A corpus that fails has to
show how its texts were written.

Shapes: N clips with an explanation, G hashed n-grams.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import Ridge

from harness.data.corpus import EXPLANATIONS, Corpus
from harness.data.leak_gate import LeakFigures, LeakGate
from harness.stats import Comparison, compare

__all__ = ["VERSION", "explained_gate", "measure"]

VERSION: Final = 1
"""Of the method: figures of two versions do not compare."""

_FOLDS: Final = 5
_FEWEST: Final = 30  # clips, below which folds hold too few to learn from
_STRENGTHS: Final = (10.0, 3.0, 1.0, 0.3, 0.1)  # the strongest first: it wins a tie
_CLASSES: Final = np.array([-1.0, 0.0, 1.0])
_UNITS: Final = r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+"

Labels = NDArray[np.float64]


def measure(corpus: Corpus, texts: pd.DataFrame) -> LeakGate:
    """How well the label is predicted from texts alone, beside transcripts alone.

    Args:
        corpus: Its clips, transcripts and labels, of every split.
        texts: Index clip id, columns of explanations; clips without one are left out.

    Returns:
        The figures, or why there are none: fewer than 30 clips with an explanation, or fewer source
        videos than folds.
    """
    told = texts.reindex(corpus.clips["id"]).fillna("").astype(str)
    clues = np.array(["\n".join(row).strip() for row in told.to_numpy()], dtype=object)
    rows = np.flatnonzero(clues != "")
    clips = corpus.clips.iloc[rows]
    videos = clips["video"].to_numpy(dtype=str)
    count, sources = len(rows), len(np.unique(videos))
    if count < _FEWEST or sources < _FOLDS:
        wanted = f"{_FEWEST} explained clips of {_FOLDS} source videos"
        why = f"it takes {wanted}, there are {count} of {sources}"
        return LeakGate(version=VERSION, clips=count, videos=sources, why_not=why)
    labels, folds = clips["label"].to_numpy(dtype=np.float64), _folds(videos)
    clue, transcript = (
        _predicted(given, labels, folds)
        for given in (clues[rows].tolist(), clips["text"].fillna("").astype(str).tolist())
    )
    by_sign = [np.equal(sign, np.sign(labels)).astype(np.float64) for _, sign in (clue, transcript)]
    dataset = corpus.dataset
    error = compare(clue[0], transcript[0], labels, videos, "mae", dataset=dataset)
    # The mean of hits, which is the accuracy, is their distance from zero.
    zero = np.zeros_like(labels)
    signs = compare(by_sign[0], by_sign[1], zero, videos, "mae", dataset=dataset)
    return LeakGate(
        version=VERSION, clips=count, videos=sources, mae=_figures(error), acc3=_figures(signs)
    )


def explained_gate(corpus: Corpus) -> LeakGate:
    """The same of a corpus that has its explanations."""
    columns = [name for name in EXPLANATIONS if name in corpus.clips]
    return measure(corpus, corpus.clips.set_index("id")[columns])


def _figures(found: Comparison) -> LeakFigures:
    low, high = (float(end) if math.isfinite(end) else None for end in (found.low, found.high))
    return LeakFigures(
        clue=float(found.a),
        transcript=float(found.b),
        difference=float(found.effect),
        low=low,
        high=high,
    )


def _folds(videos: NDArray[np.str_]) -> NDArray[np.int64]:
    """(N,) fold of each clip: videos by size, the largest first, each into the emptiest fold."""
    _, index, sizes = np.unique(videos, return_inverse=True, return_counts=True)
    fold_of, held = np.zeros(sizes.size, dtype=np.int64), np.zeros(_FOLDS)
    for video in np.argsort(-sizes, kind="stable"):
        fold_of[video] = held.argmin()
        held[fold_of[video]] += sizes[video]
    return fold_of[index]


def _predicted(
    texts: Sequence[str], labels: Labels, folds: NDArray[np.int64]
) -> tuple[Labels, Labels]:
    """(N,) labels and (N,) signs, each clip predicted from other videos' clips."""
    counts = HashingVectorizer(
        token_pattern=_UNITS, ngram_range=(1, 2), alternate_sign=False, norm=None
    ).transform(texts)
    # (N, G) without n-grams that no text has; one stays where no text has any.
    counts = counts[:, np.union1d([0], counts.indices)]
    # One ridge per class beside the one for the label: all four are solved together.
    wanted = np.column_stack([labels, np.sign(labels)[:, None] == _CLASSES])  # (N, 4)
    found = np.empty((len(labels), 2))
    for fold in range(_FOLDS):
        asked, tuned = folds == fold, folds == (fold + 1) % _FOLDS
        known = ~asked & ~tuned
        weigh = TfidfTransformer(sublinear_tf=True).fit(counts[known])
        learned, *others = (
            csr_matrix(weigh.transform(counts[rows])) for rows in (known, tuned, asked)
        )
        by_strength = [_learn(learned, wanted[known], strength, others) for strength in _STRENGTHS]
        errors = [np.abs(valid[:, 0] - labels[tuned]).mean() for valid, _ in by_strength]
        hits = [(_sign(valid) == np.sign(labels[tuned])).mean() for valid, _ in by_strength]
        found[asked, 0] = by_strength[int(np.argmin(errors))][1][:, 0]
        found[asked, 1] = _sign(by_strength[int(np.argmax(hits))][1])
    return found[:, 0], found[:, 1]


def _learn(
    features: csr_matrix, wanted: Labels, strength: float, others: Sequence[csr_matrix]
) -> list[Labels]:
    """Predictions (n, 4) for other clips by a ridge of this strength."""
    model = Ridge(alpha=strength, solver="sparse_cg", tol=1e-4).fit(features, wanted)
    return [np.asarray(model.predict(rows), dtype=np.float64) for rows in others]


def _sign(predicted: Labels) -> Labels:
    """(n,) the class whose ridge says most."""
    return np.asarray(_CLASSES[predicted[:, 1:].argmax(axis=1)])
