"""Cells of LaTeX, Markdown, HTML and PDF tables as plain characters.

What only looks (bold, colour, size) is dropped, and so is what only points elsewhere (footnote
marks, arrows of direction). What could change the number is kept or refused.
"""

from __future__ import annotations

import html
import re
import unicodedata

__all__ = ["plain"]

_MINUS = "\u2212\u2010\u2011\u2013\ufe63\uff0d"
_ARROWS = "↑↓⇑⇓▲▼△▽⬆⬇"
_SAME = {
    **dict.fromkeys(_MINUS, "-"),
    **dict.fromkeys("\u2217\u22c6\u2605", "*"),
    **dict.fromkeys("\u3002\uff61", "."),
    **dict.fromkeys("\u2215\u2044", "/"),
}

_LOOKS = (
    *("textbf", "textit", "textrm", "textsf", "texttt", "textsc", "text", "emph", "underline"),
    *("uline", "underbar", "uuline", "mathbf", "mathit", "mathrm", "mathsf", "bm", "boldsymbol"),
    *("bf", "bfseries", "it", "itshape", "em", "rm", "sf", "tt", "sl", "boldmath", "mathversion"),
    *("tiny", "scriptsize", "footnotesize", "small", "normalsize", "large", "mbox", "makecell"),
    *("displaystyle", "scriptstyle", "left", "right", "centering", "hl", "num", "ensuremath"),
)
_SYMBOLS = {
    **{"pm": "±", "textpm": "±", "textminus": "-", "textendash": "-", "textemdash": "—"},
    **dict.fromkeys(("dag", "dagger", "ddag", "ddagger", "S", "P", "textdagger"), "†"),
    **dict.fromkeys(("ast", "star", "textasteriskcentered"), "*"),
    **{"uparrow": "↑", "downarrow": "↓", "Uparrow": "↑", "Downarrow": "↓"},
    **{"textuparrow": "↑", "textdownarrow": "↓", "quad": " ", "qquad": " ", "enspace": " "},
    **{"textsuperscript": "^", "tnote": "^", "textsubscript": "_", "sp": "^", "sb": "_"},
}
_DROPPED = (
    (re.compile(r"\\multi(?:row|column)(?:\[[^]]*\])?\{[^{}]*\}(?:\[[^]]*\])?\{[^{}]*\}"), ""),
    (re.compile(r"\\(?:text|cell|row)?color(?:\[[^]]*\])?\{[^{}]*\}"), ""),
    (re.compile(r"\\[hv]?phantom\{[^{}]*\}"), ""),
    (re.compile(r"\\(?:table)?footnote(?:mark)?(?:\[[^]]*\])?(?:\{[^{}]*\})?"), ""),
    (re.compile(r"\\[,;:!> ]|~"), " "),
    (re.compile(r"\\([%#_$&])"), r"\1"),
    (re.compile(r"\[\^\w+\]"), ""),  # a footnote of Markdown
    (re.compile(r"</?(?:b|strong|i|em|u|span|font|mark|small|big)\b[^<>]*>", re.IGNORECASE), ""),
    (re.compile(r"<br\s*/?>", re.IGNORECASE), " "),
    (re.compile(r"<sup\b[^<>]*>([^<>]*)</sup>", re.IGNORECASE), r"^{\1}"),
    (re.compile(r"<sub\b[^<>]*>([^<>]*)</sub>", re.IGNORECASE), r"_{\1}"),
)
_COMMAND = re.compile(r"\\([a-zA-Z]+)\s*")
_GROUP = re.compile(r"([\^_]?)\{([^{}]*)\}")
_APART = r"[*†‡§¶‖#,()\s]"
_NOTE = "(?:[0-9]{1,2}|[a-z]{1,2})"
_FOOTNOTE = re.compile(f"{_APART}*(?:{_NOTE}(?:{_APART}+{_NOTE})*{_APART}*)?", re.IGNORECASE)
_EMPHASIS = re.compile(r"(?<![0-9.])[*_`]+|[*_`]+(?![0-9.])")
_MARKS = re.compile(r"(?<![0-9.])[†‡§¶‖]+|[†‡§¶‖]+(?![0-9.])|(?<=[0-9.%)])\s*#+")
_DIRECTION = re.compile(rf"\s*[{_ARROWS}\ufe0e\ufe0f]+(?!\s*[0-9.])")


def plain(text: str) -> str:
    r"""A cell without its markup; a spread follows ``±``, whatever it was printed as.

    Raises:
        ValueError: Saying which markup is not understood.

    Example:
        >>> plain(r"$\mathbf{0.712}_{\pm .01}$"), plain("**46.36**†"), plain("０.７１２²")
        ('0.712±.01', '46.36', '0.712')
    """
    if "~~" in text or re.search(r"<(?:s|del|strike)\b|\\(?:sout|st|cancel)\b", text):
        raise ValueError("it is struck out")
    shown = _characters(html.unescape(text))
    for pattern, instead in _DROPPED:
        shown = pattern.sub(instead, shown)
    shown = _COMMAND.sub(_command, shown).replace("$", "")
    shown = re.sub(r"\+\s*/?\s*-", "±", shown)
    shown = _scripts(shown)
    for pattern in (_EMPHASIS, _MARKS, _DIRECTION):
        shown = pattern.sub("", shown)
    return " ".join(shown.split())


def _characters(text: str) -> str:
    """Digits of any script and width as ASCII, spaces as one kind, superscripts as ``^{…}``."""
    shown = "".join(map(_character, text))
    shown = re.sub(r"\}\^\{", "", shown)  # neighbours are one superscript
    return re.sub(r"(?<=\})\s*,\s*(?=\^)", "", shown)


def _character(one: str) -> str:
    if one in _SAME:
        return _SAME[one]
    category = unicodedata.category(one)
    if category == "Nd":
        return str(unicodedata.decimal(one))
    if category in ("Zs", "Cc"):
        return " "
    if category == "Cf":  # of no width
        return ""
    kind, _, base = unicodedata.decomposition(one).partition(" ")
    if kind not in ("<super>", "<wide>", "<narrow>"):
        return one
    plainly = "".join(_character(chr(int(code, 16))) for code in base.split())
    return f"^{{{plainly}}}" if kind == "<super>" else plainly


def _command(found: re.Match[str]) -> str:
    name = found[1]
    if name in _LOOKS:
        return ""
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    raise ValueError(f"the command \\{name} is not known")


def _scripts(text: str) -> str:
    """Without braces and footnotes; a script that holds a spread is put on the line."""
    shown = re.sub(r"\^([^\s{}])", r"^{\1}", text)
    while (opened := _GROUP.search(shown)) is not None:
        inside = _script(opened[1], opened[2].strip()) if opened[1] else opened[2]
        shown = shown[: opened.start()] + inside + shown[opened.end() :]
    return shown


def _script(kind: str, inside: str) -> str:
    if inside.startswith("±") or not inside:
        return inside
    if kind == "^" and _FOOTNOTE.fullmatch(inside):
        return ""
    if kind == "^":
        raise ValueError(f"the superscript {inside} is neither a footnote nor a spread")
    raise ValueError(f"nothing says what the subscript {inside} means")
