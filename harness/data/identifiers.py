"""Clip identifiers: one spelling, decided at every door through which ids come in.

An id is the source video and the clip in it, joined by one underscore: ``03bSnISJMiM_11``. Files
spell the joint in other ways, pad ids with blanks, or come from a spreadsheet that took an id for a
number, a date or a formula. Blanks and Unicode spellings are settled here; what a spreadsheet has
destroyed cannot be told from the file and is refused.

The rule by which an id is taken apart, first match:

1. ``video$_$clip`` (MMSA's feature files);
2. ``video[clip]`` (the CMU Multimodal SDK);
3. ``video/clip`` (paths of recordings);
4. ``video_clip``, at the **last** underscore, since videos have underscores of their own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = [
    "canonical_id",
    "clean_id",
    "look_alikes",
    "skeleton",
    "spells_nothing",
    "split_id",
    "split_pair",
    "visible",
]

_LONGEST = 500  # characters; the longest public ids have 40
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_BLANK = re.compile(r"\s+")
_AROUND_JOINT = re.compile(r"\s*(\$_\$|_|/|\[|\])\s*")
_ABSENT = frozenset({"nan", "na", "none", "null", "n/a", "<na>", "nat"})
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)"
_MANGLED = (
    ("an error of a spreadsheet", re.compile(r"#[A-Z0-9/]+[?!]?|#N/A", re.I)),
    ("a formula", re.compile(r"=.*")),
    ("a text behind the apostrophe of a spreadsheet", re.compile(r"'.*")),
    ("a number in scientific notation", re.compile(r"\d+(?:[.,]\d+)?E[+-]\d+", re.I)),
    ("a number with decimals", re.compile(r"\d+[.,]\d+")),
    (
        "a date",
        re.compile(
            rf"\d{{4}}-\d\d?-\d\d?(?: \d\d:\d\d(?::\d\d)?)?|\d\d?[/.]\d\d?[/.]\d{{2,4}}"
            rf"|\d\d?-{_MONTH}(?:-\d{{2,4}})?|{_MONTH}-\d{{1,4}}",
            re.I,
        ),
    ),
)


def clean_id(value: object) -> str:
    """An id, or one part of it, without what no one sees.

    Blanks and invisible characters at the ends and around the joint go, blanks inside become one
    space, letters take Unicode's composed form (NFC). Nothing else changes: case, leading zeros and
    leading dashes belong to an id.

    Args:
        value: A cell. Anything but text is refused: numbers have lost their leading zeros.

    Raises:
        ValueError: What is wrong, to stand behind a file and a place: not text, empty, of more than
            500 characters, half a character, a control character, or destroyed by a spreadsheet.

    Example:
        >>> clean_id(" video_0001 _ 0003\u00a0")
        'video_0001_0003'
    """
    if not isinstance(value, str):
        raise ValueError(f"ids are text, found {_shown(value)}; numbers lose their leading zeros")
    if len(value) > _LONGEST:
        raise ValueError(f"an id of {len(value)} characters, {_LONGEST} at most: {value[:40]!a}…")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"an id with half a character: {value!a}")
    text = unicodedata.normalize("NFC", _AROUND_JOINT.sub(r"\1", visible(value)))
    if not text or spells_nothing(text):
        raise ValueError(f"an empty id ({value!r})" if value else "an empty id")
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError(f"an id with a control character: {text!a}")
    _refuse_mangled(text)
    return text


def split_id(value: object) -> tuple[str, str]:
    """Video and clip of an id in any of the four spellings.

    Raises:
        ValueError: As ``clean_id``, and for an id without a joint.

    Example:
        >>> split_id("video_0001$_$0003"), split_id("tmZoasNr4rU[2]"), split_id("-a_b_7")
        (('video_0001', '0003'), ('tmZoasNr4rU', '2'), ('-a_b', '7'))
    """
    text = clean_id(value)
    parts = _parts(text)
    if parts is None:
        raise ValueError(f"ids should be video$_$clip, video[clip] or video_clip, found {text!r}")
    return clean_id(parts[0]), clean_id(parts[1])


def split_pair(video: object, clip: object) -> tuple[str, str]:
    """Video and clip of two cells, of which the second may be a whole id of the first's video.

    A clip that, taken apart, names the video of its row is a whole id. A name with an underscore
    that does not is the clip's own; any other joint with another video contradicts the first cell.

    Raises:
        ValueError: As ``clean_id``, and for a whole id of another video.

    Example:
        >>> split_pair("a_b", "7"), split_pair("a_b", "a_b$_$7"), split_pair("a_b", "a_b_7")
        (('a_b', '7'), ('a_b', '7'), ('a_b', '7'))
    """
    source, text = clean_id(video), clean_id(clip)
    parts = _parts(text)
    if parts is None:
        return source, text
    named, name = (clean_id(part) for part in parts)
    if named == source:
        return source, name
    if text != "_".join(parts):
        raise ValueError(f"clip {text!r} is of another video than {source!r}")
    return source, text


def canonical_id(value: object) -> str:
    """An id in any spelling as ``video_clip``; one without a joint stays as it is.

    Raises:
        ValueError: As ``clean_id``.

    Example:
        >>> canonical_id("03bSnISJMiM$_$11"), canonical_id("03bSnISJMiM[11]"), canonical_id("c7")
        ('03bSnISJMiM_11', '03bSnISJMiM_11', 'c7')
    """
    text = clean_id(value)
    return text if _parts(text) is None else "_".join(split_id(text))


def look_alikes(ids: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of different ids that a person reads as one: full-width digits, other dashes.

    Upper and lower case stay apart, since video ids of YouTube differ by them.

    Example:
        >>> look_alikes(["v1_1", "v１_1", "V1_1"])
        [('v1_1', 'v１_1')]
    """
    first: dict[str, str] = {}
    pairs = []
    for clip in ids:
        seen = first.setdefault(skeleton(clip), clip)
        if seen != clip:
            pairs.append((seen, clip))
    return pairs


