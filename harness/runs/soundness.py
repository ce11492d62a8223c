"""Whether a stored run is what its key says: the one judgement of verify, run, boards and replay.

A run is sound when its files are what was written, its manifest gives its key, and its predictions
are finite and of exactly the labelled clips, once each. Whatever is not sound is a hole of a board
and is run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from harness.errors import SpecError, StoreError
from harness.runs.labels import difference
from harness.runs.store import RunStore, StoredRun
from harness.spec import PredictionCell, RunSpec
from harness.spec.conditions import grid
from harness.spec.prediction_cell import COUNTED, PLAIN

__all__ = ["contradictions", "damage_of"]

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
        return tuple(contradictions(spec, run.table(), _clips(store, spec.data)))
    except StoreError as error:
        return (str(error),)


def contradictions(spec: RunSpec, table: pd.DataFrame, clips: Clips | None) -> Iterator[str]:
    """Where predictions are not those that a run should have, one sentence each.

    Args:
        spec: Of the run.
        table: Its predictions, columns ``id, split, condition, variant, pred``.
        clips: The labelled clips; None where nobody knows them.
    """
    yield from _misplaced(table)
    plain = table[table["variant"] == PLAIN]
    if not np.isfinite(plain["pred"].to_numpy(dtype=np.float64)).all():
        yield "predictions.parquet cannot be scored: it holds numbers that are not finite"
    if clips is None:
        return
    clean = plain[plain["condition"] == COUNTED.condition]
    for split in _SPLITS:
        expected, found = clips.get(split, ()), tuple(clean["id"][clean["split"] == split])
        if found != expected:
            yield f"it does not fit the {split} labels: {difference(expected, found)}"
    if spec.protocol.corruption != "none":
        yield from _incomplete(plain[plain["split"] == "test"], spec, clips.get("test", ()))


def _misplaced(table: pd.DataFrame) -> Iterator[str]:
    """Predictions under what is no condition, and clips with two in one place."""
    for condition in table["condition"].unique():
        try:
            PredictionCell(condition=str(condition))
        except SpecError as error:
            yield f"predictions.parquet: {error}"
    place = np.zeros(len(table), dtype=np.int64)
    for name in _PLACE:  # text is compared once a value, not once a row
        codes, values = pd.factorize(table[name])
        place = place * (len(values) + 1) + codes
    twice = np.flatnonzero(pd.Series(place).duplicated())
    if twice.size:
        first = table.iloc[twice[0]]
        yield (
            f"predictions.parquet has two predictions of clip {first['id']} under"
            f" {first['condition']}, {first['variant']}"
        )


def _incomplete(plain: pd.DataFrame, spec: RunSpec, ids: Sequence[str]) -> Iterator[str]:
    """Conditions of the grid under which not all of the test clips are predicted."""
    try:
        wanted = [condition.name for condition in grid(spec.protocol.corruption)]
    except SpecError as error:
        yield str(error)
        return
    known = pd.Index(ids)
    found = plain[known.get_indexer(pd.Index(plain["id"])) >= 0]["condition"].value_counts()
    lacking = [name for name in wanted if found.get(name, 0) != len(ids)]
    if lacking:
        yield f"it lacks test clips under {len(lacking)} conditions, such as {lacking[0]}"


def _clips(store: RunStore, data: str) -> Clips | None:
    try:
        return store.clips(data)
    except StoreError:
        return None
