"""Which stored runs are the same but for the code, told without reading them each time.

What a run's key stands for never changes, so what was once read off its manifest is remembered in
``.sources`` of the store for good. The file is no authority: whoever judges evidence reads the
manifests whatever it says, and a lost or damaged one costs reading all of them again.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from harness._util import canonical
from harness._util.remembered import Remembered
from harness.errors import StoreError
from harness.runs.store import RunStore
from harness.spec import RunSpec

__all__ = ["Source", "Sources", "class_of"]

_FILE = ".sources"
_RULES = 1  # raised when what is read off a manifest changes


class Source(NamedTuple):
    """What is to know of a stored run.

    Args:
        code: Fingerprint of its source.
        cell: What it is but for the code, as a digest.
        kind: Its class: system, parameters, artifacts, labels and protocol, as a digest.
        data: Fingerprint of its corpus.
        seconds: What it took.
    """

    code: str
    cell: str
    kind: str
    data: str
    seconds: float


def class_of(spec: RunSpec) -> str:
    """What runs have in common that differ in corpus, seed and code alone."""
    return canonical.digest(
        [spec.system, spec.params, spec.artifacts, spec.labels, spec.protocol.identity]
    )[:16]


def cell_of(spec: RunSpec) -> str:
    """What a run is but for the code."""
    return dataclasses.replace(spec, code="").key


class Sources:
    """The runs of a store, by cell.

    Args:
        store: The store.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        remembered = Remembered(store.root / _FILE, _RULES)
        known = remembered.read(_parsed) or {}
        there = store.keys()
        self._known = {key: known[key] for key in there & known.keys()}
        learnt = {key: found for key in there - known.keys() if (found := self._look(key))}
        self._known |= learnt
        if learnt:
            remembered.write(lambda: {"runs": self._known})

    @functools.cached_property
    def _by_cell(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key in sorted(self._known):
            found.setdefault(self._known[key].cell, []).append(key)
        return found

    def get(self, key: str) -> Source | None:
        """What is to know of a run; None where it is not there, or is damaged."""
        if key not in self._known and key in self._store and (found := self._look(key)):
            self._known[key] = found
        return self._known.get(key)

    def earlier(self, spec: RunSpec) -> dict[str, Source]:
        """Stored runs that are the planned one but for the code: key -> what is to know of it."""
        keys = self._by_cell.get(cell_of(spec), ())
        return {key: self._known[key] for key in keys if self._known[key].code != spec.code}

    def _look(self, key: str) -> Source | None:
        run = self._store.get(key)
        try:
            spec, cost = run.spec, run.manifest.cost
        except StoreError:
            return None
        return Source(spec.code, cell_of(spec), class_of(spec), spec.data, cost.seconds)


def _parsed(table: Mapping[str, Any]) -> dict[str, Source]:
    return {key: Source(*known) for key, known in table["runs"].items()}
