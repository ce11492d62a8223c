"""Transcripts halved, compared and reworded, the same way in every process."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from harness._util.seeds import derive
from mllm_eval.prompt.instruction import Language

__all__ = ["halves", "overlap", "reworded", "units"]

_UNITS: Final = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+(?:['’][^\W_\u3400-\u9fff]+)?")
_FILLERS: Final = {
    "en": ("um", "you know", "I mean", "well", "like I said"),
    "zh": ("嗯", "那个", "就是说", "怎么说呢", "你知道"),
}
_SPELLED_OUT: Final = {
    **{"i'm": "i am", "im": "i am", "it's": "it is", "that's": "that is", "he's": "he is"},
    **{"she's": "she is", "there's": "there is", "what's": "what is", "let's": "let us"},
    **{"i've": "i have", "we've": "we have", "they've": "they have", "you've": "you have"},
    **{"i'll": "i will", "you'll": "you will", "it'll": "it will", "we'll": "we will"},
    **{"you're": "you are", "they're": "they are", "we're": "we are"},
    **{"don't": "do not", "doesn't": "does not", "didn't": "did not", "isn't": "is not"},
    **{"wasn't": "was not", "aren't": "are not", "weren't": "were not", "can't": "cannot"},
    **{"couldn't": "could not", "wouldn't": "would not", "won't": "will not"},
    **{"shouldn't": "should not", "haven't": "have not", "hasn't": "has not"},
    **{"gonna": "going to", "wanna": "want to", "gotta": "have got to"},
}
_PER_FILLER: Final = 6  # units of a transcript per filler


def units(text: str) -> list[str]:
    """Words without case and punctuation; Chinese characters one by one.

    Example:
        >>> units("It WAS good, 真的!")
        ['it', 'was', 'good', '真', '的']
    """
    return [found.lower().replace("’", "'") for found in _UNITS.findall(text)]


def halves(text: str) -> tuple[str, str]:
    """The text up to and from the middle of its units; the first half is not the shorter.

    Example:
        >>> halves("I really liked it.")
        ('I really', 'liked it.')
    """
    starts = [found.start() for found in _UNITS.finditer(text)]
    if len(starts) < 2:
        return text, ""
    middle = starts[(len(starts) + 1) // 2]
    return text[:middle].rstrip(), text[middle:]


def overlap(answer: str, wanted: str) -> float:
    """Share of the wanted units that the answer's beginning has in the same order, 0 to 1.

    The longest common subsequence with as many units of the answer as are wanted.

    Example:
        >>> overlap("liked it a lot", "liked it so much")
        0.5
    """
    target = units(wanted)
    given = units(answer)[: len(target)]
    lengths = [0] * (len(target) + 1)
    for unit in given:
        before = 0
        for place, other in enumerate(target, start=1):
            above = lengths[place]
            lengths[place] = before + 1 if unit == other else max(above, lengths[place - 1])
            before = above
    return lengths[-1] / len(target) if target else 0.0


def reworded(text: str, language: Language, clip: str, seed: int = 0) -> str:
    """The transcript with the same meaning in other words: what reciting cannot survive.

    Case and punctuation go, contractions are spelled out, one word is said twice, and fillers come
    in between, one for every six units and at least one; in Chinese, where a word may be cut so,
    one before or after.

    Args:
        text: The transcript.
        language: Of the fillers.
        clip: Clip id; clips are changed at places of their own.
        seed: Of the places.
    """
    words = [_SPELLED_OUT.get(unit, unit) for unit in units(text)]
    generator = np.random.default_rng(derive(seed, "rewording", clip))
    if words:
        twice = int(generator.integers(len(words)))
        words.insert(twice, words[twice])
    chinese = language == "zh"
    for _ in range(1 if chinese else max(1, len(words) // _PER_FILLER)):
        filler = str(generator.choice(_FILLERS[language]))
        place = int(generator.integers(2 if chinese else len(words) + 1))
        words.insert(place * len(words) if chinese else place, filler)
    return ("" if chinese else " ").join(words)
