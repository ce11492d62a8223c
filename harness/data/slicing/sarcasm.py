"""Is there a turn of phrase that often goes with sarcasm? Cues, no detection."""

from __future__ import annotations

from harness.data.corpus import Split
from harness.data.slicing import Divided, Slicing
from harness.data.slicing._words import by_words

__all__ = ["SARCASM"]

_ENGLISH = (
    r"\b(?:yeah,? right|oh,? (?:great|really|please|sure|wow)|as if|thanks a lot|big surprise"
    r"|what a (?:surprise|shock|genius)|good luck with|give me a break|whatever|big deal|so funny"
    r"|how (?:original|nice of)|just what (?:i|we) (?:need|wanted)(?:ed)?)\b"
)
_CHINESE = (
    r"呵呵|真行啊|真有你的|可真会|可真是|好一个|了不起啊|算你狠|你厉害|真够可以|还好意思|说得轻巧"
    r"|谢谢你啊|辛苦你了啊|不愧是"
)


def _divide(split: Split) -> Divided | None:
    return by_words(split, "cue", "no cue", english=_ENGLISH, chinese=_CHINESE)


SARCASM = Slicing(
    name="sarcasm",
    title="Cues of sarcasm",
    definition="a turn of phrase from the list of cues of the transcript's language is in it; most"
    " sarcasm has none, and most cues are meant as they are said",
    divide=_divide,
    place=6,
)
