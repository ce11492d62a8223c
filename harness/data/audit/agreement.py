"""How far two transcripts of one clip agree: what was given, and what was heard.

The error rate is Levenshtein's distance between the units of the two, divided by those of the given
one: words in English, characters in Chinese, without punctuation and letter case. It counts the
recogniser's mistakes and the transcriber's alike; what stands out are clips that hardly agree.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from harness.data.audit.check import Check, Verdict, none_of, such_as
from harness.data.corpus import Corpus
from harness.data.identifiers import visible

__all__ = ["FAR_APART", "agreement_checks", "error_rate", "rates_check"]

FAR_APART = 0.5
"""Error rate from which two transcripts are hardly of the same words."""

_MANY = 0.2  # share of the clips far apart: not slips, other recordings or another language
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def error_rate(given: str, heard: str) -> float:
    """Units to change, add or leave out, for each unit given; NaN where none is given.

    Han characters are units of their own, all else is told apart into words.

    Example:
        >>> error_rate("It was REALLY good.", "it was good")
        0.25
        >>> error_rate("好男人就是我", "好男人就是他") == 1 / 6
        True
    """
    one, other = _units(given), _units(heard)
    return _distance(one, other) / len(one) if one else float("nan")


def _units(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", visible(text)).casefold().replace("’", "'")
    apart = _HAN.sub(lambda found: f" {found[0]} ", plain)
    return _WORD.findall(apart)


def _distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Levenshtein's, row by row."""
    above = list(range(len(other) + 1))
    for i, unit in enumerate(one, 1):
        row = [i]
        for j, against in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (unit != against)))
        above = row
    return above[-1]


def agreement_checks(corpus: Corpus) -> Iterator[Check]:
    """Of a corpus whose transcripts were heard: how far they are from those it was given."""
    if "text_given" not in corpus.clips:
        return
    pairs = corpus.clips[["text_given", "text"]].fillna("").astype(str)
    rates = [error_rate(given, heard) for given, heard in pairs.itertuples(index=False)]
    yield rates_check(corpus, corpus.clips["id"].tolist(), rates)


def rates_check(corpus: Corpus, clips: Sequence[str], rates: Sequence[float]) -> Check:
    """Clips whose transcript as given and as heard are far apart.

    Args:
        corpus: Whose.
        clips: n ids.
        rates: n error rates; NaN where there is nothing to compare.
    """
    known = [(rate, clip) for rate, clip in zip(rates, clips, strict=True) if rate == rate]
    far = [clip for rate, clip in sorted(known, reverse=True) if rate > FAR_APART]
    grave: Verdict = "warn" if len(far) > _MANY * max(len(known), 1) else "note"
    middle = float(np.median([rate for rate, _ in known])) if known else float("nan")
    return none_of(
        corpus,
        "transcripts that were not heard",
        len(far),
        grave,
        f"error rate above {FAR_APART:.0%} ({len(known)} compared, median {middle:.0%}):"
        f" {such_as(far)}",
    )
