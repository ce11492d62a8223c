"""Tables that people hand in: CSV, Parquet, JSON or JSON lines, checked on the way in.

Everything with one row per clip comes through here: label files, predictions, late-fusion inputs,
explanations, rewordings, recordings. ``read_table`` settles the file (format, encoding, quotes,
columns), the methods of ``InputTable`` settle its cells (ids, numbers, texts). What is wrong is
said with file, clip or line, and what was expected there.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness._util.budget import Budget
from harness._util.decoding import Decoded, decode
from harness._util.parquet import read_parquet
from harness.data.identifiers import canonical_id, look_alikes, split_pair, visible
from harness.data.readers.foreign import foreign_table
from harness.errors import DataError, HarnessError

if TYPE_CHECKING:
    from harness.data.datasets import Dataset

__all__ = [
    "FORMATS",
    "InputTable",
    "Rows",
    "charge_csv",
    "not_of_a_text",
    "number_advice",
    "parse_csv",
    "read_table",
]

FORMATS = (".csv", ".tsv", ".parquet", ".jsonl", ".json")

_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_END = re.compile("\r\n?|\n")  # str.splitlines would also cut inside texts
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_CELL = 88  # bytes charged per cell of a CSV: the text that it is, and the places that hold it
_ROW = 160  # per row
_PLACE = 24  # per cell of a table of JSON lines, which has one for each key of any line
_TOKENS = {b"{": 200, b"[": 96, b":": 96, b",": 64, b"\n": 64}
"""Bytes charged per sign of a JSON file: a table or list begins, a name ends, a value ends."""
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
"""What stands between the cells of a row instead of commas, where the first line has none."""
_MOST_DIGITS = 400  # more than the largest finite number has
_ELSEWHERE = {
    ".gz": "compressed: unpack it first",
    ".zip": "compressed: unpack it first",
    ".xlsx": "a spreadsheet: save it as .csv (UTF-8), ids as text",
    ".xls": "a spreadsheet: save it as .csv (UTF-8), ids as text",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """A CSV file as text.

    Args:
        header: Column names without what no one sees.
        rows: Cells as they are, as many as columns.
        lines: (n,) last line of each row in the file, from 1.
        decoded: The text and how it was read.
    """

    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    decoded: Decoded


@dataclass(frozen=True, eq=False, kw_only=True)
class InputTable:
    """A table with one row per clip (or per clip and run).

    Args:
        name: The file, for messages.
        frame: Cells as the file has them; text in CSV.
        encoding: What a text file was read as, and why where that is not plain.
        error: What is raised for wrong content.
    """

    name: str
    frame: pd.DataFrame
    encoding: str
    error: type[HarnessError]

    def need(self, *columns: str, hint: str | None = None) -> None:
        """Refuse a table without one of these columns, or without rows."""
        missing = [name for name in columns if name not in self.frame]
        if missing:
            found = ", ".join(map(str, self.frame.columns)) or "none"
            raise self.error(
                f"{self.name}: expected a column {missing[0]}; found {found}", hint=hint
            )
        if not len(self.frame):
            raise self.error(f"{self.name} has a header and no rows")

    def ids(self, *, unique: bool = False, dataset: Dataset | None = None) -> list[str]:
        """Clip ids as ``video_clip``, from ``id`` or from ``video_id`` and ``clip_id``.

        Args:
            unique: Whether a clip may occur only once.
            dataset: Whose clips they are: its rules take ids apart and join them.

        Raises:
            HarnessError: ``error``, for a table without them, cells that are no ids (see
                ``identifiers``), ids that only look alike, and repeated ones where they may not be.
        """
        if "id" in self.frame:
            self.need("id")
            ids = [self._id(cell, row, dataset) for row, cell in enumerate(self.frame["id"])]
        elif {"video_id", "clip_id"} <= set(self.frame):
            self.need("video_id", "clip_id")
            pairs = zip(self.frame["video_id"], self.frame["clip_id"], strict=True)
            ids = [self._joined(pair, row, dataset) for row, pair in enumerate(pairs)]
        else:
            found = ", ".join(map(str, self.frame.columns)) or "none"
            raise self.error(
                f"{self.name}: expected a column id, or video_id and clip_id; found {found}"
            )
        self._refuse_look_alikes(ids)
        if unique:
            self.refuse_repeated(ids)
        return ids

    def refuse_repeated(self, ids: Sequence[str]) -> None:
        """Refuse ids that occur more than once."""
        repeated = list(dict.fromkeys(pd.Series(ids)[pd.Series(ids).duplicated()]))
        if repeated:
            raise self.error(
                f"{self.name} has {len(repeated)} clips more than once: {_few(repeated)}",
                hint="one row per clip; which of them is meant cannot be told",
            )

    def numbers(
        self, column: str, places: Sequence[str], *, empty: bool = False, hint: str | None = None
    ) -> NDArray[np.float64]:
        """(n,) finite numbers; booleans, dates, lists and words are none.

        Args:
            column: Which column.
            places: (n,) what to call each row in a message, such as its clip.
            empty: Whether a cell may be empty; it becomes NaN.
            hint: What to do about a cell that is no number.

        Raises:
            HarnessError: ``error``, naming the first such cell and how many there are.
        """
        self.need(column)
        cells = self.frame[column]
        values = np.array([_number(cell) for cell in cells], dtype=np.float64)
        broken = ~np.isfinite(values)
        if empty:
            broken &= ~np.array([_is_empty(cell) for cell in cells], dtype=np.bool_)
        at = np.flatnonzero(broken)
        if at.size:
            first = int(at[0])
            raise self.error(
                f"{self.name}: {column} of clip {places[first]} is not a finite number"
                f" ({_shown(cells.iloc[first])}; {at.size} such clips)",
                hint=number_advice(cells.iloc[first]) or hint,
            )
        return values

    def texts(self, column: str, places: Sequence[str], *, empty: bool = True) -> list[str]:
        """(n,) texts; numbers, booleans and lists are none. An empty or missing cell is "".

        Args:
            column: Which column.
            places: (n,) what to call each row in a message, such as its clip.
            empty: Whether a cell may be empty.

        Raises:
            HarnessError: ``error``, naming the clip, for a cell that is no text, holds what no text
                has (see ``not_of_a_text``), or is empty where it may not be.
        """
        self.need(column)
        return [
            self._text(cell, f"{column} of clip {place}", empty=empty)
            for cell, place in zip(self.frame[column], places, strict=True)
        ]

    def _text(self, cell: object, where: str, *, empty: bool) -> str:
        if isinstance(cell, str) and (wrong := not_of_a_text(cell)):
            raise self.error(
                f"{self.name}: {where} holds {wrong}",
                hint="delete it, or save the original again as UTF-8",
            )
        if _is_empty(cell):
            if empty:
                return cell if isinstance(cell, str) else ""
            raise self.error(f"{self.name}: {where} is empty")
        if not isinstance(cell, str):
            raise self.error(
                f"{self.name}: {where} should be a text, found {_kind(cell)}",
                hint="numbers, lists and booleans are not words",
            )
        return cell

    def _id(self, cell: object, row: int, dataset: Dataset | None) -> str:
        try:
            return canonical_id(cell) if dataset is None else dataset.canonical_id(cell)
        except ValueError as error:
            raise self._wrong_id(error, row) from error

    def _joined(self, pair: tuple[object, object], row: int, dataset: Dataset | None) -> str:
        try:
            video, clip = split_pair(*pair)
        except ValueError as error:
            raise self._wrong_id(error, row) from error
        return f"{video}_{clip}" if dataset is None else dataset.clip_id(video, clip)

    def _wrong_id(self, error: ValueError, row: int) -> HarnessError:
        return self.error(
            f"{self.name}, row {row + 1} of {len(self.frame)}: {error}",
            hint="store ids as text, as published",
        )

    def _refuse_look_alikes(self, ids: Iterable[str]) -> None:
        pairs = look_alikes(dict.fromkeys(ids))
        if pairs:
            one, other = pairs[0]
            raise self.error(
                f"{self.name}: {len(pairs)} ids look like another one and are not: {one!a} and"
                f" {other!a}",
                hint="spell every id as published",
            )


def not_of_a_text(cell: str) -> str:
    r"""What in a cell belongs to no text: half a character or a control character; else nothing.

    Tabs and line ends are text. The controls beyond ASCII (0x80 to 0x9F) are what is left of
    typographic signs of Windows that were read as Latin-1.

    Example:
        >>> not_of_a_text("it\x92s"), not_of_a_text("two\nlines")
        ("a control character ('\\x92')", '')
    """
    found = _NO_TEXT.search(cell)
    if found is None:
        return ""
    half = "\ud800" <= found[0] <= "\udfff"
    return f"{'half a' if half else 'a control'} character ({found[0]!a})"


def read_table(
    path: Path,
    *,
    error: type[HarnessError] = DataError,
    what: str = "tables",
    hint: str | None = None,
    language: str | None = None,
    encoding: str | None = None,
) -> InputTable:
    """Any table in one of ``FORMATS``, cells as the file has them (text in CSV).

    Args:
        path: A ``.csv`` or ``.tsv``, ``.parquet``, ``.jsonl`` or ``.json`` file, in any letter
            case. A ``.json`` file is a list of objects.
        error: What to raise for a wrong file.
        what: What such tables are, for the message about another format.
        hint: What such a table has, for the same message.
        language: Whose encodings CSV may be in (see ``decoding``); None for UTF-8 alone.
        encoding: What a CSV is in, stated by the user.

    Raises:
        HarnessError: ``error``, for another format, a missing or damaged file, one that takes more
            memory than a file of its size may (see ``Budget``), repeated columns or JSON keys,
            quotes that swallow rows.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        also = f" ({_ELSEWHERE[kind]})" if kind in _ELSEWHERE else ""
        raise error(f"{what} come as {', '.join(FORMATS)}; found {path.name}{also}", hint=hint)
    budget = Budget.of(path, "a table", error=error, hint=hint)
    decoded = Decoded(text="", encoding="")
    try:
        if kind in (".csv", ".tsv"):
            rows = parse_csv(budget.read(path), budget, language=language, encoding=encoding)
            frame = pd.DataFrame(rows.rows, columns=rows.header, dtype=object)
            decoded = rows.decoded
        elif kind in (".jsonl", ".json"):
            frame = _json_objects(path, budget, listed=kind == ".json")
        else:
            frame = read_parquet(path, budget=budget)
    except DataError as problem:
        raise error(str(problem), hint=problem.hint) from problem
    except (OSError, ValueError, RecursionError) as problem:
        raise error(f"{path.name} cannot be read: {problem}") from problem
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise error(f"{path.name} has two columns {twice[0]}")
    read_as = f"{decoded.encoding}: {decoded.evidence}" if decoded.evidence else decoded.encoding
    return InputTable(name=path.name, frame=frame, encoding=read_as, error=error)


