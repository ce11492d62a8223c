"""Whether a stored run of an earlier source stands for a planned one: the one place that decides.

What a record says is computed again from both sides of its runs before it is used. That it held is
remembered in ``.equivalent`` of the store until somebody touches the record or those runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness._util import canonical
from harness._util.remembered import Remembered
from harness._util.untouched import mark_of
from harness.errors import StoreError
from harness.runs.equivalence.record import Equivalence
from harness.runs.equivalence.sources import Source, Sources, class_of
from harness.runs.equivalence.storing import file_of, names, read
from harness.runs.equivalence.verifying import damage_of
from harness.runs.store import RunStore
from harness.spec import RunSpec

__all__ = ["Carried", "Equivalences"]

log = logging.getLogger(__name__)

_FILE = ".equivalent"


@dataclass(frozen=True)
class Carried:
    """A stored run that stands for a planned one.

    Args:
        key: The stored run.
        records: Names of the records that say so, from its source to today's.
    """

    key: str
    records: tuple[str, ...]


@dataclass(frozen=True)
class _Edge:
    """A record that holds, and what it has evidence of."""

    record: Equivalence
    data: frozenset[str]
    kinds: frozenset[str]

    def covers(self, data: str, kind: str) -> bool:
        return data in self.data and kind in self.kinds


class Equivalences:
    """The records of a store, each looked at when it is first needed.

    Args:
        store: The store.
    """

    def __init__(self, store: RunStore) -> None:
        self.store = store
        self._names = frozenset(names(store))
        self._edges: dict[str, _Edge | None] = {}

    @functools.cached_property
    def sources(self) -> Sources:
        """The runs of the store by cell."""
        return Sources(self.store)

    def standing_for(self, spec: RunSpec) -> Carried | None:
        """The stored run that counts as a planned one, through one record or several in a row.

        Of several it is one with the fewest records. It never differs in anything but the code.
        """
        if not self._names:
            return None
        kind, seen = class_of(spec), {spec.code}
        waiting = deque([(spec.code, tuple[str, ...]())])
        while waiting:
            code, chain = waiting.popleft()
            for name in self._into.get((spec.system, code), ()):
                edge = self._edge(name)
                if edge is None or edge.record.old in seen or not edge.covers(spec.data, kind):
                    continue
                seen.add(edge.record.old)
                longer = (name, *chain)
                key = dataclasses.replace(spec, code=edge.record.old).key
                if key in self.store:
                    return Carried(key, longer)
                waiting.append((edge.record.old, longer))
        return None

    def holds(self, carried: Carried) -> bool:
        """Whether a stored run is there and its records lead from its source to a later one."""
        run = self.sources.get(carried.key)
        return run is not None and bool(carried.records) and self._leads(run, carried.records)

    def _leads(self, run: Source, chain: Sequence[str]) -> bool:
        code = run.code
        for name in chain:
            edge = self._edge(name)
            if edge is None or edge.record.old != code or not edge.covers(run.data, run.kind):
                return False
            code = edge.record.new
        return True

    @functools.cached_property
    def _into(self) -> dict[tuple[str, str], list[str]]:
        """System and later source -> records, by name."""
        found: dict[tuple[str, str], list[str]] = {}
        for name in sorted(self._names):
            with contextlib.suppress(StoreError):  # a damaged one is told when it is used
                record = read(self.store, name)
                found.setdefault((record.system, record.new), []).append(name)
        return found

    def _edge(self, name: str) -> _Edge | None:
        """The record, if it holds."""
        if name not in self._edges:
            self._edges[name] = self._looked_at(name)
        return self._edges[name]

    def _looked_at(self, name: str) -> _Edge | None:
        mark = self._mark(name)
        remembered = _read(self.store).get(name)
        if mark is None or mark != remembered:
            if damage := damage_of(self.store, name):
                log.warning(
                    "equivalence record %s is not used (%s); msa verify finds others",
                    name,
                    "; ".join(damage),
                )
                return None
            if mark is not None and mark == self._mark(name):
                _keep(self.store, name, mark)
        record = read(self.store, name)
        evidence = [found for run in record.runs if (found := self.sources.get(run.old))]
        return _Edge(
            record,
            frozenset(found.data for found in evidence),
            frozenset(found.kind for found in evidence),
        )

    def _mark(self, name: str) -> str | None:
        """What stays equal while nobody touches a record and the runs that it is about."""
        try:
            runs = read(self.store, name).runs
        except StoreError:
            return None
        folders = [self.store.folder(key) for run in runs for key in (run.old, run.new)]
        return mark_of(file_of(self.store, name), *folders)


def _remembered(store: RunStore) -> Remembered:
    """Record -> its mark when it held."""
    return Remembered(store.root / _FILE, _rules())


def _read(store: RunStore) -> dict[str, str]:
    return _remembered(store).read(lambda table: dict(table["records"])) or {}


def _keep(store: RunStore, name: str, mark: str) -> None:
    def with_this() -> dict[str, dict[str, str]]:
        known = {other: m for other, m in _read(store).items() if file_of(store, other).is_file()}
        return {"records": {**known, name: mark}}

    _remembered(store).write(with_this)


@functools.cache
def _rules() -> str:
    """What decides: a record that held by other rules says nothing about these."""
    package = Path(__file__).parent
    files = [*sorted(package.glob("*.py")), package.with_name("differences.py")]
    return canonical.digest({file.name: canonical.file_digest(file) for file in files})
