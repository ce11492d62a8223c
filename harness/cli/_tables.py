"""Plain tables, as wide as a terminal where there is one: cells wrap between words.

What is not a terminal gets each row on a line of its own, for programs that read lines.
"""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence

__all__ = ["drawn", "terminal_width", "text_width"]

_GAP = 2  # columns between two cells
_PROSE = 100  # columns of running text at most
_NARROWEST = 10  # columns that a text is wrapped to at least
_WORDS = (24, 20, 16, 13, _NARROWEST)  # columns of words kept whole, as long as there is room
_MARKS = "-_@/.,:+="  # behind which a long word is cut
_WIDE = "WF"  # of Unicode's East Asian widths: two columns


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def text_width() -> int:
    """Columns that running text takes: those of the terminal, and no more than anyone reads."""
    return min(_PROSE, terminal_width() or _PROSE)


def drawn(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: frozenset[str] = frozenset(),
    width: int | None = None,
) -> str:
    """Rows under their headings.

    Args:
        columns: The headings.
        rows: Cells, one per column, each on one line.
        right: Columns that are aligned to the right; they never wrap.
        width: Columns of the terminal; None for any width. Where the table is wider, columns
            without any cell are left out and cells wrap; where even wrapped cells take more, some
            columns follow in tables of their own, each with the leading columns that tell the rows
            apart; where not even these fit, each row becomes a paragraph of lines
            ``heading  cell``.

    Example:
        >>> print(drawn(["name", "n"], [["one", "1"]], right=frozenset("n")))
        name      n
        ------  ---
        one       1
    """
    table = _Table(columns, rows, right)
    if width is None or table.fits(width):
        return table.whole()
    table = table.only([i for i in range(len(columns)) if any(row[i] for row in rows)] or [0])
    parts = list(table.parts(width))
    if parts:
        return "\n\n".join(part.wrapped(width) for part in parts)
    return "\n\n".join(_paragraph(table.columns, row, width) for row in table.rows)


class _Table:
    """Cells below their headings, measured in columns of a terminal."""

    def __init__(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[str]
    ) -> None:
        self.columns, self.rows, self._right = columns, rows, right
        cells = [[column, *(row[i] for row in rows)] for i, column in enumerate(columns)]
        self._natural = [max(map(_columns_of, column)) for column in cells]
        self._longest = [
            max(_columns_of(word) for cell in column[1:] or [""] for word in cell.split(" "))
            for column in cells
        ]
        self._align = ["right" if column in right else "left" for column in columns]

    def fits(self, width: int) -> bool:
        """Whether no cell has to wrap."""
        return sum(self._natural) + _GAP * (len(self.columns) + 1) <= width

    def whole(self) -> str:
        """With every row on one line."""
        from tabulate import tabulate

        return tabulate(
            self.rows, self.columns, tablefmt="simple", disable_numparse=True, colalign=self._align
        )

    def only(self, places: Sequence[int]) -> _Table:
        """Some of the columns."""
        rows = [[row[i] for i in places] for row in self.rows]
        return _Table([self.columns[i] for i in places], rows, self._right)

    def parts(self, width: int) -> Iterator[_Table]:
        """The table, or tables of its columns that fit when they wrap; none where nothing does."""
        for least in _WORDS:
            if self._fitted(width, least) is not None:
                yield self
                return
        for least in _WORDS:
            groups = self._groups(width, least)
            if groups:
                yield from map(self.only, groups)
                return

    def _groups(self, width: int, least: int) -> list[list[int]]:
        """Places of columns that fit beside those that tell the rows apart; none where some do not.

        These are the first ones, as far as they stand on the left; the first where all do.
        """
        floors = self._floors(least)
        keys = self._align.index("right") if "right" in self._align else 1
        groups = [[*range(keys)]]
        for place in range(keys, len(floors)):
            if sum(floors[i] + _GAP for i in groups[-1]) + floors[place] > width:
                groups.append([*range(keys)])
            groups[-1].append(place)
            if sum(floors[i] + _GAP for i in groups[-1]) - _GAP > width:
                return []
        return groups

    def _floors(self, least: int) -> list[int]:
        """Widths that columns are not wrapped below; words of so many columns stay whole."""
        return [
            size
            if side == "right"
            else min(size, max(_NARROWEST, _columns_of(column), min(longest, least)))
            for column, size, longest, side in zip(
                *(self.columns, self._natural, self._longest, self._align), strict=True
            )
        ]

    def _fitted(self, width: int, least: int) -> list[int] | None:
        """Widths that fit, the widest taken from first; None where even the floors do not."""
        room, floors = width - _GAP * (len(self.columns) - 1), self._floors(least)
        if sum(floors) > room:
            return None
        widths = list(self._natural)
        while sum(widths) > room:
            wide = (i for i in range(len(widths)) if widths[i] > floors[i])
            widths[max(wide, key=lambda i: widths[i])] -= 1
        return widths

    def wrapped(self, width: int) -> str:
        """With cells that wrap; the table is one of ``parts``."""
        widths = next(filter(None, (self._fitted(width, least) for least in _WORDS)))
        lines = [
            "".ljust(_GAP).join(_padded(self.columns, widths, self._align)).rstrip(),
            "".ljust(_GAP).join("-" * size for size in widths),
        ]
        for row in self.rows:
            cells = [list(_wrapped(cell, size)) for cell, size in zip(row, widths, strict=True)]
            for place in range(max(map(len, cells))):
                parts = [part[place] if place < len(part) else "" for part in cells]
                lines.append("".ljust(_GAP).join(_padded(parts, widths, self._align)).rstrip())
        return "\n".join(lines)


def _padded(cells: Sequence[str], widths: Sequence[int], align: Sequence[str]) -> Iterator[str]:
    for cell, size, side in zip(cells, widths, align, strict=True):
        blank = " " * (size - _columns_of(cell))
        yield blank + cell if side == "right" else cell + blank


def _paragraph(columns: Sequence[str], row: Sequence[str], width: int) -> str:
    """One row, a cell on a line or more; empty cells are left out."""
    margin = max(map(_columns_of, columns)) + _GAP
    lines = []
    for column, cell in zip(columns, row, strict=True):
        for place, part in enumerate(_wrapped(cell, max(width - margin, _NARROWEST))):
            head = column if place == 0 else ""
            lines += [f"{head}{' ' * (margin - _columns_of(head))}{part}"] if cell else []
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> Iterator[str]:
    """The lines of a text that take at most so many columns; at least one."""
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if _columns_of(joined) <= width:
            line = joined
            continue
        if line:
            yield line
        *whole, line = _broken(word, width)
        yield from whole
    yield line


def _broken(word: str, width: int) -> list[str]:
    """A word in parts that fit, cut behind a mark where there is one in the second half."""
    parts, part = [], ""
    for letter in word:
        if part and _columns_of(part + letter) > width:
            marks = [i for i, one in enumerate(part, 1) if one in _MARKS and 2 * i >= len(part)]
            cut = marks[-1] if marks else len(part)
            parts.append(part[:cut])
            part = part[cut:]
        part += letter
    return [*parts, part]


def _columns_of(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(_of_letter(letter) for letter in text)


def _of_letter(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in _WIDE else 1