# CSV


def parse_csv(
    content: bytes, budget: Budget, *, language: str | None = None, encoding: str | None = None
) -> Rows:
    """A CSV file as rows of text, all as wide as the header; blank lines are skipped.

    Cells are separated by commas; where the first line has none, by semicolons, tabs or bars.

    Args:
        content: The file's bytes.
        budget: What the file may take; names it in messages.
        language: As in ``decoding.decode``.
        encoding: As in ``decoding.decode``.

    Raises:
        HarnessError: The budget's error, for a file that takes more, or has too many columns.
        DataError: With the line, for bytes that are no text, broken quotes, rows of another width,
            quotes that swallow rows, and a file without a header.
    """
    name = budget.name
    what, hint = foreign_table(content[:64])
    if what:
        raise DataError(f"{name} is not a CSV file but {what}", hint=hint)
    charge_csv(content, budget)
    decoded = decode(content, name, language=language, encoding=encoding, budget=budget)
    sign = _separator(decoded.text)
    with budget.lent(4 * len(decoded.text), "its text"):
        rows, lines = _csv_rows(decoded.text, name, budget, sign)
    header = [visible(cell) for cell in rows[0]]
    for row, line in zip(rows[1:], lines[1:], strict=True):
        if len(row) != len(header):
            raise DataError(
                f"{name}, line {line}: {len(row)} cells under {len(header)} column names"
            )
        _refuse_swallowed(row, line, name, sign)
    return Rows(header=header, rows=rows[1:], lines=lines[1:], decoded=decoded)


