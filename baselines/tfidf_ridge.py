"""TF-IDF n-grams of the transcript and a ridge: what word counts alone know.

Shapes: n clips of a split, G n-grams.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from harness.data.corpus import Split
from harness.data.datasets import Dataset
from harness.system import Card, Fitted, System, Task, param
from harness.system.ridge import RidgeParams, fit_ridge

__all__ = ["TFIDF_RIDGE", "TfidfRidgeParams"]


@dataclass(frozen=True, kw_only=True)
class TfidfRidgeParams(RidgeParams):
    """Which n-grams are counted; the strengths suit rows of unit length."""

    weakest: float = param(1e-2, low=1e-9, source="ours")
    strongest: float = param(1e3, low=1e-9, source="ours")
    analyser: str = param(
        "auto",
        choices=("auto", "words", "characters"),
        source="ours: words for English, characters for Chinese, which writes no spaces",
    )


def fit(task: Task, params: TfidfRidgeParams) -> Fitted:
    """Count n-grams of the training transcripts and fit the ridge."""
    grams = _grams(params.analyser, task.train.corpus.dataset).fit(task.train.texts)

    def features(split: Split) -> csr_matrix:
        return csr_matrix(grams.transform(split.texts))  # (n, G)

    return fit_ridge(task, params, features)


def _grams(analyser: str, dataset: Dataset) -> FeatureUnion:
    if analyser == "auto":
        analyser = "words" if dataset.language == "en" else "characters"
    if analyser == "characters":
        return FeatureUnion([("characters", _tfidf("char", (1, 3), clips=2))])
    return FeatureUnion(
        [
            ("words", _tfidf("word", (1, 2), clips=2)),
            ("characters", _tfidf("char_wb", (2, 5), clips=3)),  # never across a word boundary
        ]
    )


def _tfidf(analyser: str, lengths: tuple[int, int], *, clips: int) -> TfidfVectorizer:
    """Sublinear TF-IDF of the n-grams that at least ``clips`` training transcripts contain."""
    return TfidfVectorizer(
        analyzer=analyser,
        ngram_range=lengths,
        min_df=clips,
        sublinear_tf=True,
        token_pattern=r"\w+" if analyser == "word" else None,  # one-letter words count too
    )


TFIDF_RIDGE = System(
    name="tfidf_ridge",
    card=Card(
        title="TF-IDF + ridge",
        paper="text-only anchor, no paper",
        year=None,
        text="transcript",
    ),
    params=TfidfRidgeParams,
    inputs=frozenset({"transcript"}),
    deterministic=True,
    fit=fit,
)
