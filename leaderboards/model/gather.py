"""From a plan to everything its board shows: the runs of each row, their scores, what is missing.

Nothing here is rounded, averaged or read from a stored metric: scores are computed from stored
predictions and stored labels.

Shapes: N test clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.data.datasets import datasets
from harness.data.leak_gate import leak_gate_of
from harness.data.split_labels import SplitLabels
from harness.errors import StoreError
from harness.metrics import metrics
from harness.runs.compared import Compared
from harness.runs.equivalence import evidence_of
from harness.runs.judged import Judged, judging
from harness.runs.labels import predictions_of, predictions_under, scores_of, stored_labels
from harness.runs.looks import look_of
from harness.runs.manifest import Manifest
from harness.runs.scored import Scored, ScoredRun
from harness.runs.soundness import unsettled_of
from harness.runs.store import RunStore, StoredRun
from harness.runs.stored_plan import PlannedRelease, PlannedSlicing, longer_than_allowed
from harness.spec import PredictionCell
from harness.spec.conditions import grid
from harness.spec.prediction_cell import CALIBRATED, EXCLUDED, WORST_CASE
from harness.submissions import Badge, flags
from leaderboards.model.board import (
    ALPHA,
    AbsentPart,
    Board,
    CarriedOver,
    CorpusFacts,
    Facts,
    Grid,
    MissingRun,
    Row,
    Run,
)
from leaderboards.model.submissions import collapse_of, entries

__all__ = ["gather"]

_Record: TypeAlias = Mapping[str, Any]  # JSON of the store, typed as it is taken apart
_POLICIES = tuple(PredictionCell(variant=name) for name in (EXCLUDED, WORST_CASE, CALIBRATED))


def gather(store: RunStore, suite: str) -> Board:
    """Collect and score what the store holds of a suite.

    Raises:
        StoreError: When the suite was never planned here, or a record is damaged or does not fit
            the labels.
    """
    planned = store.plan(suite)
    plan: _Record = planned.json()
    look = None if planned.until is None else look_of(planned.until)
    alpha = ALPHA if look is None else look.level
    try:
        with judging(store) as judged:
            known = [one for one in plan["corpora"] if one["dataset"] in datasets]
            grids = tuple(_grid(judged, plan, corpus, alpha) for corpus in known)
        return Board(
            suite=suite,
            title=plan["title"],
            protocol=plan["protocol"],
            seeds=tuple(plan["seeds"]),
            grids=grids,
            store=store,
            look=look,
            absent=tuple(_absent(plan)),
        )
    except KeyError as error:
        raise StoreError(
            f"the stored plan of suite {suite!r}, or a run of it, lacks {error}",
            hint=f"msa run {suite}",
        ) from error


def _absent(plan: _Record) -> Iterator[AbsentPart]:
    """What the suite has no table or no row for: it was not here when the suite was planned."""
    shown = {one["name"] for one in plan["corpora"]}
    rows = {one["label"] for one in plan["rows"]}
    waiting: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for cell in plan["cells"]:
        if cell.get("lacks") and not (cell["corpus"] in shown and cell["label"] in rows):
            labels, corpora = waiting.setdefault((cell["lacks"], cell["reason"]), ({}, {}))
            labels[cell["label"]] = corpora[cell["corpus"]] = None
    for (what, reason), (labels, corpora) in waiting.items():
        yield AbsentPart(what=what, reason=reason, rows=tuple(labels), corpora=tuple(corpora))
    for one in plan["corpora"]:
        if one["dataset"] not in datasets:
            yield AbsentPart(
                what=f"dataset {one['dataset']}",
                reason="nothing installed here defines it",
                rows=tuple(dict.fromkeys(_labels_on(plan, one["name"]))),
                corpora=(one["name"],),
            )


def _labels_on(plan: _Record, corpus: str) -> Iterator[str]:
    return (cell["label"] for cell in plan["cells"] if cell["corpus"] == corpus)


def _grid(judged: Judged, plan: _Record, record: _Record, alpha: float) -> Grid:
    store = judged.store
    where = f"plan of {plan['suite']}, corpus {record['name']}"
    slicings = tuple(PlannedSlicing.of(one, where) for one in record.get("slices", ()))
    told = {one.name for one in slicings}
    corpus = CorpusFacts(
        name=record["name"],
        data=record["data"],
        dataset=datasets[record["dataset"]],
        twin=record["twin"],
        clips=record["clips"],
        videos=record["videos"],
        ceilings=(record["ceilings"] or {}).get("test", {}),
        streams=tuple(record["streams"]),
        published_as=(record["manifest"].get("source") or {}).get("published_as") or "",
        trial=(record["manifest"].get("trial") or {}).get("of"),
        explained="explanations" in record["manifest"],
        leak_gate=leak_gate_of(record["manifest"]),
        slicings=slicings,
        unsliced=tuple(asked for asked in plan.get("slices", ()) if asked not in told),
    )
    truth = stored_labels(store, corpus.data, corpus.dataset)
    scored = Scored(store, truth)
    cells: dict[str, list[_Record]] = {}
    for cell in plan["cells"]:
        if cell["corpus"] == corpus.name:
            cells.setdefault(cell["label"], []).append(cell)
    present = {"transcript", "tokens", *record["streams"]}
    entered = tuple(entries(store, corpus, truth, plan["protocol"]["digest"]))
    return Grid(
        corpus=corpus,
        selection=metrics[plan["protocol"]["selection_metric"]],
        truth=truth,
        rows=(
            *(
                _row(judged, scored, row, cells[row["label"]], present)
                for row in plan["rows"]
                if row["label"] in cells
            ),
            *(row for row in entered if not row.outside),
        ),
        submissions=tuple(row for row in entered if row.outside),
        corruption=plan["protocol"].get("corruption", "none"),
        under=_reader(store, truth, plan["protocol"].get("corruption", "none")),
        alpha=alpha,
        tests=Compared(store).tests,
    )


def _reader(
    store: RunStore, truth: SplitLabels, corruption: str
) -> Callable[[Row], NDArray[np.float64]] | None:
    """What reads a row's predictions (S, C, N) under a grid; None where there is no grid."""
    if corruption == "none":
        return None
    names = [condition.name for condition in grid(corruption)]

    def read(row: Row) -> NDArray[np.float64]:
        return np.stack([predictions_under(store.get(run.key), truth, names) for run in row.runs])

    return read


