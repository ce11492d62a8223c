"""MMSA ``label.csv`` files (one row per clip, no features) to corpora.

Source: thuiar/MMSA, the label files beside its features.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.canonical import file_digest
from harness.data.corpus import LABELS
from harness.data.datasets import SPLITS, Dataset
from harness.data.store import Draft, corpus_name
from harness.errors import DataError

__all__ = ["read"]

_SPLITS = {"train": "train", "valid": "valid", "dev": "valid", "val": "valid", "test": "test"}
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
_REQUIRED = ("video_id", "clip_id", "text", "label", "mode")
_OPTIONAL_NUMBERS = (*LABELS[1:], "start", "stop")
_RESERVED = ("id", "video", "clip", "split")  # of the corpus; a column of that name is left out


def read(
    path: Path, dataset: Dataset, feature_set: str = "label-csv", *, text: str = "text"
) -> Draft:
    """Convert a label file: clips, texts and labels without feature streams.

    Columns ``video_id, clip_id, text, label, mode`` are required, in any order and letter case;
    ``label_T/A/V``, ``start`` and ``stop`` are numbers or empty; other columns are kept as text.

    Args:
        path: The ``.csv`` file, UTF-8 (GB 18030 only when it is not valid UTF-8).
        dataset: The dataset it claims to be.
        feature_set: Name of the feature set.
        text: Column that serves as the transcript, for files with a translation beside it.

    Raises:
        DataError: For a missing or empty file, missing columns, and, with the line, for rows of
            another width, labels that are not numbers, unknown splits, empty or repeated ids.
    """
    content, encoding = _decoded(path)
    table = _parsed(path.name, content)
    clips = pd.DataFrame(
        {
            "id": table.ids(dataset),
            "video": table.column("video_id"),
            "clip": table.column("clip_id"),
            "split": table.splits(),
            "text": table.text(text),
            "label": table.numbers("label", empty=False),
        }
    )
    for name in _OPTIONAL_NUMBERS:
        if name in table.header:
            clips[name] = table.numbers(name, empty=True)
    others = [name for name in table.header if name not in (*_REQUIRED, *_OPTIONAL_NUMBERS)]
    for name in others:
        if name not in _RESERVED:
            clips[name] = table.column(name)
    return Draft(
        name=corpus_name(dataset, feature_set),
        clips=clips,
        streams={},
        manifest={
            "reader": "label-csv",
            "source": {"name": path.name, "sha256": file_digest(path), "encoding": encoding},
            "text": text,
            "clips": {split: int((clips["split"] == split).sum()) for split in SPLITS},
            "ignored": [name for name in others if name in _RESERVED],
        },
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """A CSV file as text cells; ``lines`` holds the last line of each row."""

    file: str
    header: Mapping[str, int]
    rows: list[list[str]]
    lines: list[int]

    def column(self, name: str) -> list[str]:
        at = self.header[name]
        return [row[at] for row in self.rows]

    def text(self, name: str) -> list[str]:
        if name not in self.header:
            raise DataError(f"{self.file} has no column {name}; it has {', '.join(self.header)}")
        return self.column(name)

    def wrong(self, row: int, problem: str) -> DataError:
        return DataError(f"{self.file}, line {self.lines[row]}: {problem}")

    def numbers(self, name: str, *, empty: bool) -> list[float]:
        return [self.number(name, row, cell, empty) for row, cell in enumerate(self.column(name))]

    def number(self, name: str, row: int, cell: str, empty: bool) -> float:
        if empty and not cell.strip():
            return math.nan
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(row, f"{name} should be a number, found {cell[:40]!r}")
        return value

    def splits(self) -> list[str]:
        cells = self.column("mode")
        names = [_SPLITS.get(cell.strip().lower(), "") for cell in cells]
        if "" in names:
            row = names.index("")
            raise self.wrong(row, f"mode should be train, valid or test, found {cells[row][:40]!r}")
        return names

    def ids(self, dataset: Dataset) -> list[str]:
        first: dict[str, int] = {}
        for row, pair in enumerate(
            zip(self.column("video_id"), self.column("clip_id"), strict=True)
        ):
            if not all(pair):
                raise self.wrong(row, "video_id or clip_id is empty")
            clip_id = dataset.clip_id(*pair)
            if clip_id in first:
                earlier = self.lines[first[clip_id]]
                raise self.wrong(row, f"clip {clip_id} occurs before, in line {earlier}")
            first[clip_id] = row
        return list(first)


def _decoded(path: Path) -> tuple[str, str]:
    if not path.is_file():
        raise DataError(
            f"expected a label file, found {'a folder' if path.is_dir() else 'nothing'}: {path}"
        )
    content = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError:
            continue
    raise DataError(f"{path.name} is neither UTF-8 nor GB 18030 text", hint="save it as UTF-8")


def _parsed(file: str, text: str) -> _Table:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: not a CSV file: {error}") from error
    if len(rows) < 2:
        raise DataError(f"{file} should have a header and clips, found {len(rows)} rows")
    table = _Table(file, _header(file, rows[0]), rows[1:], lines[1:])
    for index, row in enumerate(table.rows):
        if len(row) != len(rows[0]):
            raise table.wrong(index, f"{len(row)} cells under {len(rows[0])} column names")
    return table


def _header(file: str, cells: list[str]) -> dict[str, int]:
    header: dict[str, int] = {}
    for index, cell in enumerate(cells):
        name = cell.strip()
        known = _ALIASES.get(name.lower(), name.lower())
        name = known if known in (*_REQUIRED, *_OPTIONAL_NUMBERS) else name
        if name in header:
            raise DataError(f"{file}: two columns are called {name!r}")
        header[name] = index
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise DataError(
            f"{file} lacks the columns {', '.join(missing)}; it has {', '.join(header)}",
            hint="a label file has video_id, clip_id, text, label and mode",
        )
    return header
