"""Words of transcripts in English and Chinese."""

from __future__ import annotations

import re

from harness.data.corpus import Split
from harness.data.slicing import Divided, divided

__all__ = ["by_words", "is_chinese", "tokens"]

_HAN = re.compile(r"[\u3400-\u9fff]")
_TOKEN = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+(?:['’][^\W_\u3400-\u9fff]+)*")


def is_chinese(text: str) -> bool:
    """Whether a transcript is read by Chinese rules: it has a Chinese character."""
    return _HAN.search(text) is not None


def tokens(text: str) -> list[str]:
    """Words, and of Chinese the characters, without punctuation.

    Example:
        >>> tokens("It's A SAD part!"), tokens("我不想嫁，OK")
        (["It's", 'A', 'SAD', 'part'], ['我', '不', '想', '嫁', 'OK'])
    """
    return _TOKEN.findall(text)


def by_words(split: Split, yes: str, no: str, *, english: str, chinese: str) -> Divided | None:
    """Clips whose transcript matches the expression of its language, and the others.

    Args:
        split: The clips; those without a transcript are in neither part.
        yes: What the first part is called.
        no: What the second is called.
        english: Regular expression, small letters, straight apostrophes.
        chinese: Regular expression.
    """
    texts = split.clips["text"].str.lower().str.replace("’", "'")
    said = texts.str.strip().astype(bool).to_numpy()
    if not said.any():
        return None
    rules = {False: re.compile(english), True: re.compile(chinese)}
    found = texts.map(lambda text: bool(rules[is_chinese(text)].search(text))).to_numpy(dtype=bool)
    return divided((yes, no), said & found, said)
