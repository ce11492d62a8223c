"""Texts of a feature file: words as they are, gaps as gaps, bytes decoded by evidence."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness._util.budget import Budget
from harness._util.decoding import decode
from harness.data.readers.pickled_numpy import OldString
from harness.errors import DataError

__all__ = ["Texts", "is_absent", "texts"]

Cell = tuple[str, object]
"""What to call an entry in a message, and the entry."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Texts:
    """The texts of one key.

    Args:
        values: (N,) one per clip; "" where the file has None or NaN.
        absent: How many are None or NaN.
        read_as: Encoding and evidence where some were bytes other than UTF-8, else empty.
    """

    values: list[str]
    absent: int
    read_as: str


def is_absent(entry: object) -> bool:
    """Whether an entry is None or NaN."""
    return entry is None or (isinstance(entry, float | np.floating) and bool(np.isnan(entry)))


def texts(cells: Sequence[Cell], language: str, budget: Budget) -> Texts:
    """One text per entry.

    Args:
        cells: The entries of one key, of all splits.
        language: Whose encodings bytes may be in that are not UTF-8 (see ``decoding``).
        budget: Each text is charged to, for it is written out for each clip that names it.

    Raises:
        DataError: When the budget is used up; naming the entry, for numbers, booleans, lists, half
            characters, and for bytes that fit no encoding or two.
    """
    for where, entry in cells:
        budget.spend(_written(entry), f"the text of {where.rpartition(' ')[2]}")
    foreign = {row: entry for row, (_, entry) in enumerate(cells) if _is_foreign(entry)}
    encoding, read_as = _encoding(cells, foreign, language)
    return Texts(
        values=[_text(*cell, encoding if row in foreign else "") for row, cell in enumerate(cells)],
        absent=sum(is_absent(entry) for _, entry in cells),
        read_as=read_as,
    )


def _written(entry: object) -> int:
    """Bytes of a text as Python, Arrow and Parquet hold it while it is stored."""
    if not isinstance(entry, str | bytes):
        return 0
    return 4 * len(entry) if entry.isascii() else 12 * len(entry)


def _is_foreign(entry: object) -> bool:
    """Whether an entry is bytes that are not UTF-8."""
    if not isinstance(entry, bytes):
        return False
    try:
        entry.decode()
    except UnicodeDecodeError:
        return True
    return False


def _encoding(cells: Sequence[Cell], foreign: dict[int, object], language: str) -> tuple[str, str]:
    """The encoding that all entries in bytes are in, and why."""
    if not foreign:
        return "", ""
    row, first = next(iter(foreign.items()))
    where = cells[row][0]
    content = b"\n".join(entry for entry in foreign.values() if isinstance(entry, bytes))
    try:
        decoded = decode(content, where, language=language)
    except DataError as error:
        old = "written by Python 2; " if isinstance(first, OldString) else ""
        raise DataError(
            f"{where} is not valid text: {reprlib.repr(bytes(content[:40]))}, {len(foreign)} of"
            f" {len(cells)} entries are bytes that are not UTF-8 ({_reason(error, where)})",
            hint=f"{old}store texts as str, not as bytes",
        ) from error
    return decoded.encoding, f"{decoded.encoding}: {decoded.evidence}"


def _reason(error: DataError, where: str) -> str:
    return str(error).removeprefix(where).removeprefix(" is ").strip()


def _text(where: str, entry: object, encoding: str) -> str:
    if is_absent(entry):
        return ""
    if isinstance(entry, bytes):
        return entry.decode(encoding or "utf-8")
    if not isinstance(entry, str):
        raise DataError(
            f"{where} should be a text, found a {type(entry).__name__}",
            hint="numbers, lists and booleans are not words; store None where there is no text",
        )
    try:
        entry.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where} is not valid text: half a character",
            hint="save the original again as UTF-8",
        ) from error
    return str(entry)
