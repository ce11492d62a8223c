"""What stored runs took, told without reading each of them each time.

What a run took never changes while nobody touches its manifest, so what was once read off it is
remembered in ``.costs`` of the store, as long as the manifest's size, times and inode stay what
they were. The file is no authority: a lost, damaged or unwritable one costs reading manifests
again. It is written where many had to be read; a few are read sooner than a file is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple, TypeAlias

from harness._util import canonical
from harness._util.remembered import Remembered
from harness._util.untouched import entry_mark
from harness.runs.costs import Cost, costs_of
from harness.runs.store import RunStore, StoredRun

__all__ = ["stored_costs"]

_FILE = ".costs"
_RULES = 1  # raised when what is read off a manifest changes
_MANY = 1000  # runs
_MEASURED = ("train_clips", "seconds", "memory", "device_memory")
_KIND = tuple(field.name for field in fields(Cost) if field.name not in _MEASURED)
"""What runs that differ in their seed alone have in common: stored once."""

Read: TypeAlias = Callable[[Iterable[StoredRun]], Iterator[Cost]]


class _Known(NamedTuple):
    """A cost, and the mark of the manifest it was read off; no mark where it may yet change."""

    mark: tuple[int, ...] | None
    kind: int
    cost: Cost


def stored_costs(store: RunStore, read: Read = costs_of) -> list[Cost]:
    """The costs of all runs of a store; those of one kind share their ``params``.

    Args:
        store: The store.
        read: Reads those that are not remembered, and skips damaged ones or raises.

    Raises:
        StoreError: As ``read``.
    """
    memory = Remembered(store.root / _FILE, _RULES)
    known = memory.read(_parsed) or {}
    found: dict[str, _Known] = {}
    kinds = _Kinds(known.values())
    learnt = 0
    for key in sorted(store.keys()):
        mark = _mark(store, key)
        if mark is not None and key in known and known[key].mark == mark:
            found[key] = known[key]
            continue
        for cost in read([StoredRun(store.folder(key))]):
            found[key] = kinds.of(mark, cost)
            learnt += mark is not None
    if learnt >= _MANY:
        memory.write(lambda: _table(found))
    return [one.cost for one in found.values()]


class _Kinds:
    """Numbers of what runs have in common."""

    def __init__(self, known: Iterable[_Known]) -> None:
        self._met: dict[str, tuple[int, Cost]] = {}
        for one in {one.kind: one for one in known}.values():
            self._met[_digest(one.cost)] = (one.kind, one.cost)
        self._next = max((kind for kind, _ in self._met.values()), default=-1) + 1

    def of(self, mark: tuple[int, ...] | None, cost: Cost) -> _Known:
        kind, like = self._met.setdefault(_digest(cost), (self._next, cost))
        self._next += like is cost
        own = {name: getattr(cost, name) for name in _MEASURED}
        return _Known(mark, kind, Cost(**_kind(like), **own))


def _mark(store: RunStore, key: str) -> tuple[int, ...] | None:
    try:
        return entry_mark((store.folder(key) / "manifest.json").stat())
    except OSError:
        return None


def _kind(cost: Cost) -> dict[str, Any]:
    return {name: getattr(cost, name) for name in _KIND}


def _digest(cost: Cost) -> str:
    return canonical.digest(_kind(cost))


def _table(found: Mapping[str, _Known]) -> dict[str, Any]:
    sure = {key: one for key, one in found.items() if one.mark is not None}
    return {
        "kinds": {one.kind: _kind(one.cost) for one in sure.values()},
        "runs": {
            key: [one.mark, one.kind, *(getattr(one.cost, name) for name in _MEASURED)]
            for key, one in sure.items()
        },
    }


def _parsed(table: Mapping[str, Any]) -> dict[str, _Known]:
    kinds = {int(number): kind for number, kind in table["kinds"].items()}
    return {
        key: _Known(
            tuple(mark), kind, Cost(**kinds[kind], **dict(zip(_MEASURED, own, strict=True)))
        )
        for key, (mark, kind, *own) in table["runs"].items()
    }
