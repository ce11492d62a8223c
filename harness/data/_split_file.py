"""An unpickled MMSA file: split -> key -> one entry per clip, with checked access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data import unpickle
from harness.data.datasets import SPLITS
from harness.errors import DataError

__all__ = ["SplitFile", "open_split_file"]

_SPLIT_NAMES = {"train": "train", "valid": "valid", "dev": "valid", "val": "valid", "test": "test"}
_NUMBERS = (int, float, np.number, np.bool_)


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitFile:
    """The splits of one file.

    Args:
        name: File name, for messages.
        splits: Content by canonical split name, in the order train, valid, test.
        counts: Clips per split.
    """

    name: str
    splits: Mapping[str, Mapping[str, object]]
    counts: Mapping[str, int]

    @property
    def keys(self) -> set[str]:
        """Keys of any split."""
        return {key for content in self.splits.values() for key in content}

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

    def texts(self, key: str) -> list[str]:
        """One text per clip over all splits.

        Raises:
            DataError: As ``entries``, and for an entry that is neither text nor a number.
        """
        return [
            _text(f"{self.name}: {split}.{key}[{row}]", entry)
            for split, entries in self.entries(key).items()
            for row, entry in enumerate(_flat(entries))
        ]

    def numbers(self, key: str) -> NDArray[np.float64]:
        """(N,) one finite number per clip over all splits.

        Raises:
            DataError: As ``entries``, and for an entry that is not a finite number.
        """
        return np.array(
            [
                _number(f"{self.name}: {split}.{key}[{row}]", entry)
                for split, entries in self.entries(key).items()
                for row, entry in enumerate(_flat(entries))
            ],
            dtype=np.float64,
        )


def open_split_file(path: Path) -> SplitFile:
    """Read a feature pickle safely and find its splits; ``dev`` and ``val`` mean ``valid``.

    Raises:
        DataError: When it is unsafe, or does not hold train, valid and test with ids.
    """
    content = unpickle.load(path)
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise DataError(f"{path.name} should map train, valid and test to features, found a {kind}")
    splits: dict[str, Mapping[str, object]] = {}
    for key, value in content.items():
        split = _SPLIT_NAMES.get(key)
        if split is None or not isinstance(value, dict):
            continue
        if split in splits:
            raise DataError(f"{path.name} holds the {split} split twice: {_some(content)}")
        splits[split] = value
    if len(splits) != len(SPLITS):
        raise DataError(f"{path.name} should hold train, valid and test, found {_some(content)}")
    counts = {}
    for split in SPLITS:
        if "id" not in splits[split]:
            raise DataError(f"{path.name}: {split} lacks id; it has {_some(splits[split])}")
        counts[split] = len(_entries(f"{path.name}: {split}.id", splits[split]["id"]))
        if counts[split] == 0:
            raise DataError(f"{path.name}: {split} holds no clips")
    return SplitFile(name=path.name, splits={s: splits[s] for s in SPLITS}, counts=counts)


def _some(content: Mapping[str, object]) -> str:
    names = [name[:40] for name in sorted(content)]
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "") or "nothing"


def _entries(where: str, value: object) -> Sequence[object] | NDArray[np.generic]:
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return value
    raise DataError(f"{where} should hold one entry per clip, found a {type(value).__name__}")


def _flat(entries: Sequence[object] | NDArray[np.generic]) -> Sequence[object]:
    """Entries as Python objects; an (n, 1) column counts as (n,)."""
    if not isinstance(entries, np.ndarray):
        return entries
    column = entries[:, 0] if entries.ndim == 2 and entries.shape[1] == 1 else entries
    listed: list[object] = column.tolist()
    return listed


def _text(where: str, entry: object) -> str:
    try:
        if isinstance(entry, bytes):
            return entry.decode()
        if isinstance(entry, str):
            entry.encode()  # half characters cannot be stored
            return str(entry)
    except UnicodeError as error:
        raise DataError(f"{where} is not valid text: {error}") from error
    if isinstance(entry, _NUMBERS):
        return str(entry)
    raise DataError(f"{where} should be a text, found a {type(entry).__name__}")


def _number(where: str, entry: object) -> float:
    if not isinstance(entry, _NUMBERS):
        raise DataError(f"{where} should be a number, found a {type(entry).__name__}")
    if not np.isfinite(number := float(entry)):
        raise DataError(f"{where} should be a finite number, found {number}")
    return number
