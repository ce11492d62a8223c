"""The cells of a label file, each checked where it is read and named by its line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness._util.budget import Budget
from harness.data.corpus import LABELS
from harness.data.datasets import Dataset
from harness.data.identifiers import look_alikes, spells_nothing, split_pair, visible
from harness.data.readers.tables import Rows, not_of_a_text, number_advice, parse_csv
from harness.data.spellings import split_name
from harness.errors import DataError

__all__ = ["OPTIONAL_NUMBERS", "REQUIRED", "LabelTable", "open_labels"]

REQUIRED = ("video_id", "clip_id", "text", "label", "mode")
OPTIONAL_NUMBERS = (*LABELS[1:], "start", "stop")

_ALIASES = {
    "video": "video_id",
    "clip": "clip_id",
    "raw_text": "text",
    "label_m": "label",
    "split": "mode",
    "label_t": "label_T",
    "label_a": "label_A",
    "label_v": "label_V",
}
_LINE_END = re.compile("\r\n?")
_HINT = "a label file has video_id, clip_id, text, label and mode"
_AS_TEXT = "store ids as text, as published"


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelTable:
    """A label file: which column has which name, and its cells.

    Every method raises DataError with the line of the first cell that is not what it should be.

    Args:
        file: Its name, for messages.
        header: Column -> place, names as the harness has them.
        content: Cells as text.
    """

    file: str
    header: Mapping[str, int]
    content: Rows

    def column(self, name: str) -> list[str]:
        """(n,) cells as they are."""
        if name not in self.header:
            raise DataError(f"{self.file} has no column {name}; it has {', '.join(self.header)}")
        at = self.header[name]
        return [row[at] for row in self.content.rows]

    def _wrong(self, row: int, problem: str, hint: str | None = None) -> DataError:
        return DataError(f"{self.file}, line {self.content.lines[row]}: {problem}", hint=hint)

    def texts(self, name: str) -> list[str]:
        """(n,) texts; a line end inside one is a newline, whatever the file's line ends are."""
        cells = self.column(name)
        for row, cell in enumerate(cells):
            if wrong := not_of_a_text(cell):
                raise self._wrong(
                    row,
                    f"{name} holds {wrong}",
                    hint="delete it, or save the original again as UTF-8",
                )
        return [_LINE_END.sub("\n", cell) for cell in cells]

    def numbers(self, name: str, *, empty: bool) -> list[float]:
        """(n,) finite numbers; NaN, where it may be, for an empty cell or one that says so."""
        return [self._number(name, row, cell, empty) for row, cell in enumerate(self.column(name))]

    def _number(self, name: str, row: int, cell: str, empty: bool) -> float:
        plain = visible(cell)
        if empty and (not plain or spells_nothing(plain)):
            return math.nan
        try:
            value = math.nan if "_" in plain else float(plain)  # Python reads 1_0 as 10
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._wrong(
                row,
                f"{name} should be a number, found {cell[:40]!r}",
                hint=number_advice(plain),
            )
        return value

    def splits(self) -> list[str]:
        """(n,) train, valid or test."""
        cells = self.column("mode")
        names = [split_name(cell) for cell in cells]
        if "" in names:
            row = names.index("")
            raise self._wrong(
                row, f"mode should be train, valid or test, found {cells[row][:40]!r}"
            )
        return names

    @property
    def whole_ids(self) -> str:
        """The column of whole ids, empty for a file with videos and clips in two columns."""
        if "video_id" in self.header:
            return ""
        return "clip_id" if "clip_id" in self.header else "id"

    def pairs(self, dataset: Dataset) -> list[tuple[str, str]]:
        """Video and clip of each row, from two columns or from one of whole ids."""
        if self.whole_ids:
            whole = enumerate(self.column(self.whole_ids))
            return [self._pair(row, _HINT, dataset.split_id, cell) for row, cell in whole]
        both = enumerate(zip(self.column("video_id"), self.column("clip_id"), strict=True))
        return [self._pair(row, _AS_TEXT, split_pair, *cells) for row, cells in both]

    def _pair(
        self, row: int, hint: str, rule: Callable[..., tuple[str, str]], *cells: str
    ) -> tuple[str, str]:
        try:
            return rule(*cells)
        except ValueError as error:
            raise self._wrong(row, f"{error}", hint=hint) from error

    def ids(self, pairs: Sequence[tuple[str, str]], dataset: Dataset) -> list[str]:
        """(n,) clip ids, all different and all looking different."""
        first: dict[str, int] = {}
        for row, pair in enumerate(pairs):
            clip_id = dataset.clip_id(*pair)
            if clip_id in first:
                earlier = self.content.lines[first[clip_id]]
                raise self._wrong(row, f"clip {clip_id} occurs before, in line {earlier}")
            first[clip_id] = row
        self._refuse_look_alikes([video for video, _ in pairs])
        self._refuse_look_alikes(list(first))
        return list(first)

    def _refuse_look_alikes(self, names: Sequence[str]) -> None:
        alike = look_alikes(dict.fromkeys(names))
        if alike:
            one, other = alike[0]
            raise self._wrong(
                names.index(other),
                f"{other!a} looks like {one!a} in line {self.content.lines[names.index(one)]}"
                " and is another id",
                hint="spell every id as published",
            )


def open_labels(path: Path, dataset: Dataset, encoding: str | None) -> LabelTable:
    """Read a label file and find its columns, under any of their names.

    Raises:
        DataError: For a missing or empty file, as ``tables.parse_csv``, and for missing columns.
    """
    budget = Budget.of(path, "a label file")
    try:
        content = parse_csv(budget.read(path), budget, language=dataset.language, encoding=encoding)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}") from error
    if not content.rows:
        raise DataError(f"{path.name} has a header and no clips")
    return LabelTable(file=path.name, header=_header(path.name, content.header), content=content)


def _header(file: str, cells: Sequence[str]) -> dict[str, int]:
    header: dict[str, int] = {}
    for index, name in enumerate(cells):
        known = _ALIASES.get(name.lower(), name.lower())
        known = known if known in (*REQUIRED, *OPTIONAL_NUMBERS, "id") else name
        if known in header:
            raise DataError(
                f"{file}: two columns are called {known!r} ({cells[header[known]]}, {name})"
            )
        header[known] = index
    whole_ids = "video_id" not in header and bool({"clip_id", "id"} & set(header))
    missing = [name for name in REQUIRED[2 if whole_ids else 0 :] if name not in header]
    if missing:
        raise DataError(
            f"{file} lacks the columns {', '.join(missing)}; it has {', '.join(header)}", hint=_HINT
        )
    return header
