"""How much is said?"""

from __future__ import annotations

import numpy as np

from harness.data.corpus import Split
from harness.data.slicing import Divided, Slicing, thirds
from harness.data.slicing._words import is_chinese, tokens

__all__ = ["TEXT_LENGTH"]


def _divide(split: Split) -> Divided | None:
    texts = split.clips["text"]
    if not texts.str.strip().any():
        return None
    unit = "characters" if texts.map(is_chinese).mean() > 0.5 else "words"
    counts = texts.map(lambda text: len(tokens(text))).to_numpy(dtype=np.float64)
    return thirds(counts, ("short", "medium", "long"), unit)


TEXT_LENGTH = Slicing(
    name="text_length",
    title="Length of the transcript",
    definition="thirds of the split's clips by words, Chinese by characters, without punctuation",
    divide=_divide,
    place=3,
)
