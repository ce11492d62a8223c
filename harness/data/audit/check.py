"""What every part of an audit yields: one claim about one corpus, with a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from harness.data.corpus import Corpus

__all__ = ["Check", "Verdict", "none_of", "such_as"]

Verdict = Literal["ok", "note", "warn", "fail"]
"""``note``: known and harmless when stated; ``warn``: look at it; ``fail``: do not use as it is."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One claim about one corpus."""

    corpus: str
    name: str
    verdict: Verdict
    expected: str | int
    found: str | int
    detail: str = ""


def none_of(corpus: Corpus, name: str, found: int, otherwise: Verdict, detail: str = "") -> Check:
    """A check that expects to find nothing."""
    return Check(
        corpus=corpus.name,
        name=name,
        verdict=otherwise if found else "ok",
        expected=0,
        found=found,
        detail=detail if found else "",
    )


def such_as(clips: Iterable[str]) -> str:
    """The first three of some clips."""
    return ", ".join(islice(clips, 3))
