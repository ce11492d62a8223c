"""A store with a hundred thousand runs in two minutes: one run under many keys.

Each has a manifest, a key and digests of its own; the files that hold numbers are one file under
many names, where the file system has such. The suites that ask for them are stored plans.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness._util import checksums
from harness._util.untouched import mark_of
from harness.runs.judged import judging
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCell

__all__ = ["believe", "fill"]

_SUITE = 1000  # runs of a suite; a file has as many names, of which file systems allow 65,000
_SEEDS = 100  # of a row
_FIRST = 10**6  # seed; real runs have smaller ones


def fill(store: RunStore, suite: str, count: int) -> list[str]:
    """Add ``count`` runs in suites of their own, like a trained one of a suite; returns keys."""
    plan = store.plan(suite)
    systems = {row.label: row for row in plan.rows}
    cell = next(c for c in plan.cells if c.key and systems[c.label].system != "mean")
    assert cell.key is not None
    keys: list[str] = []
    for number, first in enumerate(range(0, count, _SUITE)):
        seeds = range(_FIRST + first, _FIRST + min(first + _SUITE, count))
        made = list(_runs(store, cell.key, seeds))
        places = [(f"row {i // _SEEDS}", seed) for i, seed in enumerate(seeds)]
        row = systems[cell.label]
        whole = dataclasses.replace(
            plan,
            seeds=tuple(seeds),
            rows=tuple(
                dataclasses.replace(row, label=label) for label in dict.fromkeys(dict(places))
            ),
            cells=tuple(
                PlannedCell(corpus=cell.corpus, label=label, seed=seed, key=key, reason=None)
                for key, (label, seed) in zip(made, places, strict=True)
            ),
        )
        store.put_plan(f"others{number:03}", whole)
        keys += made
    return keys


def believe(store: RunStore, keys: Iterable[str]) -> None:
    """Remember these runs as judged sound, as ``msa verify`` does in an hour; the first one is."""
    keys = list(keys)
    with judging(store) as judged:
        assert not judged.judge(store.get(keys[0]))
        known = judged.learnt(keys[0])
        assert known is not None
        for key in keys:
            mark = mark_of(store.folder(key))
            assert mark is not None
            judged.learn(key, known._replace(mark=mark))


def _runs(store: RunStore, key: str, seeds: Iterable[int]) -> Iterator[str]:
    """The run of a key once more for each seed."""
    run = store.get(key)
    manifest = (run.folder / "manifest.json").read_text("utf-8")
    sums = (run.folder / checksums.SUMS).read_text("utf-8")
    digest, said = run.sums["manifest.json"], f'"seed": {run.spec.seed}'
    assert manifest.count(said) == 1
    rest = sorted(run.sums.keys() - {"manifest.json"})
    first: Path | None = None
    for seed in seeds:
        new = dataclasses.replace(run.spec, seed=seed).key
        text = manifest.replace(key, new).replace(said, f'"seed": {seed}')
        folder = store.folder(new)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text, "utf-8")
        own = sums.replace(digest, hashlib.sha256(text.encode()).hexdigest())
        (folder / checksums.SUMS).write_text(own, "utf-8")
        for name, place in zip(rest, itertools.repeat(first), strict=False):
            if place is None:
                (folder / name).write_bytes((run.folder / name).read_bytes())
            else:
                (folder / name).hardlink_to(place / name)
        first = first or folder
        yield new
