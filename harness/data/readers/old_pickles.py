"""Arguments of the instructions that protocols 0 and 1, and Python 2, write as lines of text."""

from __future__ import annotations

import codecs
import re

from harness.data.readers.pickled_numpy import OldString, OldText, Refused

__all__ = ["decimal", "old_string", "quoted", "unescaped"]

_DECIMAL = re.compile(rb"[+-]?\d{1,19}")
_QUOTED = re.compile(rb"(['\"])((?:[^\\]|\\(?:[\\'\"nrt]|x[0-9a-fA-F]{2}))*)\1", re.DOTALL)


def decimal(line: bytes) -> int | bool:
    """A whole number of at most 64 bits; ``00`` and ``01`` are False and True.

    Raises:
        Refused: When it is longer.
        ValueError: For anything else.
    """
    if line in (b"00", b"01"):
        return line == b"01"
    digits = line.removesuffix(b"L")
    if _DECIMAL.fullmatch(digits):
        return int(digits)
    if digits.lstrip(b"+-").isdigit():
        raise Refused(f"an integer of {len(digits)} digits")
    raise ValueError("a whole number that is none")


def quoted(line: bytes) -> bytes:
    """The bytes of a string in quotes, as Python 2 prints it.

    Raises:
        ValueError: When it has no quotes or other escapes.
    """
    match = _QUOTED.fullmatch(line)
    if match is None:
        raise ValueError("a string without quotes")
    content: object = codecs.escape_decode(match[2])[0]
    if not isinstance(content, bytes):
        raise ValueError("a string that is no bytes")
    return content


def unescaped(line: bytes) -> str:
    """A text in which characters beyond Latin-1 are escapes.

    Raises:
        ValueError: For a broken escape.
    """
    return line.decode("raw-unicode-escape")


def old_string(raw: bytes) -> OldText | OldString:
    """A string of Python 2: text where it is UTF-8, else bytes (numbers, another encoding)."""
    try:
        return OldText(raw.decode())
    except UnicodeDecodeError:
        return OldString(raw)
