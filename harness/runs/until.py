"""Running a suite with more and more seeds until it is decided, at looks declared beforehand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from harness.errors import NotHere, SpecError, StoreError
from harness.home import Home
from harness.runs.driver import RunReport
from harness.runs.looks import BEST, Look, Until, contests, look_of, still_open
from harness.runs.plan import Plan, make_plan, protocol_of
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedLooks, StoredPlan
from harness.spec import Suite
from harness.stats import LOOKS, levels

__all__ = ["at_look", "declare", "kept", "run_until"]


def run_until(
    suite: Suite,
    until: Until,
    home: Home,
    store: RunStore,
    *,
    device: str,
    carry: Callable[[Plan], RunReport],
    on_look: Callable[[Look], None] = lambda look: None,
) -> RunReport:
    """Look after look: run its seeds, stop where it is decided. The caller holds ``store``.

    A call that was stopped goes on at the look it was at. A look with failed cells decides nothing.

    Args:
        suite: What to run.
        until: What to decide.
        home: Where corpora and encoders are.
        store: Where the runs are.
        device: Where jobs run.
        carry: Runs what is missing of a plan.
        on_look: Called before each look and, when its runs are there, after it.

    Returns:
        Of all looks of the call; ``look`` is the last, None where cells failed.

    Raises:
        SpecError: For looks that cannot be declared, or nothing to decide.
        NotHere: For a suite of which a part is not here.
    """
    declared = declare(suite, until, store)
    reports: list[RunReport] = []
    for seeds in declared.looks[_first(declared) :]:
        now = dataclasses.replace(declared, look=seeds, decided=None)
        plan = make_plan(at_look(suite, seeds), home, device=device)
        _need_everything(plan)
        plan = dataclasses.replace(plan, until=now)
        contests(plan.record(), now.decide)  # or fail before anything runs
        look = look_of(now)
        on_look(look)
        report = carry(plan)
        if report.failed:
            reports.append(report)
            break
        record = store.plan(suite.name)  # with what is carried over from an earlier source
        look = dataclasses.replace(look, undecided=still_open(record, store))
        reports.append(dataclasses.replace(report, look=look))
        outcome = dataclasses.replace(now, decided=look.decided)
        store.put_plan(suite.name, dataclasses.replace(record, until=outcome))
        on_look(look)
        if look.decided:
            break
    return _summed(reports)


def _need_everything(plan: Plan) -> None:
    """Refuse to decide a suite of which a part is not here.

    Raises:
        NotHere: Naming what is not.
    """
    for cell in plan.cells:
        if cell.lack is not None:
            raise NotHere(
                f"a suite is decided with all its rows on all its corpora: {cell.lack.reason}",
                hint=cell.lack.hint,
            )


def _first(declared: PlannedLooks) -> int:
    """Place of the look to begin with: none is looked at again that left something open."""
    place = declared.looks.index(declared.look)
    return min(place + (declared.decided is False), len(declared.looks) - 1)


def _summed(reports: list[RunReport]) -> RunReport:
    """The last look's cells, of which all that this call ran count as run."""
    last, done = reports[-1], sum(report.done for report in reports)
    return dataclasses.replace(last, done=done, present=last.planned - done - len(last.failed))


def declare(suite: Suite, until: Until, store: RunStore) -> PlannedLooks:
    """The looks of a suite: those declared before its first run, else those asked for.

    Raises:
        SpecError: For other looks than those declared, looks that do not rise or begin below two
            seeds, or a suite that has been run without looks.
    """
    before, most = _stored(store, suite.name), _most_seeds(suite)
    if before is not None and before.until is not None:
        return _same(before.until, until, most, suite.name)
    if before is not None and _has_run(before, store):
        raise SpecError(
            f"suite {suite.name} has been run already, with {len(before.seeds)} seeds; looks are"
            " declared before the first run",
            hint="look at a suite of its own that has not been run",
        )
    looks = _capped(LOOKS if until.looks is None else until.looks, most)
    return PlannedLooks(looks=looks, decide=until.decide or BEST, look=looks[0])


def _same(declared: PlannedLooks, until: Until, most: int, suite: str) -> PlannedLooks:
    looks = declared.looks if until.looks is None else _capped(until.looks, most)
    decide = until.decide or declared.decide
    if (looks, decide) != (declared.looks, declared.decide):
        raise SpecError(
            f"suite {suite} has declared looks at {_listed(declared.looks)} seeds to decide"
            f" {declared.decide!r}; found {_listed(looks)} and {decide!r}",
            hint=f"msa run {suite} --until decided",
        )
    if declared.looks[-1] > most:
        raise SpecError(
            f"suite {suite} has declared looks at {_listed(declared.looks)} seeds; it lists {most}"
        )
    return declared


def _capped(looks: tuple[int, ...], most: int) -> tuple[int, ...]:
    levels(looks)  # or fail because they do not rise
    capped = tuple(dict.fromkeys(min(look, most) for look in looks))
    levels(capped)
    return capped


def kept(plan: Plan, store: RunStore) -> Plan:
    """A plan with fixed seeds, which keeps the looks that its suite has declared.

    Raises:
        SpecError: Where its seeds are not those of the look that the suite has reached.
    """
    before = _stored(store, plan.suite.name)
    if before is None or before.until is None:
        return plan
    if plan.record().seeds != before.seeds:
        until, suite = before.until, plan.suite.name
        raise SpecError(
            f"suite {suite} has declared looks at {_listed(until.looks)} seeds and is at"
            f" {until.look}; with other seeds it would be looked at once more",
            hint=f"msa run {suite} --until decided",
        )
    return dataclasses.replace(plan, until=before.until)


def at_look(suite: Suite, seeds: int) -> Suite:
    """The suite with the first so many seeds of every corpus's list."""
    return dataclasses.replace(
        suite, corpus_seeds={corpus: _list(suite, corpus)[:seeds] for corpus in suite.corpora}
    )


def _most_seeds(suite: Suite) -> int:
    return min(len(_list(suite, corpus)) for corpus in suite.corpora)


def _list(suite: Suite, corpus: str) -> tuple[int, ...]:
    """All seeds that may be used on a corpus: the suite's own list, else the protocol's."""
    own = suite.seeds_on(corpus)
    return own if isinstance(own, tuple) else protocol_of(suite).seeds


def _stored(store: RunStore, suite: str) -> StoredPlan | None:
    """The stored plan; None where there is none, or it is damaged and planned again."""
    try:
        return store.plan(suite)
    except StoreError:
        return None


def _has_run(plan: StoredPlan, store: RunStore) -> bool:
    """Whether it has runs of rows that seeds change."""
    fixed = {row.label for row in plan.rows if row.deterministic}
    return any(c.key is not None and c.key in store for c in plan.cells if c.label not in fixed)


def _listed(looks: tuple[int, ...]) -> str:
    return ", ".join(map(str, looks))
