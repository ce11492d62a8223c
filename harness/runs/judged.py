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
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from harness._util import canonical
from harness._util.remembered_rows import RememberedRows
from harness._util.untouched import mark_of
from harness.runs.store import RunStore, StoredRun

__all__ = ["Judged", "Learnt", "judging"]

_FILE = ".judged"
_RULES = (
    *("runs/soundness.py", "runs/store.py", "runs/manifest.py", "runs/prediction_table.py"),
    *("_util/checksums.py", "_util/records.py", "_util/parquet.py", "_util/canonical.py"),
)


class Learnt(NamedTuple):
    """What is remembered of a run that was judged sound."""

    data: str
    """Of which label table its clips were compared."""
    labels: str
    """Mark of that table."""
    mark: str
    """Of its files."""
    seconds: float
    """What it took."""


class Judged:
    """What is known of the runs of a store; made by ``judging``.

    Args:
        store: The store.
    """

    def __init__(self, store: RunStore) -> None:
        self.store = store
        self._learnt: dict[str, Learnt] = {}
        self._damaged: set[str] = set()
        self._looked_at: dict[str, Learnt | None] = {}
        self._mark_of_labels = functools.cache(self._look_at_labels)

    @functools.cached_property
    def _memory(self) -> RememberedRows:
        return RememberedRows(self.store.root / _FILE, _rules())

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
            labels = self._mark_of_labels(data)
            if labels is not None:
                self._learnt[run.key] = Learnt(data, labels, before, manifest.cost.seconds)
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
        return self._learnt.get(key)

    def learn(self, key: str, learnt: Learnt) -> None:
        """Take over what another process learnt, if it saw the labels that are seen here."""
        if learnt.labels == self._mark_of_labels(learnt.data):
            self._learnt[key] = learnt

    def mark(self, keys: Iterable[str]) -> str | None:
        """What stays equal while the runs with these keys are sound and nobody touches them.

        Returns:
            None where one is missing, or is not known to be sound.
        """
        known = {key: self._believed(key) for key in keys}
        if None in known.values():
            return None
        labels = {one.data: one.labels for one in known.values() if one}
        return canonical.digest([labels, {key: one.mark for key, one in known.items() if one}])

    def forget(self, key: str) -> None:
        """Judge a run by its content next time, in whichever process that is."""
        self._damaged.add(key)
        self._learnt.pop(key, None)
        self._looked_at[key] = None

    def _believed(self, key: str) -> Learnt | None:
        """What is remembered of a run, if it still holds."""
        row = self._memory.get(key)
        if row is None:
            return None
        known = Learnt._make(row)
        holds = known.labels == self._mark_of_labels(known.data)
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
        now = functools.cache(self._look_at_labels)
        learnt = {key: one for key, one in self._learnt.items() if one.labels == now(one.data)}
        self._memory.change(learnt, self._damaged, self.store.keys)


@contextlib.contextmanager
def judging(store: RunStore) -> Iterator[Judged]:
    """What is known of the runs of a store; what is learnt in the block is kept at its end."""
    judged = Judged(store)
    try:
        yield judged
    finally:
        judged.keep()


@functools.cache
def _rules() -> str:
    """What judges: sound by other rules says nothing about these."""
    package = Path(__file__).parents[1]
    files = [*(package / name for name in _RULES), *sorted((package / "spec").rglob("*.py"))]
    code = {str(f.relative_to(package)): canonical.file_digest(f) for f in files}
    return canonical.digest([Learnt._fields, code])
