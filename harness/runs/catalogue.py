"""What is in a run store, run by run and cell by cell: lists of it, and one of them by its name."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from harness._util.canonical import Json
from harness._util.registry import suggest
from harness.data.datasets import datasets
from harness.data.store import dataset_name
from harness.errors import SpecError, StoreError
from harness.home import Home
from harness.metrics import metrics
from harness.runs.judged import Judged, judging
from harness.runs.labels import predictions_of, scores_of, stored_labels
from harness.runs.scores import ScoreMemory
from harness.runs.store import RunStore, StoredRun

__all__ = [
    "STATUSES",
    "CellFacts",
    "ListedCell",
    "Status",
    "epoch_kept",
    "facts_of",
    "key_of",
    "listed",
]

Status = Literal["stored", "damaged", "failed", "missing", "hole"]
STATUSES: tuple[Status, ...] = get_args(Status)
_TRIED = frozenset({"stored", "damaged", "failed"})

_SHORTEST = 4  # digits of a key; shorter prefixes are typing mistakes
_CANDIDATES = 8  # of an ambiguous beginning that a message lists


@dataclass(frozen=True, kw_only=True)
class ListedCell:
    """A cell that was run, or that a plan has.

    Args:
        status: ``stored``; ``damaged``: there and not sound; ``failed``; ``missing``: planned, and
            neither; ``hole``: planned, and it cannot run here.
        key: Of its run; None for a hole.
        corpus: Its corpus; None where nobody knows any more.
        row: Label of its row in the first suite that has it, else the name of its system.
        system: Registered name.
        seed: Its seed.
        suites: Those that have it, as last planned.
        reason: Why it failed, is damaged, or cannot run.
        seconds: What it took.
        epochs: Trained.
        selected_epoch: The one whose weights predict.
        metric: What its epochs are chosen by.
        score: That metric on the test split; None where it is undefined.
    """

    status: Status
    key: str | None
    corpus: str | None = None
    row: str | None = None
    system: str | None = None
    seed: int | None = None
    suites: tuple[str, ...] = ()
    reason: str | None = None
    seconds: float | None = None
    epochs: int | None = None
    selected_epoch: int | None = None
    metric: str | None = None
    score: float | None = None

    @property
    def title(self) -> str:
        """The cell in words."""
        if self.corpus is None:
            return "a cell that no plan has any more"
        return f"{self.row} on {self.corpus}, seed {self.seed}"

    def record(self) -> dict[str, Json]:
        """As JSON values."""
        return {**vars(self), "suites": list(self.suites)}


@dataclass(frozen=True, kw_only=True)
class CellFacts:
    """All that is known of one cell.

    Args:
        cell: What it is, and its outcome.
        params: Its hyper-parameters, of a stored run.
        scores: Split -> metric -> value, NaN where undefined; of a stored run.
        parameters: Of its network.
        train_clips: Clips that it was trained on.
        fit_seconds: Training.
        predict_seconds: Prediction of validation and test clips.
        peak_memory_bytes: Of its process.
        device: Kind of device.
        weights: Whether it keeps its weights.
        log: Its log, where one was written.
        traceback: Where in the code it broke; None where that is not known.
        kept_epoch: Epoch after which an interrupted training goes on; None where it begins anew.
    """

    cell: ListedCell
    params: dict[str, Json] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    parameters: int | None = None
    train_clips: int | None = None
    fit_seconds: float | None = None
    predict_seconds: float | None = None
    peak_memory_bytes: int | None = None
    device: str | None = None
    weights: bool = False
    log: Path | None = None
    traceback: str | None = None
    kept_epoch: int | None = None

    def record(self) -> dict[str, Json]:
        """As JSON values."""
        own = {name: value for name, value in vars(self).items() if name != "cell"}
        return {**self.cell.record(), **own, "log": None if self.log is None else str(self.log)}


def listed(
    home: Home,
    *,
    suite: str | None = None,
    system: str | None = None,
    corpus: str | None = None,
    statuses: Collection[str] = (),
    scored: bool = True,
) -> list[ListedCell]:
    """The cells that all of it applies to, in the order of plans, then those that no plan has.

    Args:
        home: Whose store.
        suite: Of this suite, as last planned; None for all.
        system: Of this system, or of the row of this label.
        corpus: On this corpus.
        statuses: Of ``STATUSES``; none: those that were run.
        scored: Whether to look up scores.

    Raises:
        SpecError: For an unknown status.
        StoreError: For a suite that was never run here, or a damaged plan.
    """
    for status in statuses:
        if status not in STATUSES:
            known = ", ".join(STATUSES)
            raise SpecError(f"--status takes {known}; found {status!r}{suggest(status, STATUSES)}")
    wanted = statuses or _TRIED
    store = RunStore(home.store)
    with judging(store) as judged:
        found = [
            cell
            for cell in _cells(judged, suite)
            if cell.status in wanted
            and system in (None, cell.system, cell.row)
            and corpus in (None, cell.corpus)
        ]
        found = [_with_figures(judged, cell) for cell in found]
    return _with_scores(store, found) if scored else found


def facts_of(home: Home, name: str) -> CellFacts:
    """What is known of one cell.

    Args:
        home: Whose store.
        name: As ``key_of`` takes it.

    Raises:
        SpecError: As ``key_of``.
        StoreError: As ``key_of``.
    """
    store = RunStore(home.store)
    key = key_of(store, name)
    with judging(store) as judged:
        cell = _with_figures(judged, _cell(store, key))
    log = store.log_file(key)
    facts = CellFacts(
        cell=cell,
        log=log if log.is_file() else None,
        traceback=store.traceback(key) if cell.status == "failed" else None,
        kept_epoch=None if key in store else epoch_kept(home, key),
    )
    return facts if cell.status != "stored" else _of_run(facts, store)


def epoch_kept(home: Home, key: str) -> int | None:
    """The epoch after which an interrupted training goes on here; None where none is kept."""
    path = home.training_file(key)
    if not path.is_file():
        return None
    from harness.training import kept_epoch  # stores can be read without torch

    return kept_epoch(path)


def key_of(store: RunStore, name: str, *, stored: bool = False) -> str:
    """The key of the one cell of that name.

    Args:
        store: Where it is.
        name: The first digits of its key, or ``SUITE:ROW:CORPUS:SEED``.
        stored: Whether only stored runs are meant, else also cells that failed or are planned.

    Raises:
        SpecError: When the name is no beginning of a key, or of more than one, or no cell of the
            suite.
        StoreError: When no key begins so, or the suite was never run here.
    """
    if ":" in name:
        return _key_in_plan(store, name)
    if len(name) < _SHORTEST or not set(name) <= set("0123456789abcdef"):
        raise SpecError(
            f"a run is named by the first digits of its key, at least {_SHORTEST} of 0-9a-f, or as"
            f" SUITE:ROW:CORPUS:SEED; found {name!r}",
            hint="msa runs list lists keys",
        )
    known = {*store.keys_like(name)}
    if not stored:
        known |= {*store.failed(), *_planned(store, name)}
    found = sorted(key for key in known if key.startswith(name))
    if not found:
        raise StoreError(f"no stored run begins with {name}", hint="msa runs list lists keys")
    if len(found) > 1:
        shown = ", ".join(_distinct(found)[:_CANDIDATES])
        more = ", …" if len(found) > _CANDIDATES else ""
        raise SpecError(
            f"{len(found)} runs begin with {name}: {shown}{more}", hint="give more digits"
        )
    return found[0]


def _distinct(keys: Sequence[str]) -> list[str]:
    """So many digits of each that they differ."""
    length = 8
    while len({key[:length] for key in keys}) < len(keys):
        length += 1
    return [key[:length] for key in keys]


def _planned(store: RunStore, digits: str) -> Iterator[str]:
    """Keys of the plans that have such digits somewhere."""
    for suite in _plans_with(store, digits):
        with contextlib.suppress(StoreError):  # msa verify names a damaged plan
            yield from store.plan(suite).keys


def _plans_with(store: RunStore, digits: str) -> list[str]:
    """The plans in which these digits of a key are: others need not be parsed."""
    return [suite for suite in store.plans() if _has(store.plan_file(suite), digits.encode())]


def _has(path: Path, text: bytes) -> bool:
    try:
        return text in path.read_bytes()
    except OSError:
        return True  # reading it as a plan says what is wrong


def _key_in_plan(store: RunStore, name: str) -> str:
    suite, _, rest = name.partition(":")
    label, corpus, seed = ("", "", "", *rest.rsplit(":", 2))[-3:]
    cells = store.plan(suite).cells
    found = [c for c in cells if (c.label, c.corpus, str(c.seed)) == (label, corpus, seed)]
    if not found:
        known = [f"{suite}:{c.label}:{c.corpus}:{c.seed}" for c in cells if c.key is not None]
        raise SpecError(
            f"a run of a suite is named SUITE:ROW:CORPUS:SEED; found {name!r}"
            f"{suggest(name, known)}",
            hint=f"such as {known[0]}" if known else f"msa run {suite}",
        )
    (cell,) = found
    if cell.key is None:
        raise SpecError(f"{name} does not apply: {cell.reason}")
    return cell.key


def _cells(judged: Judged, suite: str | None) -> Iterator[ListedCell]:
    """Cells of plans, each once, then what no plan has: all without figures."""
    store = judged.store
    there, failed = store.keys(), frozenset(store.failed())
    met, holes = _met(store, store.plans() if suite is None else [suite])
    for key, found in met.items():
        yield _with_status(found, key, there, failed)
    yield from holes
    if suite is None:
        for key in sorted((there | failed) - met.keys()):
            yield _with_status(ListedCell(status="missing", key=key), key, there, failed)


def _cell(store: RunStore, key: str) -> ListedCell:
    """One cell without figures; of no other run, and no plan without it, anything is read."""
    met, _ = _met(store, _plans_with(store, key))
    found = met.get(key, ListedCell(status="missing", key=key))
    there = {key} if key in store else frozenset[str]()
    failed = {key} if store.failure_file(key).is_file() else frozenset[str]()
    return _with_status(found, key, there, failed)


def _met(store: RunStore, suites: Iterable[str]) -> tuple[dict[str, ListedCell], list[ListedCell]]:
    """Cells of plans by key, each once, and those that cannot run."""
    met: dict[str, ListedCell] = {}
    holes = []
    for name in suites:
        plan = store.plan(name)
        systems = {row.label: row.system for row in plan.rows}
        for cell in plan.cells:
            if cell.key in met:
                known = met[cell.key]
                if name not in known.suites:
                    met[cell.key] = _replaced(known, suites=(*known.suites, name))
                continue
            status: Status = "hole" if cell.key is None else "missing"
            found = ListedCell(
                status=status,
                key=cell.key,
                corpus=cell.corpus,
                row=cell.label,
                system=systems.get(cell.label),
                seed=cell.seed,
                suites=(name,),
                reason=cell.reason,
            )
            if cell.key is None:
                holes.append(found)
            else:
                met[cell.key] = found
    return met, holes


def _with_status(
    cell: ListedCell, key: str, there: Collection[str], failed: Collection[str]
) -> ListedCell:
    if key in there:
        return _replaced(cell, status="stored")
    return _replaced(cell, status="failed") if key in failed else cell


def _with_figures(judged: Judged, cell: ListedCell) -> ListedCell:
    """What the run of a cell says of itself, or why there is none."""
    store, key = judged.store, cell.key
    if key is None or cell.status not in _TRIED:
        return cell
    if cell.status == "failed":
        try:
            return _replaced(cell, reason=store.failure(key))
        except StoreError as error:
            return _replaced(cell, reason=str(error))
    run = store.get(key)
    if damage := judged.damage_of(run):
        return _replaced(cell, status="damaged", reason="; ".join(damage))
    spec, result = run.spec, run.manifest.result
    return _replaced(
        cell,
        corpus=spec.corpus,
        row=cell.row or spec.system,
        system=spec.system,
        seed=spec.seed,
        seconds=run.manifest.cost.seconds,
        epochs=result.epochs or None,
        selected_epoch=result.selected_epoch,
        metric=spec.protocol.selection_metric,
    )


def _replaced(cell: ListedCell, **changes: object) -> ListedCell:
    return ListedCell(**{**vars(cell), **changes})


def _with_scores(store: RunStore, cells: Iterable[ListedCell]) -> list[ListedCell]:
    """The same with the metric that epochs are chosen by, on the test split."""
    memories: dict[tuple[str, str], ScoreMemory] = {}
    found = []
    for cell in cells:
        if cell.status == "stored" and cell.key is not None:
            spec = store.get(cell.key).spec
            name, metric = dataset_name(spec.corpus), spec.protocol.selection_metric
            if name in datasets and metric in metrics:
                known = (spec.data, metric)
                if known not in memories:
                    memories[known] = ScoreMemory(
                        *(store, spec.data, datasets[name], metrics[metric], "test")
                    )
                score = memories[known].of(cell.key)
                cell = _replaced(cell, score=None if score != score else score)
        found.append(cell)
    for memory in memories.values():
        memory.keep()
    return found


def _of_run(facts: CellFacts, store: RunStore) -> CellFacts:
    assert facts.cell.key is not None
    run = store.get(facts.cell.key)
    manifest = run.manifest
    scores = _scores(store, run)
    metric = manifest.spec.protocol.selection_metric
    score = scores.get("test", {}).get(metric)
    card = run.weights
    return CellFacts(
        **{
            **vars(facts),
            "cell": _replaced(facts.cell, score=None if score != score else score),
            "params": dict(manifest.spec.params),
            "scores": scores,
            "parameters": manifest.result.parameters,
            "train_clips": manifest.result.train_clips,
            "fit_seconds": manifest.cost.fit_seconds,
            "predict_seconds": manifest.cost.predict_seconds,
            "peak_memory_bytes": manifest.cost.peak_memory_bytes,
            "device": manifest.provenance.device,
            "weights": card is not None and not card.removed,
        }
    )


def _scores(store: RunStore, run: StoredRun) -> dict[str, dict[str, float]]:
    """Every metric on validation and test clips; none where nobody here knows the dataset."""
    spec = run.spec
    if (name := dataset_name(spec.corpus)) not in datasets:
        return {}
    scores = {}
    for split in ("valid", "test"):
        truth = stored_labels(store, spec.data, datasets[name], split)
        if len(truth.labels):
            scores[split] = scores_of(run, truth, predictions_of(run, truth))
    return scores
