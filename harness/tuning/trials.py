"""Trials as stored runs: planned in a plan of their own, carried out, scored on validation."""

from __future__ import annotations

import dataclasses
import glob
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.data.corpus import Corpus
from harness.errors import SpecError, StoreError
from harness.runs.driver import carry_out
from harness.runs.events import Hear, unheard
from harness.runs.executors import Done, Executor
from harness.runs.inventory import Inventory
from harness.runs.judged import judging
from harness.runs.plan import Cell, Plan, make_plan
from harness.runs.scores import ScoreMemory
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedTuning
from harness.spec import Entry, Scalar, Suite
from harness.system import systems
from harness.tuning.rows import SearchedRow

__all__ = ["Outcome", "Stage", "Watch", "trial_label"]


def trial_label(label: str, number: int) -> str:
    """What the plan calls trial ``number``, from 1, of a row; see ``harness.spec.algorithm_of``."""
    return f"{label} #{number}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a setting gave.

    Args:
        key: Of its run; empty for a setting that the system refuses.
        score: On validation clips, in the selection metric; None without one.
        reason: Why there is none.
    """

    key: str = ""
    score: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who is told of cells: see ``harness.runs.driver.carry_out``."""

    on_start: Callable[[int], None] = lambda cells: None
    on_done: Callable[[Done], None] = lambda done: None
    on_event: Hear = unheard


@dataclass(kw_only=True)
class Stage:
    """Trials that share a protocol, in a plan of their own.

    Args:
        suite: The suite whose rows are searched.
        name: Of the plan.
        corpus: Where.
        seed: Training seed of all trials.
        inventory: Where corpora and encoders are.
        store: Where runs go.
        executor: Where cells run.
        device: Where networks are.
        scores: Of runs, on the validation split.
        tuning: What the plan says of the search.
        max_epochs: Ceiling on epochs, where it is not the suite's.
        watch: Who is told.
    """

    suite: Suite
    name: str
    corpus: Corpus
    seed: int
    inventory: Inventory
    store: RunStore
    executor: Executor
    device: str
    scores: ScoreMemory
    tuning: PlannedTuning | None
    max_epochs: int | None = None
    watch: Watch = field(default_factory=Watch)
    _plan: Plan | None = None
    _written: bool = False
    _failed: bool = False

    def keys(
        self, wanted: Mapping[str, tuple[SearchedRow, Mapping[str, Scalar]]]
    ) -> dict[str, Outcome]:
        """Plan trials: label -> key, or why its setting is refused.

        Args:
            wanted: Label -> row and setting.
        """
        outcomes: dict[str, Outcome] = {}
        entries = []
        for label, (row, setting) in wanted.items():
            entry = self._entry(label, row, setting)
            try:
                systems[entry.system].resolve(self.corpus.dataset.name, entry.params)
                entries.append(entry)
            except SpecError as error:
                outcomes[label] = Outcome(reason=str(error))
        if entries:
            planned = self._planned(entries)
            for cell in planned.cells:
                if cell.label in wanted:
                    key = "" if cell.job is None else cell.job.spec.key
                    outcomes[cell.label] = Outcome(key=key, reason=cell.reason or "")
        return {label: outcomes[label] for label in wanted}

    def carry(self, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
        """Carry out what is missing of planned trials and score all of them.

        What failed before is not tried again: a search goes on from it.
        """
        missing = self._missing(outcomes)
        if missing and self._plan is not None:
            fixed = [row.label for row in self._references()]
            apart = [glob.escape(label) for label in (*fixed, *missing)]
            carry_out(
                self._plan,
                self.store,
                self.executor,
                only=apart if self._failed else (),
                on_start=self.watch.on_start,
                on_done=self.watch.on_done,
                on_event=self.watch.on_event,
            )
            self._written = True
        return {label: self._scored(outcome) for label, outcome in outcomes.items()}

    def finish(self) -> None:
        """Write the plan, where carrying out cells did not."""
        if self._plan is not None and not self._written:
            self.store.put_truth(self.corpus)
            record = self._plan.record()
            if self.name not in self.store.plans() or self.store.plan(self.name) != record:
                self.store.put_plan(self.name, record)

    def _entry(self, label: str, row: SearchedRow, setting: Mapping[str, Scalar]) -> Entry:
        return Entry(system=row.entry.system, label=label, params={**row.entry.params, **setting})

    def _planned(self, entries: Sequence[Entry]) -> Plan:
        """The plan of some trials, which become part of the stage's."""
        changes = dict(self.suite.protocol_changes)
        if self.max_epochs is not None:
            changes["max_epochs"] = self.max_epochs
        new = make_plan(
            Suite(
                name=self.name,
                title=f"Trials of {self.suite.title}",
                corpora=(self.corpus.name,),
                protocol=self.suite.protocol,
                protocol_changes=changes,
                seeds=(self.seed,),
                entries=tuple(entries),
                where=self.suite.where,
            ),
            self.inventory.home,
            device=self.device,
            inventory=self.inventory,
        )
        new = dataclasses.replace(new, tuning=self.tuning)
        self._plan = new if self._plan is None else _joined(self._plan, new)
        self._written = False
        return new

    def _references(self) -> list[Cell]:
        assert self._plan is not None
        constants = {e.label for e in self._plan.suite.entries if systems[e.system].reference}
        return [cell for cell in self._plan.cells if cell.label in constants]

    def _missing(self, outcomes: Mapping[str, Outcome]) -> list[str]:
        """Labels of planned trials without a sound run that did not fail either."""
        found = []
        with judging(self.store) as judged:
            for label, outcome in outcomes.items():
                if outcome.key in self.store:
                    if judged.damage_of(self.store.get(outcome.key)):
                        found.append(label)
                elif outcome.key and self.store.failure(outcome.key) is None:
                    found.append(label)
                else:
                    self._failed = True
        return found

    def _scored(self, outcome: Outcome) -> Outcome:
        if not outcome.key:
            return outcome
        if outcome.key not in self.store:
            self._failed = True
            reason = self.store.failure(outcome.key) or "not run"
            return dataclasses.replace(outcome, reason=reason)
        try:
            score = self.scores.of(outcome.key)
        except StoreError as error:
            return dataclasses.replace(outcome, reason=str(error))
        if math.isnan(score):
            return dataclasses.replace(outcome, reason="its validation score is undefined")
        return dataclasses.replace(outcome, score=score)


def _joined(old: Plan, new: Plan) -> Plan:
    """Two plans of one stage as one, rows of both only once."""
    known = {entry.label for entry in old.suite.entries}
    entries = [entry for entry in new.suite.entries if entry.label not in known]
    cells = [cell for cell in new.cells if cell.label not in known]
    suite = dataclasses.replace(old.suite, entries=(*old.suite.entries, *entries))
    return dataclasses.replace(old, suite=suite, cells=(*old.cells, *cells))
