"""What a suite takes: its rows, its totals, its longest path.

Nothing is fetched, and nothing written but what many stored runs took, so as not to read them anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import torch

from harness._util.canonical import Json
from harness.home import Home
from harness.runs.catalogue import epoch_kept
from harness.runs.cell import Job
from harness.runs.costs import Cost
from harness.runs.driver import select_cells
from harness.runs.earlier import runs_of_earlier_source, standing_for
from harness.runs.executors.sharing import room_on
from harness.runs.inventory import Lack
from harness.runs.judged import Judged
from harness.runs.plan import Cell, make_plan
from harness.runs.pricing.estimates import CostEstimate, Target, alike, estimate
from harness.runs.pricing.placeholders import AtHand
from harness.runs.remembered_costs import stored_costs
from harness.runs.store import RunStore
from harness.spec import Suite

__all__ = ["RowEstimate", "SuiteEstimate", "estimate_suite"]

_COUNTS = ("cells", "stored", "failed", "missing", "to_run")
_UNKNOWN = CostEstimate()


@dataclass(frozen=True, kw_only=True)
class RowEstimate:
    """One row on one corpus.

    Args:
        corpus: Corpus name.
        label: The row.
        cells: How many there are; 0 where the row does not apply.
        stored: Those that cost nothing any more.
        failed: Those that failed last time and would be tried again.
        missing: Those neither stored nor failed.
        each: Estimate of one cell.
        needs: What is not here yet: corpora, encoders.
        reason: Why the row does not apply, or what of it is not here.
        lack: What is not here and has no placeholder; None for all others.
        schedule: Epochs that its longest stage is made for, where the suite allows fewer.
        resumes: (seed, epoch that it goes on after) of cells whose training was interrupted here.
    """

    corpus: str
    label: str
    cells: int = 0
    stored: int = 0
    failed: int = 0
    missing: int = 0
    each: CostEstimate = _UNKNOWN
    needs: tuple[str, ...] = ()
    reason: str | None = None
    lack: Lack | None = None
    schedule: int | None = None
    resumes: tuple[tuple[int, int], ...] = ()

    @property
    def to_run(self) -> int:
        """Cells that a run would execute."""
        return self.failed + self.missing

    @property
    def seconds(self) -> float:
        """Of all cells to run, as far as known."""
        return self.to_run * (self.each.seconds or 0.0)

    def record(self) -> dict[str, Json]:
        """The estimate as JSON, unrounded."""
        return {
            "corpus": self.corpus,
            "label": self.label,
            **{name: getattr(self, name) for name in _COUNTS},
            **asdict(self.each),
            "needs": list(self.needs),
            "reason": self.reason,
            "lacks": None if self.lack is None else self.lack.title,
            "schedule": self.schedule,
            "resumes": [{"seed": seed, "after_epoch": epoch} for seed, epoch in self.resumes],
        }


@dataclass(frozen=True, kw_only=True)
class SuiteEstimate:
    """What a suite takes.

    Args:
        suite: Its name.
        device: Kind of device, ``cpu`` or ``cuda``.
        jobs: Worker processes.
        rows: Rows on corpora, in plan order.
        carried: Stored cells whose run is of an earlier source and counts by evidence.
        changed: Cells to run that have a run of an earlier source: nothing but the code is new.
        changed_seconds: What those runs took.
        sharing: How many workers share a GPU and why, where that was left open.
    """

    suite: str
    device: str
    jobs: int
    rows: tuple[RowEstimate, ...]
    carried: int = 0
    changed: int = 0
    changed_seconds: float = 0.0
    sharing: str = ""

    @property
    def unknown(self) -> int:
        """Cells to run whose like was never run; they are in no sum of seconds."""
        return sum(row.to_run for row in self.rows if row.each.seconds is None)

    @property
    def seconds(self) -> float:
        """The work of all cells to run."""
        return sum(row.seconds for row in self.rows)

    @property
    def longest(self) -> RowEstimate | None:
        """The row whose single cells take longest."""
        waiting = [row for row in self.rows if row.to_run and row.each.seconds]
        return max(waiting, key=lambda row: row.each.seconds or 0.0, default=None)

    @property
    def path(self) -> float:
        """Seconds that all workers together need at least: the longest cell, or their share."""
        longest = 0.0 if self.longest is None else self.longest.each.seconds or 0.0
        return max(longest, self.seconds / self.jobs)

    def record(self) -> dict[str, Json]:
        """The estimate as JSON, unrounded."""
        return {
            "suite": self.suite,
            "device": self.device,
            "jobs": self.jobs,
            "totals": {
                **{name: sum(getattr(row, name) for row in self.rows) for name in _COUNTS},
                "unknown": self.unknown,
                "seconds": self.seconds,
                "path_seconds": self.path,
                "longest": None if self.longest is None else self.longest.record(),
                "carried": self.carried,
                "because_of_code_alone": {"cells": self.changed, "seconds": self.changed_seconds},
            },
            "rows": [row.record() for row in self.rows],
        }


def estimate_suite(
    suite: Suite,
    home: Home,
    *,
    device: str = "cpu",
    jobs: int | None = 1,
    only: Sequence[str] = (),
) -> SuiteEstimate:
    """Estimate what a suite takes.

    Args:
        suite: What would run.
        home: Where corpora, encoders and stored runs are, as far as they are.
        device: ``cpu``, ``cuda`` or ``cuda:N``; it need not be here.
        jobs: Worker processes; None for one on the CPU, and on a GPU as many as it has room for.
        only: Patterns on rows, systems or corpora; none means all.

    Raises:
        SpecError: As ``make_plan``, and for a pattern that matches nothing.
        DataError: For a corpus that is neither here nor of a published size.
        StoreError: For a damaged record.
    """
    at_hand, store = AtHand(home), RunStore(home.store)
    plan = make_plan(suite, home, device=device, inventory=at_hand, only=only)
    corpora = {corpus.name: corpus for corpus in plan.corpora}
    kind = torch.device(device).type
    costs = [cost for cost in stored_costs(store) if cost.device == kind]
    groups = alike(costs)
    estimates, met = [], set[str]()
    carried = standing_for(plan, Judged(store))
    for cells in _rows(select_cells(plan, only)):
        counted, job = _counts(cells, store, met, carried), cells[0].job
        if job is not None:
            target = Target.of(job, corpora[job.spec.corpus], at_hand)
            each = estimate(target, groups)
            resumes = tuple(_resumes(cells, home, store))
            counted = replace(counted, each=each, needs=target.needs, resumes=resumes)
        estimates.append(counted)
    at_once, sharing = jobs or 1, ""
    if jobs is None and kind == "cuda":
        waiting = [plan.jobs[key] for key in sorted(met) if key not in store and key not in carried]
        at_once, sharing = _sharing(waiting, device, costs)
    again = runs_of_earlier_source([plan.jobs[k] for k in sorted(met - carried.keys())], store)
    return SuiteEstimate(
        suite=suite.name,
        device=kind,
        jobs=at_once,
        sharing=sharing,
        rows=tuple(estimates),
        carried=len(met & carried.keys()),
        changed=len(again),
        changed_seconds=sum(run.seconds for run in again),
    )


def _sharing(waiting: Sequence[Job], device: str, costs: Sequence[Cost]) -> tuple[int, str]:
    """How many workers a device has room for, and why, in words."""
    if not torch.cuda.is_available():
        return 1, "one, until its memory is known; where it is, this says how many share it"
    foretold = room_on(device, costs).foretold(waiting)
    return foretold.workers, f"{foretold.workers} at once ({foretold.why})"


def _rows(cells: Iterable[Cell]) -> Iterable[list[Cell]]:
    rows: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        rows[cell.corpus, cell.label].append(cell)
    return rows.values()


def _resumes(cells: Iterable[Cell], home: Home, store: RunStore) -> Iterator[tuple[int, int]]:
    """Which cells of a row go on where they were interrupted, and after which epoch."""
    for cell in cells:
        if cell.job is not None and (key := cell.job.spec.key) not in store:
            epoch = epoch_kept(home, key)
            if epoch is not None:
                yield cell.seed, epoch


def _counts(
    cells: Sequence[Cell], store: RunStore, met: set[str], carried: Container[str]
) -> RowEstimate:
    """A row without its estimate; a cell that an earlier row has too is not counted again."""
    keys = {cell.job.spec.key for cell in cells if cell.job is not None} - met
    met |= keys
    stored = sum(key in store or key in carried for key in keys)
    failed = sum(store.failure(key) is not None for key in keys if key not in carried)
    return RowEstimate(
        corpus=cells[0].corpus,
        label=cells[0].label,
        cells=len(keys),
        stored=stored,
        failed=failed,
        missing=len(keys) - stored - failed,
        reason=cells[0].reason,
        lack=cells[0].lack,
        schedule=cells[0].schedule,
    )
