"""Texts that were decoded wrongly before they came here, told by what they look like."""

from __future__ import annotations

import re

__all__ = ["looks_decoded_wrongly"]

_REPLACED_TWICE = "锟斤拷"  # two U+FFFD in UTF-8, read as GB 18030


def _cp1252(byte: int) -> str:
    """What programs show for a byte; the five that cp1252 leaves open stay controls."""
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


_BYTES = {ord(_cp1252(byte)): chr(byte) for byte in range(0x80, 0x100)}
_AS_CP1252 = re.compile(
    "\xe2\x80|\xe2[\x80-\xbf]{2}"  # typographic signs
    "|[\xc2\xc3][\x80-\xbf]"  # Latin letters with accents
    "|(?:[\xe3-\xe9][\x80-\xbf][\x80-\xbf ]){2}"  # two Chinese characters, since one could be é”…
    "|\xf0\x9f[\x80-\xbf]{2}"  # emoji
)


def looks_decoded_wrongly(text: str) -> bool:
    """Whether a text looks like UTF-8 read as cp1252 or as GB 18030.

    Example:
        >>> [looks_decoded_wrongly(text) for text in ("itâ€™s", "cafÃ©", "浣犲ソ")]
        [True, True, True]
        >>> [looks_decoded_wrongly(text) for text in ("it’s", "café", "你好")]
        [False, False, False]
    """
    if text.isascii():
        return False
    return (
        _AS_CP1252.search(text.translate(_BYTES)) is not None
        or _REPLACED_TWICE in text
        or _is_utf8_as_gb18030(text)
    )


def _is_utf8_as_gb18030(text: str) -> bool:
    """Whether its bytes in GB 18030 are UTF-8 of Chinese characters, almost throughout."""
    beyond = "".join(character for character in text if not character.isascii())
    if any("\ud800" <= character <= "\udfff" for character in beyond):
        return False
    meant = beyond.encode("gb18030").decode("utf-8", errors="replace")
    chinese = sum("\u3000" <= character <= "\u9fff" for character in meant)
    return chinese >= 2 and meant.count("\ufffd") <= len(meant) // 4
