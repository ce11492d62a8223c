"""Is something negated?"""

from __future__ import annotations

from harness.data.corpus import Split
from harness.data.slicing import Divided, Slicing
from harness.data.slicing._words import by_words

__all__ = ["NEGATION"]

_ENGLISH = (
    r"\b(?:no|not|never|none|nothing|nobody|nowhere|neither|nor|cannot|without|hardly|barely"
    r"|scarcely|ain'?t|(?:do|does|did|is|are|was|were|have|has|had|ca|wo|could|would|should|might"
    r"|must|need)n'?t)\b"
)
_CHINESE = (
    r"不(?!错|过|管|论|但|仅|料|禁|愧|如说)|没|(?<!特|分|区|级|性|个|差|告|离)别(?!人|的|墅|致|具|家)"
    r"|无(?!论|疑|数|比|非)|未(?!来|婚)|非(?!常|洲|得)|勿|莫(?!名|非)"
)


def _divide(split: Split) -> Divided | None:
    return by_words(split, "negated", "not negated", english=_ENGLISH, chinese=_CHINESE)


NEGATION = Slicing(
    name="negation",
    title="Negation",
    definition="a word of the negation list of the transcript's language is in it",
    divide=_divide,
    place=5,
)
