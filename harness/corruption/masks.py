"""Mask files: what is missing, for programs that are not this one.

A file has one draw per clip and position instead of one mask per condition: position p is missing
under the rate η where ``draw < round(η 2^32)``, so one small table holds the masks of every rate.
``block`` and ``modality`` have one draw per clip; ``harness.corruption.operators`` says how gaps
follow from it. Gaussian noise is no mask and is not in the file.

Shapes: n clips, T positions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness._util import canonical
from harness._util.atomic import write_atomic
from harness.corruption.corrupter import Corrupter
from harness.corruption.draws import VERSION, Draws
from harness.data.corpus import Split
from harness.errors import DataError
from harness.spec.conditions import MODALITIES, SEED, grid

__all__ = ["Masks", "read_masks", "write_masks"]

_PER_STEP = ("element", "noise")  # noise: of text, which words become unknown
_PER_CLIP = ("block", "modality")
_LEAST_TOKENS, _MOST_TOKENS = 50, 512
_META = b"msa_masks"


class Masks:
    """The draws of a mask file, in the place of a generator.

    Args:
        ids: n clip ids, in file order.
        digest: SHA-256 over all draws.
        drawn: (modality, purpose) -> (n, T) or (n,) int64.
    """

    def __init__(
        self, ids: tuple[str, ...], digest: str, drawn: Mapping[tuple[str, str], Tensor]
    ) -> None:
        self.ids, self.digest, self._drawn = ids, digest, drawn

    def draws(self, rows: Tensor) -> Draws:
        """The recorded draws of the clips at ``rows`` (B,)."""
        return _Recorded(self._drawn, rows, len(self.ids))


class _Recorded(Draws):
    """Draws read instead of made."""

    def __init__(self, drawn: Mapping[tuple[str, str], Tensor], rows: Tensor, size: int) -> None:
        super().__init__(torch.zeros(len(rows), 2, dtype=torch.int64), SEED, rows=rows, size=size)
        self._drawn, self._chosen = drawn, rows

    def _of_clips(self, modality: str, purpose: str) -> Tensor:
        return self._drawn[modality, purpose][self._chosen]

    def _of_steps(self, modality: str, purpose: str, length: int) -> Tensor:
        found = self._drawn[modality, purpose][self._chosen]
        if length > found.shape[1]:
            raise DataError(
                f"the mask file has {found.shape[1]} positions of {modality}, {length} are needed"
            )
        return found[:, :length]


def write_masks(split: Split, name: str, path: Path) -> str:
    """Write the draws that the clips of a split meet under a grid.

    Args:
        split: Whose clips.
        name: Of a grid, whose conditions the file lists.
        path: A Parquet file: columns ``id``, ``modality``, ``purpose``, ``draws`` (list of uint32).

    Returns:
        SHA-256 over ids and draws: equal files have equal digests on every machine.
    """
    drawn = _drawn(split)
    digest = _digest(split.ids, drawn)
    record = {
        "version": VERSION,
        "dataset": split.corpus.dataset.name,
        "split": split.name,
        "seed": SEED,
        "grid": name,
        "conditions": [condition.name for condition in grid(name)],
        "one": "2^32",
        "digest": digest,
    }
    table = pa.concat_tables(_table(split, key, values) for key, values in drawn.items())
    table = table.replace_schema_metadata({_META: canonical.dumps(record).encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomic(path, sink.getvalue().to_pybytes())
    return digest


def read_masks(path: Path) -> Masks:
    """The draws of a file that ``write_masks`` wrote.

    Raises:
        DataError: When it is no such file, or its content is not what its digest says.
    """
    try:
        table = pq.read_table(path)
        record = json.loads((table.schema.metadata or {})[_META])
        frame = table.to_pandas()
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path.name} is no mask file: {error}", hint="msa data masks") from error
    drawn = {
        (str(key[0]), str(key[1])): _stacked(rows)
        for key, rows in frame.groupby(["modality", "purpose"], sort=False)
    }
    ids = tuple(dict.fromkeys(frame["id"]))
    digest = _digest(list(ids), drawn)
    if digest != record["digest"]:
        raise DataError(f"{path.name} is damaged: its draws are not those of its digest")
    return Masks(ids, digest, {key: torch.from_numpy(values) for key, values in drawn.items()})


def _drawn(split: Split) -> dict[tuple[str, str], NDArray[np.int64]]:
    draws = Corrupter(split).draws(torch.arange(len(split)))
    lengths = {name: stream.frames for name, stream in split.corpus.streams.items()}
    longest = max(len(text) for text in split.texts) + 2  # a tokenizer finds fewer than characters
    lengths["text"] = max(_LEAST_TOKENS, min(longest, _MOST_TOKENS), lengths.get("text", 0))
    found = {}
    for name in MODALITIES:
        for purpose in _PER_STEP[: 2 if name == "text" else 1]:
            if name in lengths:
                found[name, purpose] = draws.steps(name, purpose, lengths[name]).numpy()
        for purpose in _PER_CLIP:
            found[name, purpose] = draws.clips(name, purpose).numpy()
    return found


def _table(split: Split, key: tuple[str, str], values: NDArray[np.int64]) -> pa.Table:
    rows = values.reshape(len(split), -1).astype(np.uint32)
    return pa.table(
        {
            "id": split.ids,
            "modality": [key[0]] * len(split),
            "purpose": [key[1]] * len(split),
            "draws": pa.array(list(rows), pa.list_(pa.uint32())),
        }
    )


def _stacked(rows: pd.DataFrame) -> NDArray[np.int64]:
    values: NDArray[np.int64] = np.stack(rows["draws"].to_list()).astype(np.int64)
    purpose = rows["purpose"].iloc[0]
    return values[:, 0] if purpose in _PER_CLIP else values


def _digest(ids: list[str], drawn: Mapping[tuple[str, str], NDArray[np.int64]]) -> str:
    parts = {
        f"{modality}/{purpose}": hashlib.sha256(values.astype("<u4").tobytes()).hexdigest()
        for (modality, purpose), values in drawn.items()
    }
    return canonical.digest([ids, parts])
