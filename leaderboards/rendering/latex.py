r"""Tables and words as LaTeX: the same input gives the same bytes.

Labels, titles and reasons are written by people, so every text is escaped. What is drawn asks for
``booktabs`` and ``graphicx``, and compiles with pdfLaTeX, XeLaTeX and LuaLaTeX.
"""

from __future__ import annotations

import re

from leaderboards.document import Cell, Column, Drawing, Table, one_line

__all__ = ["escape_latex", "latex_table"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "●": r"$\bullet$",
    "○": r"$\circ$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "≠": r"$\neq$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
}
_LAST_LATIN = "\u017f"
"""Letters up to here are drawn by every engine's usual fonts."""
_SHORT = 8  # characters of a heading that stay on one line
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def escape_latex(words: str) -> str:
    r"""``words`` on one line, with everything LaTeX would read as a command taken literally.

    A character that the usual fonts lack stands as its code point, for pdfLaTeX would stop at it.

    Example:
        >>> print(escape_latex("50 % of a_b ± 1 我"))
        50 \% of a\_b $\pm$ 1 \texttt{U+6211}
    """
    raised = _SUPERSCRIPTS.split(one_line(words))
    numbers = [
        found.group().translate(_DIGITS) for found in _SUPERSCRIPTS.finditer(one_line(words))
    ]
    drawn = "".join(map(_character, raised[0]))
    for number, rest in zip(numbers, raised[1:], strict=True):
        drawn += rf"\textsuperscript{{{number}}}" + "".join(map(_character, rest))
    return drawn


def _character(char: str) -> str:
    if char in _SPECIAL:
        return _SPECIAL[char]
    return char if char <= _LAST_LATIN else rf"\texttt{{U+{ord(char):04X}}}"


def latex_table(table: Table, *, label: str, remarks: tuple[str, ...] = ()) -> str:
    r"""A table across the page that shrinks where it is too wide, its caption above it.

    Args:
        table: Its caption and notes are drawn, too.
        label: For ``\ref``: letters, digits and hyphens.
        remarks: Sentences that stand below it, behind its notes.

    Returns:
        A ``table*`` environment, ending in a newline.
    """
    sides = "".join(column.align[0] for column in table.columns)
    below = [
        rf"\textsuperscript{{{n}}}~{escape_latex(note)}" for n, note in enumerate(table.notes, 1)
    ]
    below += map(escape_latex, remarks)
    lines = [
        r"\begin{table*}[t]",
        r"\centering",
        rf"\caption{{{escape_latex(table.caption)}}}",
        rf"\label{{{label}}}",
        r"\small",
        r"\setlength{\tabcolsep}{4pt}",
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{sides}@{{}}}}",
        r"\toprule",
        " & ".join(map(_heading, table.columns)) + r" \\",
        r"\midrule",
        *(" & ".join(map(_cell, row)) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}}",
        *([r"\par\smallskip\begin{minipage}{\textwidth}\footnotesize"] if below else []),
        *(rf"{line}\par" for line in below),
        *([r"\end{minipage}"] if below else []),
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _heading(column: Column) -> str:
    """A heading of several words on two lines, unless it is short."""
    first, _, rest = column.title.partition(" ")
    if len(column.title) <= _SHORT:
        return escape_latex(column.title)
    lines = rf"{escape_latex(first)}\\ {escape_latex(rest)}"
    return rf"\begin{{tabular}}[b]{{@{{}}{column.align[0]}@{{}}}}{lines}\end{{tabular}}"


def _cell(cell: Cell) -> str:
    """A cell, what stands behind ± in small print."""
    value, spread, deviation = (cell.words if isinstance(cell, Drawing) else cell).partition(" ± ")
    small = rf"{{\scriptsize\,$\pm$\,{escape_latex(deviation)}}}" if spread else ""
    return escape_latex(value) + small
