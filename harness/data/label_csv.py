"""MMSA ``label.csv`` files (one row per clip, no features) to corpora.

Source: thuiar/MMSA, the label files beside its features.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.canonical import Json, file_digest
from harness.data.corpus import LABELS
from harness.data.datasets import SPLITS, Dataset
from harness.data.store import Draft, corpus_name
from harness.errors import DataError
from harness.identifiers import look_alikes, spells_nothing, split_pair, visible
from harness.tables import Rows, not_of_a_text, parse_csv

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
_LINE_END = re.compile("\r\n?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_HINT = "a label file has video_id, clip_id, text, label and mode"


def read(
    path: Path,
    dataset: Dataset,
    feature_set: str = "label-csv",
    *,
    text: str = "text",
    encoding: str | None = None,
) -> Draft:
    """Convert a label file: clips, texts and labels without feature streams.

    Columns ``video_id, clip_id, text, label, mode`` are required, in any order and letter case;
    ``label_T/A/V``, ``start`` and ``stop`` are numbers or empty; other columns are kept as text.
    Instead of ``video_id`` and ``clip_id`` there may be one column of whole ids, ``id`` or
    ``clip_id``; beside ``video_id``, a ``clip_id`` may be the whole id too.

    What no one sees does not count: blanks around names, ids and splits, the order of the columns
    and the kind of line ends (a line end inside a text is one newline). Texts stay as they are.

    Args:
        path: The ``.csv`` file, in UTF-8 or, by evidence, in an encoding of the language.
        dataset: The dataset it claims to be.
        feature_set: Name of the feature set.
        text: Column that serves as the transcript, for files with a translation beside it.
        encoding: What the file is in, where evidence does not tell.

    Raises:
        DataError: For a missing or empty file, an encoding that cannot be told, missing columns,
            and, with the line, for rows of another width, quotes that swallow rows, texts with
            control characters, labels that are not numbers, unknown splits, and ids that are empty,
            repeated, changed by a spreadsheet, or other than they look.
    """
    table = _opened(path, dataset, encoding)
    pairs = table.pairs(dataset)
    clips = pd.DataFrame(
        {
            "id": table.ids(pairs, dataset),
            "video": [video for video, _ in pairs],
            "clip": [clip for _, clip in pairs],
            "split": table.splits(),
            "text": table.texts(text),
            "label": table.numbers("label", empty=False),
        }
    )
    for name in _OPTIONAL_NUMBERS:
        if name in table.header:
            clips[name] = table.numbers(name, empty=True)
    others = sorted(set(table.header) - {*_REQUIRED, *_OPTIONAL_NUMBERS})
    for name in others:
        if name not in _RESERVED:
            clips[name] = table.texts(name)
    return Draft(
        name=corpus_name(dataset, feature_set),
        clips=clips,
        streams={},
        manifest={
            "reader": "label-csv",
            "source": _source(path, table.content, encoding),
            "text": text,
            "clips": {split: int((clips["split"] == split).sum()) for split in SPLITS},
            "ignored": [name for name in others if name in _RESERVED],
        },
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Table:
    """A label file: its cells, and which column has which name."""

    file: str
    header: Mapping[str, int]
    content: Rows

    def column(self, name: str) -> list[str]:
        if name not in self.header:
            raise DataError(f"{self.file} has no column {name}; it has {', '.join(self.header)}")
        at = self.header[name]
        return [row[at] for row in self.content.rows]

    def wrong(self, row: int, problem: str, hint: str | None = None) -> DataError:
        return DataError(f"{self.file}, line {self.content.lines[row]}: {problem}", hint=hint)

    def texts(self, name: str) -> list[str]:
        cells = self.column(name)
        for row, cell in enumerate(cells):
            if wrong := not_of_a_text(cell):
                raise self.wrong(
                    row,
                    f"{name} holds {wrong}",
                    hint="delete it, or save the original again as UTF-8",
                )
        return [_LINE_END.sub("\n", cell) for cell in cells]

    def numbers(self, name: str, *, empty: bool) -> list[float]:
        return [self.number(name, row, cell, empty) for row, cell in enumerate(self.column(name))]

    def number(self, name: str, row: int, cell: str, empty: bool) -> float:
        plain = visible(cell)
        if empty and (not plain or spells_nothing(plain)):
            return math.nan
        try:
            value = math.nan if "_" in plain else float(plain)  # Python reads 1_0 as 10
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            comma = _DECIMAL_COMMA.fullmatch(plain)
            raise self.wrong(
                row,
                f"{name} should be a number, found {cell[:40]!r}",
                hint=f"decimals have a point: {plain.replace(',', '.')}" if comma else None,
            )
        return value

    def splits(self) -> list[str]:
        cells = self.column("mode")
        names = [_SPLITS.get(unicodedata.normalize("NFKC", visible(c)).lower(), "") for c in cells]
        if "" in names:
            row = names.index("")
            raise self.wrong(row, f"mode should be train, valid or test, found {cells[row][:40]!r}")
        return names

    def pairs(self, dataset: Dataset) -> list[tuple[str, str]]:
        """Video and clip of each row, from two columns or from one of whole ids."""
        if "video_id" in self.header:
            both = zip(self.column("video_id"), self.column("clip_id"), strict=True)
            return [self.pair(row, split_pair, *cells) for row, cells in enumerate(both)]
        whole = self.column("clip_id" if "clip_id" in self.header else "id")
        return [self.pair(row, dataset.split_id, cell) for row, cell in enumerate(whole)]

    def pair(self, row: int, rule: Callable[..., tuple[str, str]], *cells: str) -> tuple[str, str]:
        try:
            return rule(*cells)
        except ValueError as error:
            raise self.wrong(row, f"{error}", hint=_HINT) from error

    def ids(self, pairs: Sequence[tuple[str, str]], dataset: Dataset) -> list[str]:
        first: dict[str, int] = {}
        for row, pair in enumerate(pairs):
            clip_id = dataset.clip_id(*pair)
            if clip_id in first:
                earlier = self.content.lines[first[clip_id]]
                raise self.wrong(row, f"clip {clip_id} occurs before, in line {earlier}")
            first[clip_id] = row
        self.refuse_look_alikes([video for video, _ in pairs])
        self.refuse_look_alikes(list(first))
        return list(first)

    def refuse_look_alikes(self, names: Sequence[str]) -> None:
        alike = look_alikes(dict.fromkeys(names))
        if alike:
            one, other = alike[0]
            raise self.wrong(
                names.index(other),
                f"{other!a} looks like {one!a} in line {self.content.lines[names.index(one)]}"
                " and is another id",
                hint="spell every id as published",
            )


def _opened(path: Path, dataset: Dataset, encoding: str | None) -> _Table:
    if not path.is_file():
        raise DataError(
            f"expected a label file, found {'a folder' if path.is_dir() else 'nothing'}: {path}"
        )
    content = parse_csv(path.read_bytes(), path.name, language=dataset.language, encoding=encoding)
    if not content.rows:
        raise DataError(f"{path.name} has a header and no clips")
    return _Table(file=path.name, header=_header(path.name, content.header), content=content)


def _header(file: str, cells: Sequence[str]) -> dict[str, int]:
    header: dict[str, int] = {}
    for index, name in enumerate(cells):
        known = _ALIASES.get(name.lower(), name.lower())
        known = known if known in (*_REQUIRED, *_OPTIONAL_NUMBERS, "id") else name
        if known in header:
            raise DataError(
                f"{file}: two columns are called {known!r} ({cells[header[known]]}, {name})"
            )
        header[known] = index
    needed = _REQUIRED
    if "video_id" not in header and {"clip_id", "id"} & set(header):  # of whole ids
        needed = _REQUIRED[2:]
    missing = [name for name in needed if name not in header]
    if missing:
        raise DataError(
            f"{file} lacks the columns {', '.join(missing)}; it has {', '.join(header)}", hint=_HINT
        )
    return header


def _source(path: Path, content: Rows, stated: str | None) -> dict[str, Json]:
    """What was read, how, and how many lines it had (more than clips where texts have several)."""
    decoded = content.decoded
    evidence = "as stated" if stated is not None else decoded.evidence
    return {
        "name": path.name,
        "sha256": file_digest(path),
        "encoding": decoded.encoding,
        **({"evidence": evidence} if evidence else {}),
        "lines": content.lines[-1],
    }
