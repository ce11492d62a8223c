"""Whether a stored run is what its key says: the one judgement of verify, run, boards and replay.

A run is sound when its files are what was written, its manifest gives its key, its predictions are
finite and of exactly the labelled clips, once each, and no question of a zero-shot model was left
open by the transport. Whatever is not sound is a hole of a board and is run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.errors import SpecError, StoreError
from harness.runs.labels import difference
from harness.runs.store import RunStore, StoredRun
from harness.spec import PredictionCell, RunSpec
from harness.spec.conditions import grid
from harness.spec.prediction_cell import COUNTED, PLAIN

__all__ = ["contradictions", "damage_of", "unsettled_of"]

Clips = Mapping[str, tuple[str, ...]]
"""Split -> the ids of its labelled clips, in the order of the corpus."""

_SPLITS = ("valid", "test")
_PLACE = ("id", "split", "condition", "variant")


def damage_of(store: RunStore, run: StoredRun) -> tuple[str, ...]:
    """What is wrong with a stored run, one sentence each; empty for a sound one.

    Args:
        store: Where it is; where its label table is missing or damaged, its clips are not compared.
        run: The run.
    """
    if run.damage:
        return run.damage
    try:
        spec = run.spec
        run.history()
        if (gone := run.vanished()) is not None:
            return (gone,)
        if unsettled := unsettled_of(run):
            return (unsettled,)
        return tuple(contradictions(spec, run.columns(), _clips(store, spec.data)))
    except StoreError as error:
        return (str(error),)


def unsettled_of(run: StoredRun) -> str:
    """What transport trouble left open in a run of a zero-shot model; empty for any other run."""
    facts = run.manifest.result.zero_shot
    return "" if facts is None else facts.unsettled


def contradictions(spec: RunSpec, table: pa.Table, clips: Clips | None) -> Iterator[str]:
    """Where predictions are not those that a run should have, one sentence each.

    Args:
        spec: Of the run.
        table: Its predictions, columns ``id, split, condition, variant, pred``.
        clips: The labelled clips; None where nobody knows them.
    """
    columns = {name: _Column.of(table[name]) for name in _PLACE}
    yield from _misplaced(table, columns)
    plain = columns["variant"].is_(PLAIN)
    pred = table["pred"].to_numpy()
    if not np.isfinite(pred[plain]).all():
        yield "predictions.parquet cannot be scored: it holds numbers that are not finite"
    if clips is None:
        return
    clean = plain & columns["condition"].is_(COUNTED.condition)
    for split in _SPLITS:
        expected = clips.get(split, ())
        found = columns["id"].at(clean & columns["split"].is_(split))
        if not found.equals(pa.array(expected, found.type)):
            yield f"it does not fit the {split} labels: {difference(expected, found.to_pylist())}"
    if spec.protocol.corruption != "none":
        yield from _incomplete(columns, plain, spec, clips.get("test", ()))


@dataclass(frozen=True)
class _Column:
    """A column of text: compared once a value, not once a row."""

    codes: NDArray[np.int64]
    """(n,) index into the values; -1 where there is none."""
    values: pa.Array

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> _Column:
        whole = column.combine_chunks()
        if isinstance(whole, pa.DictionaryArray):  # its values may repeat
            whole = whole.dictionary_decode()
        coded = whole.dictionary_encode()
        return cls(coded.indices.fill_null(-1).to_numpy().astype(np.int64), coded.dictionary)

    def is_(self, value: str) -> NDArray[np.bool_]:
        """(n,) where it holds a value."""
        code: int = self.values.index(value).as_py()
        found: NDArray[np.bool_] = self.codes == (len(self.values) if code < 0 else code)
        return found

    def at(self, rows: NDArray[np.bool_]) -> pa.Array:
        """The values of those rows."""
        codes = self.codes[rows]
        return self.values.take(pa.array(codes, mask=codes < 0))


def _misplaced(table: pa.Table, columns: Mapping[str, _Column]) -> Iterator[str]:
    """Predictions under what is no condition, and clips with two in one place."""
    for condition in columns["condition"].values.to_pylist():
        try:
            PredictionCell(condition=condition)
        except SpecError as error:
            yield f"predictions.parquet: {error}"
    place = np.zeros(len(table), dtype=np.int64)
    for name, column in columns.items():
        if (column.codes < 0).any():
            yield f"predictions.parquet has rows without {name}"
        place = place * (len(column.values) + 1) + column.codes + 1
    _, first, counts = np.unique(place, return_index=True, return_counts=True)
    twice = first[counts > 1]
    if twice.size:
        row = {name: table[name][int(twice.min())].as_py() for name in _PLACE}
        yield (
            f"predictions.parquet has two predictions of clip {row['id']} under"
            f" {row['condition']}, {row['variant']}"
        )


def _incomplete(
    columns: Mapping[str, _Column], plain: NDArray[np.bool_], spec: RunSpec, ids: Sequence[str]
) -> Iterator[str]:
    """Conditions of the grid under which not all of the test clips are predicted."""
    try:
        wanted = [condition.name for condition in grid(spec.protocol.corruption)]
    except SpecError as error:
        yield str(error)
        return
    known = pc.is_in(columns["id"].values, pa.array(ids, columns["id"].values.type)).to_numpy(
        zero_copy_only=False
    )
    rows = plain & columns["split"].is_("test") & np.append(known, False)[columns["id"].codes]
    conditions = columns["condition"]
    names = conditions.values.to_pylist()
    counts = np.bincount(conditions.codes[rows & (conditions.codes >= 0)], minlength=len(names))
    found = dict(zip(names, counts.tolist(), strict=True))
    lacking = [name for name in wanted if found.get(name, 0) != len(ids)]
    if lacking:
        yield f"it lacks test clips under {len(lacking)} conditions, such as {lacking[0]}"


def _clips(store: RunStore, data: str) -> Clips | None:
    try:
        return store.clips(data)
    except StoreError:
        return None
