"""Bytes of a text file to text: UTF-8, else one of the encodings that its language is saved in.

A wrong guess turns ``it’s`` into ``it抯`` without an error anywhere, so a guess needs evidence: the
bytes decode, the text encodes back to the same bytes, and its characters beyond ASCII are those
that the language uses where they stand. Two readings that fit about as well are refused.
"""

from __future__ import annotations

import codecs
import itertools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from harness._util.budget import Budget
from harness.errors import DataError

__all__ = ["Decoded", "decode"]

CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "en": ("cp1252", "mac_roman", "gb18030"),  # Windows, old Macs, Windows in China
    "zh": ("gb18030", "big5", "cp1252"),  # the last for English columns alone
    "mixed": ("gb18030", "big5", "cp1252", "mac_roman"),
}
"""What files of a language are saved in when not in UTF-8; "mixed" is several languages."""

_WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",  # begins like UTF-16, so it is looked for first
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_TYPOGRAPHY = frozenset("‘’“”–—…•€£¥¢©®™°½¼¾·×÷\u00a0")
_CHINESE_MARKS = frozenset("，。！？；：、（）《》「」『』【】～“”‘’…—·")
_LETTERS = frozenset("éèêëàâäáãåçïîíìñóòôöõúùûüœæß")  # inside English words
_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are no UTF-8
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_BEYOND_ASCII = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
_CHINESE = re.compile("[\u2010-\u2027\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_FITS = 0.5  # mean evidence per character below which a reading is no reading
_CLEARER = 0.75  # a second reading above this share of the best makes the file ambiguous
_JUDGED = 50_000  # characters beyond ASCII that evidence is taken from; more tell no more
_COMPARED = 12  # bytes per byte of the file that its readings in each encoding take
_SHOWN = 24  # characters around an example


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A text and how it was read.

    Args:
        text: Without a byte order mark.
        encoding: Python's name of it.
        evidence: Why this encoding, for a report; empty for UTF-8 and where it was stated.
    """

    text: str
    encoding: str
    evidence: str = ""


@dataclass(frozen=True, kw_only=True)
class _Reading:
    encoding: str
    text: str
    mark: float  # mean evidence per character beyond ASCII


def decode(
    content: bytes,
    name: str,
    *,
    language: str | None = None,
    encoding: str | None = None,
    budget: Budget | None = None,
) -> Decoded:
    """The text of a file.

    Args:
        content: The file's bytes.
        name: The file, for messages.
        language: ``en``, ``zh`` or ``mixed``: whose encodings are considered where the bytes are
            not UTF-8; None to accept UTF-8 alone.
        encoding: What the file is in, stated by the user; nothing is guessed then.
        budget: The text is charged to, and what comparing encodings takes meanwhile.

    Raises:
        DataError: For bytes that are not valid in the stated encoding, or, where none is stated,
            for UTF-16, for UTF-8 with damaged places, for bytes that fit no encoding of the
            language, and for bytes that fit two.
        HarnessError: The budget's error, when it is used up.

    Example:
        >>> decode("it’s café".encode("cp1252"), "label.csv", language="en").text
        'it’s café'
    """
    budget = Budget(name, len(content)) if budget is None else budget
    budget.spend_text(content)
    if encoding is not None:
        return Decoded(text=_stated(content, name, encoding), encoding=encoding)
    _refuse_wide(content, name, can_state=language is not None)
    try:
        return Decoded(text=content.decode("utf-8-sig"), encoding="utf-8")
    except UnicodeDecodeError as error:
        if language is None:
            raise _not_utf8(content, name, error.start) from error
        with budget.lent(_COMPARED * len(content), "the encodings that it may be in"):
            _refuse_damaged(content, name, language, error.start)
            return _by_evidence(content, name, language)


def _stated(content: bytes, name: str, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise DataError(
            f"there is no encoding {encoding!r}", hint="such as utf-8, cp1252, gb18030, big5"
        ) from None
    except UnicodeError as error:
        at = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"{name} is not {encoding} text{at}") from error


def _refuse_wide(content: bytes, name: str, *, can_state: bool) -> None:
    """UTF-16 and UTF-32, with their mark or by the zero bytes that ASCII has in them."""
    found = next((title for mark, title in _WIDE.items() if content.startswith(mark)), "")
    head = content[:512]
    if not found and head.count(0) * 4 > len(head):
        found = "UTF-16"
    if found:
        also = f", or state it: --encoding {found.lower()}" if can_state else ""
        raise DataError(f"{name} is in {found}", hint=f"save it as UTF-8{also}")


def _refuse_damaged(content: bytes, name: str, language: str, at: int) -> None:
    """UTF-8 with a few wrong bytes: read as anything else, all the right ones come out wrong."""
    text = content.decode("utf-8", "surrogateescape")
    signs = (_BEYOND_ASCII if language == "en" else _CHINESE).finditer(text)
    right = sum(len(sign[0].encode()) for sign in signs)
    if right > sum(1 for _ in _ESCAPED.finditer(text)):
        raise _not_utf8(content, name, at, also=", most of the file is")
    try:
        content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return
    raise _not_utf8(content, name, at, also=" but half a character")


def _not_utf8(content: bytes, name: str, at: int, *, also: str = "") -> DataError:
    line = content.count(b"\n", 0, at) + 1
    begin = content.rfind(b"\n", 0, at) + 1
    column = content.count(b",", begin, at) + 1
    return DataError(
        f"{name}, line {line}, about cell {column}: byte 0x{content[at]:02x} is not UTF-8{also}",
        hint="mend that place and save the file as UTF-8" if also else "save the file as UTF-8",
    )


def _by_evidence(content: bytes, name: str, language: str) -> Decoded:
    readings = [_read(content, encoding, language) for encoding in CANDIDATES[language]]
    fitting = sorted(
        (one for one in readings if one is not None and one.mark >= _FITS),
        key=lambda one: -one.mark,
    )
    if not fitting:
        raise DataError(
            f"{name} is neither UTF-8 nor plausible as {', '.join(CANDIDATES[language])}",
            hint="save it as UTF-8, or state what it is in: --encoding NAME",
        )
    best, *others = fitting
    rivals = [o for o in others if o.text != best.text and o.mark > _CLEARER * best.mark]
    if rivals:
        both = " or ".join(f"{o.encoding} ({_example(o.text)})" for o in (best, rivals[0]))
        raise DataError(
            f"{name} is not UTF-8, and could be {both}", hint="state which: --encoding NAME"
        )
    beyond = sum(not character.isascii() for character in best.text)
    return Decoded(
        text=best.text,
        encoding=best.encoding,
        evidence=f"not UTF-8; {beyond} characters beyond ASCII fit {best.encoding} best,"
        f" such as {_example(best.text)}",
    )


def _read(content: bytes, encoding: str, language: str) -> _Reading | None:
    """The bytes in one encoding, None where they are not valid in it or do not come back."""
    try:
        text = content.decode(encoding)
        if text.encode(encoding) != content:
            return None
    except UnicodeError:
        return None
    found = _NOT_ASCII.finditer(text)
    places = [sign.start() for sign in itertools.islice(found, _JUDGED)]
    marks = [_evidence(text, at, encoding, language) for at in places]
    return _Reading(encoding=encoding, text=text, mark=sum(marks) / max(len(marks), 1))


def _evidence(text: str, at: int, encoding: str, language: str) -> float:
    """How well the character at one place fits a text of the language: -10 (never) to 2."""
    character = text[at]
    kind = unicodedata.category(character)
    if kind in ("Cc", "Co", "Cn"):  # controls, private use, unassigned
        return -10
    if character in _TYPOGRAPHY:
        return 2 if character == "’" or not _joins_letters(text, at) else 1
    if "\u4e00" <= character <= "\u9fff":
        if language == "en" or not _is_common(character, encoding):
            return -3
        return 1
    if character in _CHINESE_MARKS or "\uff01" <= character <= "\uff5e":
        return -1 if language == "en" else 1
    if character in _LETTERS:
        return 1 if _in_a_word(text, at) else -1
    return -3 if _in_a_word(text, at) else -1  # itÕs, cafÈ


def _in_a_word(text: str, at: int) -> bool:
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    return any(side.isascii() and side.islower() for side in (before, after))


def _joins_letters(text: str, at: int) -> bool:
    """Whether letters stand on both sides: a dash there may be a letter read wrongly (Ni–o)."""
    return text[at - 1 : at].isalpha() and text[at + 1 : at + 2].isalpha()


def _is_common(character: str, encoding: str) -> bool:
    """Whether the encoding has it among its few thousand common characters (their first level)."""
    codec, first, last = ("big5", 0xA4, 0xC6) if encoding == "big5" else ("gb2312", 0xB0, 0xD7)
    try:
        return first <= character.encode(codec)[0] <= last
    except UnicodeEncodeError:
        return False


def _example(text: str) -> str:
    at = next(place for place, character in enumerate(text) if not character.isascii())
    line = text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0]
    middle = at - text.rfind("\n", 0, at) - 1
    begin = max(0, middle - _SHOWN // 2)
    return repr(line[begin : begin + _SHOWN].strip())