def _row(
    judged: Judged, scored: Scored, record: _Record, cells: list[_Record], present: set[str]
) -> Row:
    truth, outcomes = scored.truth, _outcomes(judged, scored, cells)
    runs = tuple(outcome for outcome in outcomes if isinstance(outcome, Run))
    released = _released(record)
    carried = _carried(judged.store, cells, runs)
    return Row(
        label=record["label"],
        system=record["system"],
        title=record["title"],
        text=record["text"],
        inputs=tuple(name for name in record["inputs"] if name in present),
        changed=record["changed"],
        deterministic=record["deterministic"],
        reference=record["reference"],
        side_info=record.get("side_info", "none"),  # plans of old have none of these
        knowledge=record.get("knowledge", "none"),
        training_corruption=record.get("training_corruption", "none"),
        supervision=record.get("supervision", "train"),
        runs=runs,
        missing_runs=tuple(outcome for outcome in outcomes if isinstance(outcome, MissingRun)),
        badge=Badge.REPLAYED if released is None else Badge.RELEASED,
        selection="" if released is None else released.selection,
        released=released,
        flags=(
            *_of_a_release(released),
            *_of_another_source(cells, runs),
            *(() if carried is None else (carried.words,)),
            *_longer_schedules(cells),
            *(() if record["reference"] else _flags(runs, truth)),
        ),
        collapse=None if record["reference"] else collapse_of(runs, truth.labels),
        carried=carried,
        tuned=record.get("tuned", {}),
        rule=next((cell["selection"] for cell in cells if cell.get("selection")), ""),
        max_epochs=next((cell["max_epochs"] for cell in cells if cell.get("max_epochs")), None),
    )


def _released(record: _Record) -> PlannedRelease | None:
    found = record.get("released")
    return None if found is None else PlannedRelease.of(found, f"row {record['label']!r}")


def _of_a_release(released: PlannedRelease | None) -> Iterator[str]:
    """That a row was not trained here, and what is stated of its weights."""
    if released is not None:
        yield (
            f"released weights, not trained here; the release states {released.statement};"
            " compared as checkpoints, never ranked"
        )


