"""Which rows of a suite are searched on which corpus, and what each of them is searched over."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness._util import canonical
from harness._util.canonical import Json
from harness.data.corpus import Corpus
from harness.errors import SpecError
from harness.runs.inventory import Inventory, Lack
from harness.runs.plan import (
    Plan,
    complete,
    expand_queries,
    survey,
    unknown_system,
    with_known_systems,
)
from harness.spec import Entry, Protocol, Suite
from harness.system import systems
from harness.tuning.budget import Budget
from harness.tuning.space import Space, space_of

__all__ = ["SearchedRow", "Skipped", "rows_of", "skipped_on"]


@dataclass(frozen=True, kw_only=True)
class SearchedRow:
    """One row on one corpus.

    Args:
        entry: As the suite has it, with the suite's defaults.
        space: What it is searched over.
        identity: Hexadecimal; what its draws depend on.
    """

    entry: Entry
    space: Space
    identity: str

    @property
    def label(self) -> str:
        """Its name in the suite."""
        return self.entry.label


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A row that is not searched on a corpus, and why."""

    label: str
    corpus: str
    reason: str


def rows_of(
    suite: Suite,
    corpus: Corpus,
    protocol: Protocol,
    budget: Budget,
    seed: int,
    *,
    only: Sequence[str],
    inventory: Inventory,
) -> tuple[list[SearchedRow], list[Skipped]]:
    """The rows of a suite that are searched on a corpus, and those that are not.

    Args:
        suite: The suite.
        corpus: One of its corpora.
        protocol: The suite's.
        budget: What each row may spend.
        seed: Training seed of all trials.
        only: Patterns on labels or systems; none means all.
        inventory: Where corpora and encoders are.

    Raises:
        SpecError: For a space that is not valid, a pattern that matches no row, or a search over
            parameters that no row has.
    """
    suite, unknown = with_known_systems(expand_queries(suite))
    suite = complete(suite, absent=unknown)
    _check_shared(suite, absent=unknown)
    _check_only((*suite.entries, *unknown), only)
    found = []
    skipped = [
        Skipped(label=entry.label, corpus=corpus.name, reason=_not_here(unknown_system(entry)))
        for entry in unknown
        if _is_on(entry, corpus.name) and _is_asked(entry, only)
    ]
    plan = _as_given(suite, corpus, seed, inventory)
    reasons = {
        cell.label: cell.reason if cell.lack is None else _not_here(cell.lack)
        for cell in plan.cells
    }
    for entry in suite.entries:
        system = systems[entry.system]
        if system.reference or not _is_on(entry, corpus.name) or not _is_asked(entry, only):
            continue
        space = space_of(suite, entry, system, corpus.dataset.name)
        reason = reasons[entry.label] or ("" if space else _NOTHING)
        if system.supervision == "none":
            reason = "learns from no label"
        if reason or space is None:
            skipped.append(Skipped(label=entry.label, corpus=corpus.name, reason=reason))
            continue
        identity = _identity(entry, space, corpus, protocol, budget, seed)
        found.append(SearchedRow(entry=entry, space=space, identity=identity))
    return found, skipped


def skipped_on(suite: Suite, lack: Lack, *, only: Sequence[str]) -> list[Skipped]:
    """The rows that would be searched on a corpus that is not here.

    Args:
        suite: The suite.
        lack: The corpus.
        only: Patterns on labels or systems; none means all.
    """
    return [
        Skipped(label=entry.label, corpus=lack.name, reason=_not_here(lack))
        for entry in expand_queries(suite).entries
        if _is_on(entry, lack.name) and _is_asked(entry, only)
    ]


def _not_here(lack: Lack) -> str:
    return f"{lack.reason}; next: {lack.hint}" if lack.hint else lack.reason


def _is_on(entry: Entry, corpus: str) -> bool:
    return entry.corpora is None or corpus in entry.corpora


_NOTHING = "nothing says what to search: add `space = { … }` to the row, or [tune.space]"


def _as_given(suite: Suite, corpus: Corpus, seed: int, inventory: Inventory) -> Plan:
    """The rows as they stand, to know which of them apply."""
    rows = tuple(entry for entry in suite.entries if _is_on(entry, corpus.name))
    bare = tuple(dataclasses.replace(entry, corpora=None) for entry in rows)
    here = dataclasses.replace(
        suite, corpora=(corpus.name,), seeds=(seed,), corpus_seeds={}, entries=bare
    )
    return survey(here, inventory.home, inventory=inventory)


def _check_shared(suite: Suite, *, absent: Sequence[Entry]) -> None:
    """Refuse a search in ``[tune.space]`` over what no row's system has."""
    known = {
        item.name
        for entry in suite.entries
        for item in dataclasses.fields(systems[entry.system].params)
    }
    for name in suite.tune.space:
        if name not in known and not absent:  # an absent system may have it
            raise SpecError(
                f"{suite.where or suite.name}: tune.space: no row's system has a parameter"
                f" {name!r}",
                hint="msa card SYSTEM shows its hyper-parameters",
            )


def _check_only(entries: Sequence[Entry], only: Sequence[str]) -> None:
    for pattern in only:
        if not any(_is_asked(entry, (pattern,)) for entry in entries):
            labels = ", ".join(entry.label for entry in entries)
            raise SpecError(f"--only {pattern} matches no row (rows: {labels})")


def _is_asked(entry: Entry, only: Sequence[str]) -> bool:
    names = (entry.label, entry.system)
    return not only or any(fnmatch.fnmatchcase(n, pattern) for n in names for pattern in only)


def _identity(
    entry: Entry, space: Space, corpus: Corpus, protocol: Protocol, budget: Budget, seed: int
) -> str:
    """Digest of all that decides what is drawn; how much is drawn does not, but in halving."""
    about: Mapping[str, Json] = {
        "system": entry.system,
        "params": dict(entry.params),
        "space": space.record(),
        "data": corpus.fingerprint,
        "protocol": dict(protocol.identity),
        "sampler": budget.sampler,
        "seed": budget.seed,
        "batch": budget.batch if budget.sampler == "tpe" else None,
        "trials": budget.trials if budget.sampler == "halving" else None,
        "training_seed": seed,
    }
    return canonical.digest(about)[:16]
