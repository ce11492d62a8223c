"""Does the word beside a label say what the label says?

MMSA's files have both: ``annotations`` (Negative, Neutral, Positive) and a number. They were made
apart, in CH-SIMS v2 by majority and by trimmed mean, and disagree where nobody looked
(thuiar/ch-sims-v2#5); the aligned and the unaligned file of one dataset may differ in either.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from harness.data.audit.check import Check, none_of, such_as
from harness.data.corpus import Corpus

__all__ = ["annotation_checks", "annotation_signs"]

_COLUMN = "annotation"
_SIGNS = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}


def annotation_signs(clips: pd.DataFrame) -> pd.Series:
    """Sign that each clip's word stands for; NaN for no word, or one that stands for none."""
    if _COLUMN not in clips:
        return pd.Series(np.nan, index=clips.index)
    words = clips[_COLUMN].fillna("").astype(str).str.strip().str.casefold()
    return words.map(_SIGNS)


def annotation_checks(corpus: Corpus) -> Iterator[Check]:
    """Words that contradict the sign of their label, and words that are none of the three.

    A note for what contradicts: systems learn from the numbers. A corpus without words has none.
    """
    clips = corpus.clips
    if _COLUMN not in clips:
        return
    signs = annotation_signs(clips)
    said = clips[_COLUMN].fillna("").astype(str).str.strip() != ""
    odd = clips["id"][said & signs.isna()]
    yield none_of(corpus, "annotations of another kind", len(odd), "note", such_as(odd))
    against = signs.notna() & (signs != np.sign(clips["label"]))
    cells = (clips.loc[against, name] for name in ("id", _COLUMN, "label"))
    shown = such_as(f"{clip} ({word}, {y:g})" for clip, word, y in zip(*cells, strict=True))
    yield none_of(corpus, "annotations against their label", int(against.sum()), "note", shown)