def charge_csv(content: bytes, budget: Budget) -> None:
    """Charge the rows and cells of a CSV file, before it is taken apart.

    Raises:
        HarnessError: The budget's error.
    """
    signs = (b",", *(sign.encode() for sign in _SEPARATORS))
    budget.spend(_CELL * max(map(content.count, signs)), "its cells")
    budget.spend(_ROW * (content.count(b"\n") + content.count(b"\r")), "its rows")
    budget.spend_text(content, "the text in its cells")


def _separator(text: str) -> str:
    """What stands between the cells of a CSV file, by its first line that is not blank."""
    first = next((line for line in _LINE_END.split(text) if line.strip()), "")
    others = (sign for sign in _SEPARATORS if sign in first)
    return "," if "," in first else next(others, ",")


def _csv_rows(text: str, name: str, budget: Budget, sign: str) -> tuple[list[list[str]], list[int]]:
    """Rows that are not blank, and the last line of each."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=sign)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            if row:
                if not rows:
                    budget.need_few_names(len(row), "columns")
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        begin = lines[-1] + 1 if lines else 1
        raise DataError(
            f"{name}, line {begin}: not a CSV row: {error}",
            hint="a text with quotes or commas stands in quotes, its own quotes doubled",
        ) from error
    if not rows:
        raise DataError(f"{name} is empty", hint="a table has a header and rows")
    return rows, lines


def _refuse_swallowed(row: list[str], line: int, name: str, sign: str) -> None:
    """Refuse a cell that holds the end of one row and the beginning of another.

    An unclosed quote runs on to the next one; what lies between looks like a text of several
    lines, whose first has all the cells that should follow and whose last all that should precede.
    """
    for place, cell in enumerate(row):
        if len(row) == 1 or not ("\n" in cell or "\r" in cell):
            continue
        pieces = cell.splitlines() or [""]
        after, before = len(row) - 1 - place, place
        if pieces[0].count(sign) >= after and pieces[-1].count(sign) >= before:
            raise DataError(
                f"{name}, line {line - len(pieces) + 1}: a quote is opened and not closed, it"
                f" swallows {len(pieces) - 1} rows ({reprlib.repr(cell)})",
                hint="close the quote, or double it where it belongs to the text",
            )


# JSON


def _json_objects(path: Path, budget: Budget, *, listed: bool) -> pd.DataFrame:
    """The objects of a file, of a list or one on each line."""
    name, content = path.name, budget.read(path)
    for sign, size in _TOKENS.items():
        budget.spend(size * content.count(sign), "its values")
    budget.spend_text(content, "its lines")
    text = decode(content, name, budget=budget).text
    keys: dict[str, None] = {}
    rows = []
    for row in _of_a_list(text, name) if listed else _of_lines(text, name):
        rows.append(row)
        keys.update(dict.fromkeys(row))
        budget.need_few_names(len(keys), "keys")
    if not rows:
        each = "entry of its list" if listed else "line"
        raise DataError(f"{name} is empty", hint=f"each {each} is one JSON object")
    budget.spend(_PLACE * len(rows) * len(keys), f"{len(rows)} rows of {len(keys)} keys")
    return pd.DataFrame(rows, dtype=object)  # numbers and ids stay as they are written


def _of_lines(text: str, name: str) -> Iterator[Mapping[str, object]]:
    for number, line in enumerate(_LINE_END.split(text), 1):
        if line.strip():
            row = _value(line, f"{name}, line {number}")
            if not isinstance(row, dict):
                raise DataError(f"{name}: line {number} is not a JSON object")
            yield row


def _of_a_list(text: str, name: str) -> Iterator[Mapping[str, object]]:
    listed = _value(text, name)
    if not isinstance(listed, list):
        raise DataError(
            f"{name} should be a list of JSON objects, found {_kind(listed)}",
            hint="a list of one object per clip, or one object on each line of a .jsonl file",
        )
    for number, row in enumerate(listed, 1):
        if not isinstance(row, dict):
            raise DataError(f"{name}: entry {number} of its list is not a JSON object")
        yield row


def _value(text: str, where: str) -> object:
    try:
        found: object = json.loads(text, object_pairs_hook=_without_repeats, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: {error}") from error
    return found


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) != len(pairs):
        times = Counter(key for key, _ in pairs)
        twice = next(key for key, count in times.items() if count > 1)
        raise ValueError(f"the key {twice!r} stands twice; which is meant cannot be told")
    return row


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits, {_MOST_DIGITS} at most")
    return int(digits)


# Cells


def number_advice(cell: object) -> str | None:
    """How to write a cell that a person reads as a number and a program does not.

    Example:
        >>> number_advice("0,71"), number_advice("−0.7"), number_advice("many")
        ('decimals have a point: 0.71', 'the minus sign is a plain one: -0.7', None)
    """
    plain = cell.strip() if isinstance(cell, str) else ""
    if _DECIMAL_COMMA.fullmatch(plain):
        return f"decimals have a point: {plain.replace(',', '.')}"
    if plain[:1] in ("−", "–") and math.isfinite(_number(f"-{plain[1:]}")):
        return f"the minus sign is a plain one: -{plain[1:]}"
    if plain.endswith("%"):
        return "values are on the scale of the labels, without a percent sign"
    return None


def _number(cell: object) -> float:
    """The number in a cell, NaN for anything else: booleans, dates, ids that look like numbers."""
    if isinstance(cell, bool | np.bool_) or not isinstance(cell, str | Real | Decimal):
        return math.nan
    if isinstance(cell, str) and "_" in cell:  # Python reads the id 12_3 as 123
        return math.nan
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return math.nan


def _is_empty(cell: object) -> bool:
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or cell is pd.NaT or cell is pd.NA or _is_nan(cell)


def _is_nan(cell: object) -> bool:
    return isinstance(cell, float | np.floating | Decimal) and math.isnan(cell)


def _shown(cell: object) -> str:
    return reprlib.repr(cell.item() if isinstance(cell, np.generic) else cell)


def _kind(cell: object) -> str:
    return f"a {type(cell).__name__} ({reprlib.repr(cell)[:60]})"


def _few(items: Sequence[str], most: int = 3) -> str:
    return ", ".join(items[:most]) + (", …" if len(items) > most else "")
