"""What a corpus has, asked of its clips.

A dataset's description says what its authors published and a feature set's name what a file was
called; the corpus at hand may have more or less than either. Whoever needs to know whether a system
can learn from a corpus asks here: plans, batches, networks, ``msa doctor``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from harness.data.corpus import EXPLANATIONS, LABELS, Corpus
from harness.data.datasets import SPLITS

__all__ = ["Contents", "contents_of", "unimodal_labels"]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a corpus has.

    Args:
        clips: Split -> number of clips.
        streams: Feature streams.
        texts: ``transcript`` and explanations that some training clip has.
        labels: Of ``label_T``, ``label_A``, ``label_V`` those that some training clip has.
        tokens: Whether published tokens are stored.
    """

    clips: Mapping[str, int]
    streams: frozenset[str]
    texts: frozenset[str]
    labels: tuple[str, ...]
    tokens: bool

    @property
    def empty_splits(self) -> tuple[str, ...]:
        """Splits without a clip, in their order."""
        return tuple(split for split, clips in self.clips.items() if not clips)


def contents_of(corpus: Corpus) -> Contents:
    """What ``corpus`` has; texts and labels count where a training clip has them."""
    train = corpus.split("train").clips
    columns = {"transcript": "text", **dict(zip(EXPLANATIONS, EXPLANATIONS, strict=True))}
    return Contents(
        clips={name: len(corpus.split(name)) for name in SPLITS},
        streams=frozenset(corpus.streams),
        texts=frozenset(name for name, column in columns.items() if _says(train, column)),
        labels=unimodal_labels(corpus),
        tokens=corpus.tokens is not None,
    )


def unimodal_labels(corpus: Corpus) -> tuple[str, ...]:
    """Of ``label_T``, ``label_A``, ``label_V`` those that at least one training clip has."""
    train = corpus.split("train").clips
    return tuple(name for name in LABELS[1:] if name in train and train[name].notna().any())


def _says(clips: pd.DataFrame, column: str) -> bool:
    """Whether the column holds a text that is more than blanks."""
    if column not in clips:
        return False
    return bool(clips[column].fillna("").str.strip().ne("").any())