def _longer_schedules(cells: list[_Record]) -> Iterator[str]:
    """That a suite ends a row before its schedule."""
    for schedule in sorted({cell["schedule"] for cell in cells if cell.get("schedule")}):
        yield longer_than_allowed(schedule)


def _of_another_source(cells: list[_Record], runs: tuple[Run, ...]) -> Iterator[str]:
    """What a reader must know of runs that a change of the code has outdated."""
    outdated = {cell["key"] for cell in cells if cell.get("other_source")}
    count = sum(run.key in outdated for run in runs)
    if count:
        yield f"{count} of {len(runs)} runs are of an earlier source of the code"


def _carried(store: RunStore, cells: list[_Record], runs: tuple[Run, ...]) -> CarriedOver | None:
    """Which runs count by evidence, and how much of it is of this row."""
    keys = {run.key for run in runs}
    found = {cell["key"]: cell["carried"] for cell in cells if cell.get("carried")}
    names = sorted({name for key in keys & found.keys() for name in found[key]})
    if not names:
        return None
    evidence = evidence_of(store, names).values()
    replayed = {run.new for record in evidence for run in record.runs} & (keys - found.keys())
    count = len(keys & found.keys())
    return CarriedOver(
        runs=count,
        replayed=len(replayed),
        of=count + len(replayed),
        largest=max((record.largest for record in evidence), default=0.0),
        records=tuple(names),
    )


def _outcomes(judged: Judged, scored: Scored, cells: list[_Record]) -> list[Run | MissingRun]:
    """The run in each cell, scored, or why there is none; a damaged one is never scored."""
    sound = [_sound(judged, cell) for cell in cells]
    there = [run for run in sound if isinstance(run, StoredRun)]
    try:
        known = dict(zip(there, scored.of(there), strict=True))
    except StoreError:  # of one: which, is told when each is read by itself
        known = {}
    return [
        _outcome(judged, scored, run, cell["seed"], known.get(run))
        if isinstance(run, StoredRun)
        else run
        for run, cell in zip(sound, cells, strict=True)
    ]


def _sound(judged: Judged, cell: _Record) -> StoredRun | MissingRun:
    """The run in a cell, every file of it what its digest says, or why there is none."""
    if cell["key"] is None or cell["key"] not in judged.store:
        return _missing(judged.store, cell)
    stored = judged.store.get(cell["key"])
    state: Literal["damaged", "incomplete"] = "damaged"
    try:
        damage = judged.damage_of(stored, read=True)
        if not damage:
            return stored
        reason = f"run {stored.key}: {'; '.join(damage)}"
        state = "incomplete" if damage == (unsettled_of(stored),) else state
    except StoreError as error:
        reason = str(error)
    judged.forget(stored.key)
    return MissingRun(seed=cell["seed"], state=state, reason=reason)


def _outcome(
    judged: Judged, scored: Scored, stored: StoredRun, seed: int, known: ScoredRun | None
) -> Run | MissingRun:
    try:
        return _run(scored.truth, stored, seed, known or scored.of([stored])[0])
    except StoreError as error:
        judged.forget(stored.key)
        return MissingRun(seed=seed, state="damaged", reason=str(error))


def _run(truth: SplitLabels, stored: StoredRun, seed: int, known: ScoredRun) -> Run:
    pred, scores = known
    return Run(
        seed=seed,
        key=stored.key,
        pred=pred,
        scores=scores,
        facts=_facts(stored.manifest),
        variants=_variants(truth, stored),
        passes=tuple(_passes(truth, stored)),
    )


def _passes(truth: SplitLabels, stored: StoredRun) -> Iterator[Mapping[str, float]]:
    """Scores of the passes after the one that counts."""
    for number in range(2, (stored.manifest.result.passes or 1) + 1):
        pred = predictions_of(stored, truth, PredictionCell.of_pass(number))
        yield scores_of(stored, truth, pred)


