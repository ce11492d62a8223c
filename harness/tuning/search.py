"""A search from request to choice: drawn, carried out, scored, and chosen on validation clips.

Killed at any moment, the same call goes on and ends in the same trials and the same choice: draws
depend on what was told before and nothing else, and what was told is read off stored runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness._util import canonical
from harness._util.atomic import sweep
from harness._util.extras import explained
from harness.data.corpus import Corpus
from harness.data.store import CorpusStore
from harness.errors import NotHere, RunFailed, SpecError
from harness.home import Home
from harness.metrics import metrics
from harness.runs.executors import Executor
from harness.runs.executors.local import LocalExecutor
from harness.runs.holder import announced
from harness.runs.inventory import Inventory
from harness.runs.plan import absent_corpus, protocol_of
from harness.runs.running import check_timeout, refuse_absent
from harness.runs.scores import ScoreMemory
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedRung, PlannedSearch, PlannedTuning
from harness.runs.suite_files import find_suite
from harness.spec import Protocol, Scalar, Suite
from harness.tuning.budget import Budget, rungs
from harness.tuning.database import Journal
from harness.tuning.rows import SearchedRow, Skipped, rows_of, skipped_on
from harness.tuning.sampling import Drawn, Sampling
from harness.tuning.trials import Outcome, Stage, Watch, trial_label

__all__ = ["RowResult", "TuningResult", "tune"]


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """What a search found for one row on one corpus.

    Args:
        row: The row.
        corpus: Where.
        plan: The stored plan of its trials.
        trials: Settings that were tried.
        failed: Those of them that gave no score.
        distinct: Different settings among them.
        chosen: Number of the best, from 1, the first among equals.
        run: Key of its run.
        valid: Its validation score in the selection metric.
        setting: Its hyper-parameters that were searched.
        training_seed: Of all trials.
    """

    row: SearchedRow
    corpus: str
    plan: str
    trials: int
    failed: int
    distinct: int
    chosen: int
    run: str
    valid: float
    setting: Mapping[str, Scalar]
    training_seed: int


@dataclass(frozen=True, kw_only=True)
class TuningResult:
    """What ``tune`` found.

    Args:
        suite: Whose rows were searched.
        budget: Of each row.
        rows: By corpus, in the order of the suite.
        skipped: Rows that were not searched, and why.
    """

    suite: Suite
    budget: Budget
    rows: tuple[RowResult, ...]
    skipped: tuple[Skipped, ...]

    @property
    def plans(self) -> tuple[str, ...]:
        """The stored plans of the trials, one per corpus."""
        return tuple(dict.fromkeys(row.plan for row in self.rows))


def tune(
    suite: Suite | str,
    home: Home | None = None,
    budget: Budget | None = None,
    *,
    workers: int = 1,
    only: Sequence[str] = (),
    device: str = "cpu",
    executor: Executor | None = None,
    cell_timeout: float | None = None,
    watch: Watch | None = None,
) -> TuningResult:
    """Search the hyper-parameters of a suite's rows, each with the same budget.

    Each trial is a run like any other: with the same settings it is the same run in any suite. The
    setting with the best score on the validation split is chosen; no test label is looked at.

    Args:
        suite: A suite, the name of one in ``home.suites``, or a path to a TOML file.
        home: Where corpora and runs live; ``Home.default()`` when None.
        budget: What each row may spend; ``Budget()`` when None.
        workers: Worker processes, one thread each.
        only: Patterns on rows or systems to search; none means all.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        executor: Where cells are executed; None for worker processes on this machine.
        cell_timeout: Seconds that a cell may take on this machine; None for any time.
        watch: Who is told of cells.

    Raises:
        SpecError: For an invalid suite, space, budget or device, or where nothing can be searched.
        DataError: For a corpus or encoder that is damaged. What is not here leaves rows out, with
            reasons, in ``TuningResult.skipped``.
        StoreError: When another driver holds the store, or a database of trials is damaged or of
            another version of Optuna.
        RunFailed: When no trial of a row gave a score.
        MissingExtra: Where the packages of the extra ``tune`` are not installed.
    """
    with explained():
        import optuna  # noqa: F401 - before anything is begun
    home = home or Home.default()
    budget = budget or Budget()
    chosen = find_suite(suite, home) if isinstance(suite, str) else suite
    check_timeout(cell_timeout)
    if executor is None:
        refuse_absent(device)
    store = RunStore(home.store)
    workplace = executor or LocalExecutor(workers, cell_timeout)
    with store.writing():
        CorpusStore(home.corpora).sweep()
        sweep(home.cache, shared=True)
        request = _Request(
            suite=chosen,
            budget=budget,
            protocol=protocol_of(chosen),
            only=tuple(only),
            home=home,
            store=store,
            executor=workplace,
            workers=workers if executor is None else None,
            device=device,
            watch=watch or Watch(),
        )
        return request.result()


class _Remembering(Inventory):
    """Loads each corpus once, for plans are made many times."""

    def corpus(self, name: str) -> Corpus:
        if name not in self._loaded:
            self._loaded[name] = super().corpus(name)
        return self._loaded[name]

    @property
    def _loaded(self) -> dict[str, Corpus]:
        found: dict[str, Corpus] = self.__dict__.setdefault("_corpora", {})
        return found


@dataclass(frozen=True, kw_only=True)
class _Request:
    suite: Suite
    budget: Budget
    protocol: Protocol
    only: tuple[str, ...]
    home: Home
    store: RunStore
    executor: Executor
    workers: int | None
    device: str
    watch: Watch

    def result(self) -> TuningResult:
        inventory = _Remembering(self.home)
        searched: list[tuple[Corpus, list[SearchedRow]]] = []
        skipped: list[Skipped] = []
        for name in self.suite.corpora:
            try:
                corpus = inventory.corpus(name)
            except NotHere as error:
                skipped += skipped_on(self.suite, absent_corpus(name, error), only=self.only)
                continue
            rows, others = rows_of(
                *(self.suite, corpus, self.protocol, self.budget, self.seed_on(name)),
                only=self.only,
                inventory=inventory,
            )
            skipped += others
            if rows:
                searched.append((corpus, rows))
        if not searched:
            raise SpecError(
                f"no row of suite {self.suite.name} can be searched: {_first_of(skipped)}",
                hint=f"msa doctor {self.suite.name} lists what is not here",
            )
        fresh_seeds(self.suite, searched[0][0].name, self.protocol, self.budget)  # or fail now
        found = [
            result
            for corpus, rows in searched
            for result in _CorpusSearch(self, corpus, rows, inventory).results()
        ]
        return TuningResult(
            suite=self.suite, budget=self.budget, rows=tuple(found), skipped=tuple(skipped)
        )

    def seed_on(self, corpus: str) -> int:
        """The training seed of all trials: the first that the suite would use."""
        return _seeds(self.suite, corpus, self.protocol)[0]


def _first_of(skipped: Sequence[Skipped]) -> str:
    """Why the first rows are not searched."""
    why = [f"{each.label} on {each.corpus}: {each.reason}" for each in skipped]
    more = [f"and {len(why) - _NAMED} more"] if len(why) > _NAMED else []
    return "; ".join((*why[:_NAMED], *more)) or "there is none"


def _seeds(suite: Suite, corpus: str, protocol: Protocol) -> tuple[int, ...]:
    own = suite.seeds_on(corpus)
    return own if isinstance(own, tuple) else protocol.seeds


def fresh_seeds(suite: Suite, corpus: str, protocol: Protocol, budget: Budget) -> tuple[int, ...]:
    """The seeds of the suite that results: the next of the list that no trial used.

    Raises:
        SpecError: Where there are too few.
    """
    listed = dict.fromkeys((*_seeds(suite, corpus, protocol), *protocol.seeds))
    used, *fresh = listed
    if len(fresh) < budget.seeds_after:
        raise SpecError(
            f"{budget.seeds_after} fresh seeds are asked for; besides {used}, that of the trials,"
            f" suite {suite.name} and its protocol list {len(fresh)}",
            hint=f"--seeds-after {max(1, len(fresh))}, or a longer list of seeds in the suite",
        )
    return tuple(fresh[: budget.seeds_after])


@dataclass(kw_only=True)
class _Draws:
    """The settings of one row, drawn and told so far."""

    row: SearchedRow
    sampler: str
    listed: list[Drawn]
    """What the journal has."""
    told: list[Drawn] = field(default_factory=list)
    stale: bool = False
    """Whether the journal has something else than was told."""
    _sampling: Sampling | None = None

    def recall(self, count: int) -> list[Drawn] | None:
        """The next settings as the journal has them; None where it has fewer."""
        first = len(self.told)
        found = self.listed[first : first + count]
        return found if len(found) == count and self._sampling is None else None

    def draw(self, count: int) -> list[Drawn]:
        """The next settings, drawn."""
        if self._sampling is None:
            self._sampling = Sampling(self.row.space, self.sampler, self.row.identity)
            self._sampling.recall(self.told)
        return self._sampling.ask(count)

    def tell(self, drawn: Sequence[Drawn], *, whole: bool) -> None:
        """What settings gave; ``whole`` when they are all that were drawn together."""
        first = len(self.told)
        if self.listed[first : first + len(drawn)] != list(drawn):
            self.stale = self.stale or len(self.listed) > first
            self.listed = self.listed[:first]
        self.told += drawn
        if self._sampling is not None and whole:
            self._sampling.tell([each.score for each in drawn])


class _CorpusSearch:
    """All rows on one corpus, batch by batch."""

    def __init__(
        self, request: _Request, corpus: Corpus, rows: Sequence[SearchedRow], inventory: Inventory
    ) -> None:
        self._request, self._corpus, self._rows = request, corpus, rows
        self._inventory = inventory
        self._seed = request.seed_on(corpus.name)
        budget = request.budget
        identity = canonical.digest([[row.label, row.identity] for row in rows])[:8]
        self.name = f"{request.suite.name}.tune-{identity}"
        self._metric = metrics[request.protocol.selection_metric]
        self._scores = ScoreMemory(
            *(request.store, corpus.fingerprint, corpus.dataset, self._metric, "valid")
        )
        self._journal = Journal(request.home.tuning / f"{self.name}.log")
        self._draws = {
            row.label: _Draws(
                row=row,
                sampler=budget.sampler,
                listed=self._journal.read(row.label, row.space),
            )
            for row in rows
        }

    def results(self) -> Iterator[RowResult]:
        """Search to the end.

        Raises:
            RunFailed: When no trial of a row gave a score.
        """
        with contextlib.ExitStack() as atlast:
            atlast.callback(self._scores.keep)
            atlast.enter_context(announced(self._request.store, self.name, self._request.workers))
            halving = self._request.budget.sampler == "halving"
            settled = self._halve() if halving else self._sample()
        for row in self._rows:
            yield self._result(row, settled[row.label])

    def _sample(self) -> dict[str, list[Outcome]]:
        """Draw, carry out and tell, until the budget is spent."""
        budget, stage = self._request.budget, self._stage(self.name)
        settled: dict[str, list[Outcome]] = {row.label: [] for row in self._rows}
        done = 0
        while done < budget.trials:
            count = min(budget.together, budget.trials - done)
            drawn, outcomes = self._next(stage, done, count)
            for label, found in _by_row(self._rows, outcomes, done, count).items():
                draws = self._draws[label]
                told = [
                    self._drawn(each, one) for each, one in zip(drawn[label], found, strict=True)
                ]
                draws.tell(told, whole=count == budget.together)
                settled[label] += found
            self._log()
            done += count
        stage.finish()
        return settled

    def _next(
        self, stage: Stage, done: int, count: int
    ) -> tuple[dict[str, list[Drawn]], dict[str, Outcome]]:
        """The next settings of every row, carried out."""
        drawn: dict[str, list[Drawn]] = {}
        asked: dict[str, Outcome] = {}
        for row in self._rows:
            draws = self._draws[row.label]
            found = draws.recall(count)
            planned = {} if found is None else stage.keys(self._wanted(row, done, found))
            if found is None or [each.key for each in found] != [
                outcome.key for outcome in planned.values()
            ]:
                found = draws.draw(self._request.budget.together)[:count]
                planned = stage.keys(self._wanted(row, done, found))
            drawn[row.label] = found
            asked |= planned
        return drawn, stage.carry(asked)

    def _wanted(
        self, row: SearchedRow, done: int, drawn: Sequence[Drawn]
    ) -> dict[str, tuple[SearchedRow, dict[str, Scalar]]]:
        return {
            trial_label(row.label, done + i): (row, row.space.settings(each.values))
            for i, each in enumerate(drawn, start=1)
        }

    def _drawn(self, drawn: Drawn, outcome: Outcome, epochs: int | None = None) -> Drawn:
        score = None if outcome.score is None else self._metric.cost(outcome.score)
        return Drawn(values=drawn.values, score=score, key=outcome.key, epochs=epochs)

    def _log(self) -> None:
        """Bring the journal up to what was told."""
        for label, draws in self._draws.items():
            if draws.stale:
                self._journal.restart(label)
                draws.listed, draws.stale = [], False
            if len(draws.told) > len(draws.listed):
                self._journal.append(label, draws.row.space, draws.told[len(draws.listed) :])
                draws.listed = list(draws.told)

    def _halve(self) -> dict[str, list[Outcome]]:
        """All settings with few epochs, ever fewer with more; the last round decides."""
        budget = self._request.budget
        rounds = rungs(budget.trials, self._request.protocol.max_epochs)
        before = tuple(
            PlannedRung(
                plan=f"{self.name}.rung-{i}", max_epochs=rung.max_epochs, trials=rung.settings
            )
            for i, rung in enumerate(rounds[:-1], start=1)
        )
        drawn = {label: draws.draw(budget.trials) for label, draws in self._draws.items()}
        alive = {label: list(range(budget.trials)) for label in drawn}
        settled = {label: [Outcome()] * budget.trials for label in drawn}
        left: dict[str, list[int | None]] = {label: [None] * budget.trials for label in drawn}
        for place, rung in enumerate(rounds):
            last = place == len(rounds) - 1
            name = self.name if last else before[place].plan
            stage = self._stage(name, None if last else rung.max_epochs, before if last else ())
            self._climb(stage, drawn, alive, settled)
            for label, numbers in alive.items():
                ranked = self._ranked(settled[label], numbers)
                kept = ranked if last else ranked[: rounds[place + 1].settings]
                for number in set(numbers) - set(kept):
                    left[label][number] = rung.max_epochs
                alive[label] = sorted(kept)
        for label, draws in self._draws.items():
            rows = zip(drawn[label], settled[label], left[label], strict=True)
            told = [self._drawn(each, outcome, epochs) for each, outcome, epochs in rows]
            draws.told, draws.stale = told, len(draws.listed) not in (0, len(told))
        self._log()
        return {
            label: [
                outcome if left[label][number] is None else Outcome(key="", reason=_LEFT)
                for number, outcome in enumerate(found)
            ]
            for label, found in settled.items()
        }

    def _climb(
        self,
        stage: Stage,
        drawn: Mapping[str, Sequence[Drawn]],
        alive: Mapping[str, Sequence[int]],
        settled: Mapping[str, list[Outcome]],
    ) -> None:
        """One round: the settings that are left, carried out."""
        asked: dict[str, Outcome] = {}
        for row in self._rows:
            wanted = {
                trial_label(row.label, number + 1): (
                    row,
                    row.space.settings(drawn[row.label][number].values),
                )
                for number in alive[row.label]
            }
            asked |= stage.keys(wanted)
        outcomes = stage.carry(asked)
        for row in self._rows:
            for number in alive[row.label]:
                settled[row.label][number] = outcomes[trial_label(row.label, number + 1)]
        stage.finish()

    def _ranked(self, outcomes: Sequence[Outcome], numbers: Sequence[int]) -> list[int]:
        """Numbers of the settings with a score, best first, the first among equals."""
        costs = {
            number: self._metric.cost(score)
            for number in numbers
            if (score := outcomes[number].score) is not None
        }
        return sorted(costs, key=lambda number: (costs[number], number))

    def _stage(
        self, name: str, max_epochs: int | None = None, before: tuple[PlannedRung, ...] = ()
    ) -> Stage:
        request = self._request
        return Stage(
            suite=request.suite,
            name=name,
            corpus=self._corpus,
            seed=self._seed,
            inventory=self._inventory,
            store=request.store,
            executor=request.executor,
            device=request.device,
            scores=self._scores,
            tuning=self._tuning(before) if max_epochs is None else None,
            max_epochs=max_epochs,
            watch=request.watch,
        )

    def _tuning(self, before: tuple[PlannedRung, ...]) -> PlannedTuning:
        request = self._request
        return PlannedTuning(
            suite=request.suite.name,
            title=request.suite.title,
            corpus=self._corpus.name,
            metric=request.protocol.selection_metric,
            sampler=request.budget.sampler,
            seed=request.budget.seed,
            trials=request.budget.trials,
            batch=request.budget.together,
            training_seed=self._seed,
            rows=tuple(
                PlannedSearch(
                    label=row.label,
                    system=row.entry.system,
                    identity=row.identity,
                    space=row.space.digest(request.budget.sampler),
                    source=row.space.source,
                    dimensions=row.space.record(),
                )
                for row in self._rows
            ),
            rungs=before,
        )

    def _result(self, row: SearchedRow, outcomes: Sequence[Outcome]) -> RowResult:
        ranked = self._ranked(outcomes, range(len(outcomes)))
        if not ranked:
            reasons = "; ".join(dict.fromkeys(each.reason for each in outcomes if each.reason))
            raise RunFailed(
                f"no trial of row {row.label!r} on {self._corpus.name} gave a validation score:"
                f" {reasons}",
                hint="search over other values",
            )
        best, told = ranked[0], self._draws[row.label].told
        score = outcomes[best].score
        assert score is not None  # it is ranked
        return RowResult(
            row=row,
            corpus=self._corpus.name,
            plan=self.name,
            trials=len(outcomes),
            failed=sum(each.score is None and each.reason != _LEFT for each in outcomes),
            distinct=len({canonical.digest(dict(each.values)) for each in told}),
            chosen=best + 1,
            run=outcomes[best].key,
            valid=score,
            setting=row.space.settings(told[best].values),
            training_seed=self._seed,
        )


_LEFT = "left behind by successive halving"
_NAMED = 3  # rows that are not searched, in one message


def _by_row(
    rows: Sequence[SearchedRow], outcomes: Mapping[str, Outcome], done: int, count: int
) -> dict[str, list[Outcome]]:
    """Row -> outcomes of its trials from ``done`` on."""
    return {
        row.label: [outcomes[trial_label(row.label, done + i)] for i in range(1, count + 1)]
        for row in rows
    }
