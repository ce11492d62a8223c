r"""Foreign text on its way to a terminal: what would act there, or hide, is shown as an escape.

Escapes are those of JSON (``\u001b``), so that what ``--json`` prints stays the same data.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

__all__ = [
    "LONGEST_LINE",
    "bounded",
    "look",
    "look_alikes",
    "print_alike",
    "shown",
    "unseen",
    "visible",
]

LONGEST_LINE: Final = 2000
"""Characters of one line of an error message."""

_LONGEST: Final = 200  # characters of one foreign value

_HIDDEN: Final = (
    "\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""DEL and C1, marks of direction, halves of characters, and what has no width."""

_ACTING: Final = re.compile(f"[\x00-\x08\x0b-\x1f{_HIDDEN}]")  # but for tab and line feed
_UNSEEN: Final = re.compile(f"[\x00-\x1f{_HIDDEN}]")

_VARIANTS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""They choose between glyphs of one character."""

_TWINS: Final = str.maketrans(
    "АВЕЅІЈКМНОРСТУХЗаеіјорсухѕԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοѵυνıɡℓ‐‑‒–—―−⁃˗’‘ʼ′",
    "ABESIJKMHOPCTYX3aeijopcyxsdhqwABEZHIKMNOPTYXovuvigl---------''''",
)
"""Cyrillic and Greek letters, dashes and apostrophes that print as ASCII ones do."""


def visible(text: str) -> str:
    r"""A text that a terminal prints and does not obey; line feeds and tabs stay.

    Example:
        >>> print(visible("a\x1b[2Jb\u202ec\u200d"))
        a\u001b[2Jb\u202ec\u200d
    """
    return _ACTING.sub(_escaped, text)


def shown(value: object, longest: int = _LONGEST) -> str:
    r"""One foreign value on one line, as ``visible``, at most so long.

    Example:
        >>> print(shown("a\nb"), shown("x" * 300, 4))
        a\u000ab xxxx… (296 characters left out)
    """
    return _UNSEEN.sub(_escaped, bounded(str(value), longest))


def bounded(text: str, longest: int) -> str:
    """So many characters of a text at most: its begin, how many are left out, and its end.

    Example:
        >>> bounded("one two", 40), bounded("x" * 1000 + " is no id", 15)
        ('one two', 'xxxxxxxxxxxx… (994 characters left out) … id')
    """
    if len(text) <= longest:
        return text
    tail = longest // 5
    left = f"… ({len(text) - longest:,} characters left out)"
    return f"{text[: longest - tail]}{left}{f' …{text[-tail:]}' if tail else ''}"


def unseen(text: str) -> str:
    r"""The first character that is not seen or acts, as an escape; empty where there is none.

    Example:
        >>> unseen("tfn\u200b"), unseen("tfn")
        ('\\u200b', '')
    """
    found = _UNSEEN.search(text)
    return "" if found is None else _escaped(found)


def look(text: str) -> str:
    """What a line looks like in print: equal for texts that a reader cannot tell apart.

    Compatibility forms (NFKC), blanks, dashes, and letters of other scripts that look like Latin
    ones are made one; upper and lower case stay apart.

    Example:
        >>> look("ＴＦＮ  (small)") == look("TFN (small)"), look("Тfn") == look("Tfn")
        (True, True)
    """
    plain = unicodedata.normalize("NFKC", _VARIANTS.sub("", _UNSEEN.sub("", text)))
    return " ".join(plain.translate(_TWINS).split())


def print_alike(texts: Iterable[str]) -> tuple[str, str] | None:
    """The first two of these that print alike, equal ones too; None where all can be told apart.

    Example:
        >>> print_alike(["a b", "c", "a  b"])
        ('a b', 'a  b')
    """
    first: dict[str, str] = {}
    for text in texts:
        seen = look(text)
        if seen in first:
            return first[seen], text
        first[seen] = text
    return None


def look_alikes(one: str, other: str) -> str:
    r"""Two texts that print alike, for a message that lets them be told apart.

    Example:
        >>> print(look_alikes("misa", "mіsa"))
        'misa' and 'mіsa' ('m\u0456sa')
    """
    return " and ".join(f"{t!r}" if t.isascii() else f"{t!r} ({t!a})" for t in (one, other))


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