def _variants(truth: SplitLabels, stored: StoredRun) -> dict[PredictionCell, NDArray[np.float64]]:
    """What a zero-shot model predicts under other policies, and by single prompts."""
    facts = stored.manifest.result.zero_shot
    if facts is None:
        return {}
    cells = (*_POLICIES, *map(PredictionCell.of_prompt, facts.prompts))
    found = {cell: stored.predictions(truth.split, cell) for cell in cells}
    return {
        cell: pred.reindex(list(truth.ids)).to_numpy(dtype=np.float64)
        for cell, pred in found.items()
        if len(pred)
    }


def _flags(runs: tuple[Run, ...], truth: SplitLabels) -> tuple[str, ...]:
    """What a reader must know of a row's predictions: that they collapsed."""
    if not runs:
        return ()
    given = [
        flags.SubmittedRun(seed=run.seed, ids=truth.ids, pred=run.pred, truth=truth.labels)
        for run in runs
    ]
    return (
        *(flag.text for flag in flags.collapse(given)),
        *_unanswered(runs),
        *_unstable(runs),
        *_cut_short(runs),
    )


def _unanswered(runs: tuple[Run, ...]) -> Iterator[str]:
    """Clips of a zero-shot model whose questions were left open, and which share was accepted."""
    for run in runs:
        facts = run.facts.zero_shot if run.facts else {}
        counts = facts["splits"]["test"] if facts else {}
        if counts.get("clips_open"):
            yield (
                f"{counts['clips_open']} of {counts['clips']} test clips lack an answer of the"
                f" server: up to {facts['accepted']:.2%} was accepted"
            )


def _unstable(runs: tuple[Run, ...]) -> Iterator[str]:
    """What a prediction depends on besides its clip, in the words of the largest change."""
    causes = {"again": "a second pass", "alone": "one clip a batch", "shuffled": "another order"}
    largest = {
        cause: max(found)
        for name, cause in causes.items()
        if (
            found := [r.facts.stability[name]["max"] for r in runs if r.facts and r.facts.stability]
        )
    }
    if any(largest.values()):
        said = ", ".join(f"{cause} by up to {change:.3g}" for cause, change in largest.items())
        yield f"predictions of the same clips change: {said}, on the label scale"


def _cut_short(runs: tuple[Run, ...]) -> Iterator[str]:
    """Runs that the cap on epochs ended, or patience while the rate still warmed up."""
    endings = [run.facts.ending for run in runs if run.facts and run.facts.ending]
    full = [e for e in endings if e["epochs"] == e["allowed"] != e["wanted"]]
    if full:
        allowed, wanted = full[0]["allowed"], full[0]["wanted"]
        schedule = f", of {wanted} that their schedule is made for" if wanted else ""
        yield f"{len(full)} of {len(runs)} runs ended at the cap of {allowed} epochs{schedule}"
    before = max((e.get("stages_cut", 0) for e in endings), default=0)
    if before:
        yield f"{before} stage{'s' * (before > 1)} before the last ended at the cap on epochs"
    early = [e for e in endings if e["epochs"] <= e["warmup"]]
    if early:
        yield f"{len(early)} of {len(runs)} runs ended while their learning rate warmed up"


def _missing(store: RunStore, cell: _Record) -> MissingRun:
    if cell["key"] is None:
        state: Literal["not here", "not applicable"] = "not here"
        if not cell.get("lacks"):
            state = "not applicable"
        return MissingRun(seed=cell["seed"], state=state, reason=cell["reason"])
    failure = store.failure(cell["key"])
    if failure is not None:
        return MissingRun(seed=cell["seed"], state="failed", reason=failure)
    return MissingRun(seed=cell["seed"], state="not run", reason="")


def _facts(manifest: Manifest) -> Facts:
    result, cost, provenance = manifest.result, manifest.cost, manifest.provenance
    return Facts(
        encoder=manifest.encoder,
        parameters=result.parameters,
        trainable=result.trainable,
        epochs=result.epochs,
        selected_epoch=result.selected_epoch,
        train_clips=result.train_clips,
        fit_seconds=cost.fit_seconds,
        predict_seconds=cost.predict_seconds,
        peak_memory_bytes=cost.peak_memory_bytes,
        device=provenance.device,
        processor=provenance.processor,
        diagnostics=result.diagnostics or {},
        stability=result.stability or {},
        ending=result.ending or {},
        zero_shot={} if result.zero_shot is None else result.zero_shot.json(),
    )
