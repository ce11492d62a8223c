"""Which runs were judged sound, remembered until somebody touches their files.

To look at every byte of thousands of runs takes as long as ``msa verify`` takes. What a run was
judged to be is therefore remembered, for all processes and later sessions, in ``.judged`` of the
store: as long as the names, sizes, times and inodes of its files stay what they were, and so do its
label table and the rules of judging, it is believed to be sound. Only sound runs are remembered,
and damage that anybody finds is forgotten. The file is no authority: ``msa verify`` looks at
content whatever it says, and a lost, damaged or unwritable one costs judging again.

Of numbers nothing is believed: whoever reads a file of a run checks it against its digest.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from harness._util import canonical
from harness._util.remembered import Remembered
from harness._util.untouched import mark_of
from harness.runs.store import RunStore, StoredRun

__all__ = ["Judged", "Learnt", "judging"]

_FILE = ".judged"
_RULES = (
    *("runs/soundness.py", "runs/store.py", "runs/manifest.py", "runs/prediction_table.py"),
    *("_util/checksums.py", "_util/records.py", "_util/parquet.py", "_util/canonical.py"),
)


class _Sound(NamedTuple):
    """A run that was judged sound."""

    data: str
    """Of which label table its clips were compared."""
    mark: str
    seconds: float


class Learnt(NamedTuple):
    """What one process tells another of a run that it judged sound."""

    sound: _Sound
    labels: str
    """Mark of the label table that it saw."""


@dataclass(frozen=True)
class _Memory:
    """The content of the file: marks of label tables, and sound runs by key."""

    labels: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, _Sound] = field(default_factory=dict)


class Judged:
    """What is known of the runs of a store; made by ``judging``.

    Args:
        store: The store.
    """

    def __init__(self, store: RunStore) -> None:
        self.store = store
        self._learnt: dict[str, _Sound] = {}
        self._damaged: set[str] = set()
        self._looked_at: dict[str, _Sound | None] = {}
        self._mark_of_labels = functools.cache(self._look_at_labels)

    @functools.cached_property
    def _memory(self) -> _Memory:
        return self._file.read(_parsed) or _Memory()

    @functools.cached_property
    def _file(self) -> Remembered:
        return Remembered(self.store.root / _FILE, _rules())

    def damage_of(self, run: StoredRun, *, read: bool = False) -> tuple[str, ...]:
        """What is wrong with a run, one sentence each; judged only where that is not remembered.

        Args:
            run: Of the store.
            read: Whether its files are about to be read: each but weights is checked against its
                digest then, whatever is remembered, so that no damage comes up half way.
        """
        if run.key not in self._looked_at:
            self._looked_at[run.key] = self._believed(run.key)
        if self._looked_at[run.key] is None or (read and run.damage_but_weights):
            return self.judge(run)
        return ()

    def judge(self, run: StoredRun) -> tuple[str, ...]:
        """As ``damage_of``, by looking at content."""
        from harness.runs.soundness import damage_of

        before = mark_of(run.folder)
        damage = damage_of(self.store, run)
        if damage:
            self.forget(run.key)
        elif before is not None and before == mark_of(run.folder):
            manifest = run.manifest
            data = manifest.spec.data
            if self._mark_of_labels(data) is not None:
                self._learnt[run.key] = _Sound(data, before, manifest.cost.seconds)
        return damage

    def is_sound(self, key: str) -> bool:
        """Whether a run of the store is; as ``damage_of``, where what is wrong is not asked."""
        if key not in self._looked_at:
            self._looked_at[key] = self._believed(key)
        return self._looked_at[key] is not None or not self.judge(StoredRun(self.store.folder(key)))

    def seconds_of(self, key: str) -> float:
        """What a sound run took.

        Raises:
            StoreError: For a damaged one.
        """
        known = self._learnt.get(key) or self._looked_at.get(key)
        if known is not None:
            return known.seconds
        return StoredRun(self.store.folder(key)).manifest.cost.seconds

    def learnt(self, key: str) -> Learnt | None:
        """What was learnt of a run by judging it; None where that cannot be remembered."""
        known = self._learnt.get(key)
        labels = None if known is None else self._mark_of_labels(known.data)
        return None if known is None or labels is None else Learnt(known, labels)

    def learn(self, key: str, learnt: Learnt) -> None:
        """Take over what another process learnt, if it saw the labels that are seen here."""
        if learnt.labels == self._mark_of_labels(learnt.sound.data):
            self._learnt[key] = learnt.sound

    def mark(self, keys: Iterable[str]) -> str | None:
        """What stays equal while the runs with these keys are sound and nobody touches them.

        Returns:
            None where one is missing, or is not known to be sound.
        """
        known = {key: self._believed(key) for key in keys}
        if None in known.values():
            return None
        labels = {one.data: self._mark_of_labels(one.data) for one in known.values() if one}
        return canonical.digest([labels, {key: one.mark for key, one in known.items() if one}])

    def forget(self, key: str) -> None:
        """Judge a run by its content next time, in whichever process that is."""
        self._damaged.add(key)
        self._learnt.pop(key, None)
        self._looked_at[key] = None

    def _believed(self, key: str) -> _Sound | None:
        """What is remembered of a run, if it still holds."""
        known = self._memory.runs.get(key)
        if known is None:
            return None
        labels = self._mark_of_labels(known.data)
        holds = labels is not None and labels == self._memory.labels.get(known.data)
        return known if holds and known.mark == mark_of(self._folder(key)) else None

    def _folder(self, key: str) -> str:
        """``RunStore.folder`` in a tenth of its time."""
        return f"{self._shelves}/{key[:2]}/{key}"

    @functools.cached_property
    def _shelves(self) -> str:
        return str(self.store.root / "runs")

    def _look_at_labels(self, data: str) -> str | None:
        return mark_of(*self.store.label_files(data))

    def keep(self) -> None:
        """Add what was learnt to what is remembered, and forget what is damaged."""
        if not self._learnt and not self._damaged:
            return
        self._file.write(self._changed)

    def _changed(self) -> dict[str, Any] | None:
        """What the file is to hold; None where that is what it holds."""
        old = self._file.read(_parsed) or _Memory()
        new = self._with_learnt(old)
        return None if new == old else {"labels": new.labels, "runs": new.runs}

    def _with_learnt(self, old: _Memory) -> _Memory:
        used = {known.data for known in self._learnt.values()}
        now = {data: mark for data in used if (mark := self._look_at_labels(data)) is not None}
        learnt = {key: known for key, known in self._learnt.items() if self._fits(known, now)}
        stale = {data for data, mark in now.items() if old.labels.get(data) != mark}
        runs = {
            key: known
            for key, known in old.runs.items()
            if known.data not in stale and key not in self._damaged
        }
        if not learnt.items() <= runs.items():
            there = self.store.keys()
            runs = {key: known for key, known in runs.items() if key in there} | learnt
        return _Memory({**old.labels, **now}, runs)

    def _fits(self, known: _Sound, now: Mapping[str, str]) -> bool:
        """Whether its labels are still those that its clips were compared with."""
        return now.get(known.data) == self._mark_of_labels(known.data)


@contextlib.contextmanager
def judging(store: RunStore) -> Iterator[Judged]:
    """What is known of the runs of a store; what is learnt in the block is kept at its end."""
    judged = Judged(store)
    try:
        yield judged
    finally:
        judged.keep()


def _parsed(table: Mapping[str, Any]) -> _Memory:
    return _Memory(table["labels"], {key: _Sound(*known) for key, known in table["runs"].items()})


@functools.cache
def _rules() -> str:
    """What judges: sound by other rules says nothing about these."""
    package = Path(__file__).parents[1]
    files = [*(package / name for name in _RULES), *sorted((package / "spec").rglob("*.py"))]
    return canonical.digest({str(f.relative_to(package)): canonical.file_digest(f) for f in files})
