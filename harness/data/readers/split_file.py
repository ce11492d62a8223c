"""An unpickled MMSA file: split -> key -> one entry per clip, with checked access."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness._util.budget import Budget
from harness.data.datasets import SPLITS
from harness.data.readers import mag_bert as _mag_bert
from harness.data.readers import unpickle
from harness.data.readers.pickled_texts import Texts, is_absent, texts
from harness.data.spellings import split_name
from harness.errors import DataError

__all__ = ["LAYOUTS", "SplitFile", "open_clip_file", "open_split_file"]

LAYOUTS = ("mmsa", "mag-bert")
_NUMBERS = (int, float, np.number)
_CELL = 256  # bytes charged per entry that is taken out of its array, with its name for messages
_LAYOUT = "MMSA's layout: a dictionary of id, raw_text, regression_labels and arrays in each split"


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitFile:
    """The splits of one file.

    Args:
        name: File name, for messages.
        splits: Content by canonical split name, in the order train, valid, test.
        counts: Clips per split.
        language: Of its texts, as ``Dataset.language``: what bytes that are not UTF-8 may be in.
        budget: What is taken out of it is charged to.
    """

    name: str
    splits: Mapping[str, Mapping[str, object]]
    counts: Mapping[str, int]
    language: str
    budget: Budget

    @property
    def keys(self) -> set[str]:
        """Keys of any split."""
        return {key for content in self.splits.values() for key in content}

    @property
    def places(self) -> list[str]:
        """(N,) what to call each clip: ``train[3]``."""
        return [f"{split}[{row}]" for split, count in self.counts.items() for row in range(count)]

    def entries(self, key: str) -> dict[str, Sequence[object] | NDArray[np.generic]]:
        """Split -> the entries of ``key``, one per clip.

        Raises:
            DataError: When a split lacks the key or has another number of entries than clips.
        """
        found = {}
        for split, content in self.splits.items():
            if key not in content:
                has = ", ".join(sorted(content))
                raise DataError(f"{self.name}: {split} lacks {key}; it has {has}")
            where = f"{self.name}: {split}.{key}"
            found[split] = entries = _entries(where, content[key])
            if len(entries) != self.counts[split]:
                raise DataError(
                    f"{where} should have {self.counts[split]} entries, as many as ids;"
                    f" found {len(entries)}"
                )
        return found

    def texts(self, key: str) -> Texts:
        """One text per clip over all splits; None and NaN are empty texts, and counted.

        Bytes are UTF-8, else in the one encoding that fits all such entries of the key.

        Raises:
            DataError: As ``entries``, and, naming split and row, for numbers, booleans, lists,
                half characters, and bytes that are no text.
        """
        return texts(list(self.cells(key)), self.language, self.budget)

    def numbers(self, key: str, *, absent: bool = False) -> NDArray[np.float64]:
        """(N,) one finite number per clip over all splits.

        Args:
            key: Which numbers.
            absent: Whether an entry may be None or NaN; it becomes NaN.

        Raises:
            DataError: As ``entries``, and for an entry that is not such a number.
        """
        return np.array(
            [
                np.nan if absent and is_absent(entry) else _number(where, entry)
                for where, entry in self.cells(key)
            ],
            dtype=np.float64,
        )

    def cells(self, key: str) -> Iterator[tuple[str, object]]:
        """What to call each entry of ``key`` in a message, and the entry.

        Raises:
            DataError: As ``entries``.
        """
        for split, entries in self.entries(key).items():
            where = f"{self.name}: {split}.{key}"
            self.budget.spend(_CELL * len(entries), f"the entries of {split}.{key}")
            for row, entry in enumerate(_flat(where, entries, self.budget)):
                yield f"{where}[{row}]", entry


def open_split_file(path: Path, *, layout: str = "mmsa", language: str = "en") -> SplitFile:
    """Read a feature pickle safely and find its splits; ``dev`` and ``val`` mean ``valid``.

    Args:
        path: The file.
        layout: One of ``LAYOUTS``. MAG-BERT's lists of word-aligned clips are brought to MMSA's.
        language: As in ``SplitFile``.

    Raises:
        DataError: When it is unsafe, in another layout, or does not hold train, valid and test
            with ids.
    """
    if layout not in LAYOUTS:
        raise DataError(f"layouts are {', '.join(LAYOUTS)}; found {layout!r}")
    budget = Budget.of(path, "a pickle file")
    splits = _splits(path.name, unpickle.load(path, budget))
    if layout == "mag-bert":
        splits = {
            split: _mag_bert.as_mmsa(path.name, split, part, budget)
            for split, part in splits.items()
        }
    contents = {split: _content(path.name, split, part) for split, part in splits.items()}
    for split, content in contents.items():
        budget.need_few_names(len(content), f"keys in {split}")
    counts = {split: _count(path.name, split, content) for split, content in contents.items()}
    return SplitFile(
        name=path.name, splits=contents, counts=counts, language=language, budget=budget
    )


def open_clip_file(path: Path, *, language: str = "en") -> SplitFile:
    """Read a feature pickle of any clips safely: keyed arrays, or some splits of them.

    Args:
        path: The file, in MMSA's layout but for the splits that it need not have.
        language: As in ``SplitFile``.

    Raises:
        DataError: When it is unsafe, in another layout, or holds no clips with ids.
    """
    budget = Budget.of(path, "a pickle file")
    content = unpickle.load(path, budget)
    if not isinstance(content, dict):
        raise DataError(
            f"{path.name} should hold keyed arrays, found a {type(content).__name__}",
            hint=f"feature files have {_LAYOUT}",
        )
    named = {split: value for key, value in content.items() if (split := split_name(key))}
    parts = {"clips": content} if "id" in content else named
    if not parts:
        raise DataError(
            f"{path.name} should hold id and arrays, or splits of them; found {_some(content)}",
            hint=f"feature files have {_LAYOUT}",
        )
    contents = {split: _content(path.name, split, part) for split, part in parts.items()}
    for split, keyed in contents.items():
        budget.need_few_names(len(keyed), f"keys in {split}")
    counts = {split: _count(path.name, split, keyed) for split, keyed in contents.items()}
    return SplitFile(
        name=path.name, splits=contents, counts=counts, language=language, budget=budget
    )


def _splits(file: str, content: object) -> dict[str, object]:
    """The three splits in order, whatever they hold."""
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise DataError(
            f"{file} should map train, valid and test to features, found a {kind}",
            hint=f"feature files have {_LAYOUT}",
        )
    found: dict[str, object] = {}
    for key, value in content.items():
        split = split_name(key)
        if split in found:
            raise DataError(f"{file} holds the {split} split twice: {_some(content)}")
        if split:
            found[split] = value
    missing = [split for split in SPLITS if split not in found]
    if missing:
        raise DataError(
            f"{file} should hold train, valid and test, found {_some(content)}:"
            f" {' and '.join(missing)} missing",
            hint="one file holds all splits; dev and val are names of valid too",
        )
    return {split: found[split] for split in SPLITS}


def _content(file: str, split: str, part: object) -> Mapping[str, object]:
    """The keyed arrays of one split; other layouts are named."""
    if isinstance(part, dict):
        if "id" not in part:
            raise DataError(
                f"{file}: {split} lacks id; it has {_some(part)}",
                hint=f"feature files have {_LAYOUT}",
            )
        return part
    if _mag_bert.fits(part):
        raise DataError(
            f"{file} has MAG-BERT's layout: {split} is a list of ((words, visual, acoustic), label,"
            " segment), not keyed arrays",
            hint="msa data add FILE --layout mag-bert",
        )
    raise DataError(
        f"{file} should hold train, valid and test as keyed arrays; {split} is a"
        f" {type(part).__name__}",
        hint=f"feature files have {_LAYOUT}",
    )


def _count(file: str, split: str, content: Mapping[str, object]) -> int:
    entries = _entries(f"{file}: {split}.id", content["id"])
    if len(entries) == 0:
        raise DataError(f"{file}: {split} holds no clips")
    if all(_is_triple(entry) for entry in entries):
        lacks = [key for key in ("raw_text", "regression_labels") if key not in content]
        also = f", and it lacks {' and '.join(lacks)}" if lacks else ""
        raise DataError(
            f"{file} has MulT's layout: {split}.id holds video, start and stop of each clip{also};"
            " which clip of its video it is cannot be told",
            hint="store ids as video$_$clip, and with them raw_text and regression_labels",
        )
    return len(entries)


def _is_triple(entry: object) -> bool:
    """Whether an id is a list of video, start and stop."""
    return (isinstance(entry, list | tuple) and len(entry) == 3) or (
        isinstance(entry, np.ndarray) and entry.shape == (3,)
    )


def _some(content: Mapping[str, object]) -> str:
    names = [name[:40] for name in sorted(content)]
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "") or "nothing"


def _entries(where: str, value: object) -> Sequence[object] | NDArray[np.generic]:
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return value
    raise DataError(f"{where} should hold one entry per clip, found a {type(value).__name__}")


def _flat(
    where: str, entries: Sequence[object] | NDArray[np.generic], budget: Budget
) -> Sequence[object]:
    """Entries as Python objects; an (n, 1) column counts as (n,)."""
    if not isinstance(entries, np.ndarray):
        return entries
    column = entries[:, 0] if entries.ndim == 2 and entries.shape[1] == 1 else entries
    if column.ndim != 1:
        raise DataError(f"{where} should hold one entry per clip, found the shape {entries.shape}")
    budget.spend(column.nbytes, "its entries")
    listed: list[object] = column.tolist()
    return listed


def _number(where: str, entry: object) -> float:
    if isinstance(entry, bool) or not isinstance(entry, _NUMBERS):
        raise DataError(f"{where} should be a number, found a {type(entry).__name__}")
    if not np.isfinite(number := float(entry)):
        raise DataError(f"{where} should be a finite number, found {number}")
    return number