def visible(text: str) -> str:
    """A short text without what no one sees, in Unicode's composed form (NFC).

    Invisible characters go, blanks at the ends too, blanks inside become one space.

    Example:
        >>> visible("\ufeff mode\u00a0")
        'mode'
    """
    return unicodedata.normalize("NFC", _BLANK.sub(" ", text.translate(_INVISIBLE)).strip())


def spells_nothing(text: str) -> bool:
    """Whether a cell is how programs write a missing value, such as ``nan``, ``None`` or ``NULL``.

    Example:
        >>> spells_nothing(" NaN "), spells_nothing("none of them")
        (True, False)
    """
    return text.strip().lower() in _ABSENT


def skeleton(clip: str) -> str:
    """What an id looks like: compatibility forms and every dash made one."""
    plain = unicodedata.normalize("NFKC", clip)
    return "".join("-" if unicodedata.category(c) == "Pd" or c == "−" else c for c in plain)


def _parts(text: str) -> tuple[str, str] | None:
    """Video and clip on the two sides of the joint, None without one or with an empty side."""
    if text.endswith("]") and "[" in text:
        video, _, clip = text[:-1].rpartition("[")
    else:
        joint = next((sign for sign in ("$_$", "/", "_") if sign in text), None)
        video, _, clip = ("", "", "") if joint is None else text.rpartition(joint)
    return (video, clip) if video and clip else None


def _refuse_mangled(text: str) -> None:
    for what, pattern in _MANGLED:
        if pattern.fullmatch(text):
            raise ValueError(
                f"{text!r} is {what}, not an id: a spreadsheet has changed it; take the ids from"
                " the original file, columns read as text"
            )


def _shown(value: object) -> str:
    text = ascii(value)
    return f"{type(value).__name__} {text[:40]}" if len(text) <= 200 else type(value).__name__
