"""Weights that are taken away to free disk: by age, by suite, by rank. The runs stay."""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness._util import canonical
from harness._util.canonical import Json
from harness.errors import SpecError, StoreError
from harness.home import Home
from harness.metrics import metrics
from harness.runs.store import RunStore, StoredRun
from harness.runs.weights.card import TENSORS

__all__ = ["Chosen", "Removal", "removable", "remove", "seconds_of"]

_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_AGE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([hdw])")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Which weights are to go: those that all of it applies to.

    Args:
        older_than: Seconds since they were stored; None for any age.
        suite: Of the suite of that name, as last planned; None for any.
        rank: Not among the best so many of their row on their corpus, by validation score; None
            for all. Seeds of a row compete, and so do sources of its code.
    """

    older_than: float | None = None
    suite: str | None = None
    rank: int | None = None

    def __post_init__(self) -> None:
        if self.older_than is None and self.suite is None and self.rank is None:
            raise SpecError(
                "say which weights may go",
                hint="--older-than 30d, --suite NAME, --rank K (keep the best K of a row)",
            )
        if self.rank is not None and self.rank < 0:
            raise SpecError(f"--rank keeps so many of each row, 0 or more; found {self.rank}")


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Weights that may go, or went.

    Args:
        key: Of the run.
        what: What was run, in words.
        size: Bytes on the disk.
        days: Since they were stored.
        valid: Their score on valid, in the metric that chose them; None where it is undefined.
    """

    key: str
    what: str
    size: int
    days: float
    valid: float | None

    def record(self) -> dict[str, Json]:
        """As JSON values."""
        return {
            "key": self.key,
            "what": self.what,
            "bytes": self.size,
            "days": self.days,
            "valid": self.valid,
        }


def seconds_of(age: str) -> float:
    """An age as people write it: hours, days or weeks.

    Raises:
        SpecError: When it is none.

    Example:
        >>> seconds_of("12h"), seconds_of("30d")
        (43200.0, 2592000.0)
    """
    found = _AGE.fullmatch(age.strip())
    if found is None:
        raise SpecError(
            f"an age is a number with h, d or w; found {age[:40]!r}", hint="such as 30d"
        )
    return float(found[1]) * _UNITS[found[2]]


def removable(home: Home, chosen: Chosen) -> list[Removal]:
    """What ``remove`` would take away, largest first.

    Raises:
        StoreError: For a suite that was never run here, or whose plan is damaged.
    """
    store = RunStore(home.store)
    keys = None if chosen.suite is None else store.plan(chosen.suite).keys
    with_weights = [run for run in store if _keeps(run) and (keys is None or run.key in keys)]
    if chosen.rank is not None:
        with_weights = list(_behind(with_weights, chosen.rank))
    found = [_of(run) for run in with_weights]
    old = (0.0 if chosen.older_than is None else chosen.older_than) / _UNITS["d"]
    return sorted((one for one in found if one.days >= old), key=lambda one: (-one.size, one.key))


def remove(home: Home, chosen: Chosen) -> list[Removal]:
    """Take weights away, and say which. The store is held meanwhile.

    A run says from then on that its weights were removed; it is as sound as before. A kill leaves
    each run with its weights or without.

    Raises:
        StoreError: As ``removable``; when another process writes to the store; when the disk
            refuses.
    """
    store = RunStore(home.store)
    with store.writing():
        found = removable(home, chosen)
        for one in found:
            store.remove_weights(one.key)
    return found


def _keeps(run: StoredRun) -> bool:
    """Whether it has weights that may be taken away; a damaged run is left as it is."""
    try:
        card = run.weights
    except StoreError:
        return False
    return card is not None and not card.removed


def _behind(runs: Sequence[StoredRun], best: int) -> Iterator[StoredRun]:
    """Those that are not among the best of their row, each judged on valid."""
    rows: dict[str, list[StoredRun]] = defaultdict(list)
    for run in runs:
        spec = run.spec
        about = [spec.data, spec.protocol.identity, spec.system, spec.params, spec.artifacts]
        rows[canonical.digest(about)].append(run)
    for row in rows.values():
        yield from sorted(row, key=_place)[best:]


def _place(run: StoredRun) -> tuple[float, str]:
    """Low for good ones."""
    assert run.weights is not None
    value = _valid(run)
    metric = metrics[run.weights.run.selection_metric]
    return metric.cost(math.nan if value is None else value), run.key


def _valid(run: StoredRun) -> float | None:
    assert run.weights is not None
    facts = run.weights.run
    return facts.valid.get(facts.selection_metric)


def _of(run: StoredRun) -> Removal:
    spec, card = run.spec, run.weights
    assert card is not None
    return Removal(
        key=run.key,
        what=f"{spec.system} on {spec.corpus}, seed {spec.seed}",
        size=card.bytes,
        days=(time.time() - (run.folder / TENSORS).stat().st_mtime) / _UNITS["d"],
        valid=_valid(run),
    )
