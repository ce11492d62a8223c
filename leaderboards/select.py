"""From a plan to everything its board shows: the runs of each row, their scores, and the holes.

Nothing here is rounded, averaged or read from a stored metric: scores are computed from stored
predictions and stored labels.

Shapes: N test clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from harness.data.datasets import datasets
from harness.errors import StoreError
from harness.metrics import metrics
from harness.scoring import Truth
from harness.store import RunStore, StoredRun
from harness.submissions import flags
from leaderboards.board import Board, CorpusFacts, Facts, Grid, Hole, Row, Run
from leaderboards.entries import entries

__all__ = ["Board", "CorpusFacts", "Facts", "Grid", "Hole", "Row", "Run", "gather"]

_Record: TypeAlias = Mapping[str, Any]  # JSON of the store, typed as it is taken apart


def gather(store: RunStore, suite: str) -> Board:
    """Collect and score what the store holds of a suite.

    Raises:
        StoreError: When the suite was never planned here, or a record is damaged or does not fit
            the labels.
    """
    plan: _Record = store.plan(suite)
    try:
        return Board(
            suite=suite,
            title=plan["title"],
            protocol=plan["protocol"],
            seeds=tuple(plan["seeds"]),
            grids=tuple(_grid(store, plan, corpus) for corpus in plan["corpora"]),
        )
    except KeyError as error:
        raise StoreError(
            f"the stored plan of suite {suite!r}, or a run of it, lacks {error}",
            hint=f"msa run {suite}",
        ) from error


def _grid(store: RunStore, plan: _Record, record: _Record) -> Grid:
    corpus = CorpusFacts(
        name=record["name"],
        data=record["data"],
        dataset=datasets[record["dataset"]],
        twin=record["twin"],
        clips=record["clips"],
        videos=record["videos"],
        ceilings=(record["ceilings"] or {}).get("test", {}),
    )
    truth = Truth.load(store, corpus.data, corpus.dataset)
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
                _row(store, truth, row, cells[row["label"]], present)
                for row in plan["rows"]
                if row["label"] in cells
            ),
            *(row for row in entered if not row.outside),
        ),
        submissions=tuple(row for row in entered if row.outside),
    )


def _row(
    store: RunStore, truth: Truth, record: _Record, cells: list[_Record], present: set[str]
) -> Row:
    done = [cell for cell in cells if cell["key"] is not None and cell["key"] in store]
    runs = tuple(_run(truth, store.get(cell["key"]), cell["seed"]) for cell in done)
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
        holes=tuple(_hole(store, cell) for cell in cells if cell not in done),
        flags=() if record["reference"] else _flags(runs, truth),
    )


def _run(truth: Truth, stored: StoredRun, seed: int) -> Run:
    pred = truth.predictions(stored)
    return Run(
        seed=seed,
        key=stored.key,
        pred=pred,
        scores=truth.score(stored, pred),
        facts=_facts(stored.manifest),
    )


def _flags(runs: tuple[Run, ...], truth: Truth) -> tuple[str, ...]:
    """What a reader must know of a row's predictions: that they collapsed."""
    given = [
        flags.Run(seed=run.seed, ids=truth.ids, pred=run.pred, truth=truth.labels) for run in runs
    ]
    return (*(flag.text for flag in flags.collapse(given)), *_unstable(runs))


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


def _hole(store: RunStore, cell: _Record) -> Hole:
    if cell["key"] is None:
        return Hole(seed=cell["seed"], state="not applicable", reason=cell["reason"])
    failure = store.failure(cell["key"])
    if failure is not None:
        return Hole(seed=cell["seed"], state="failed", reason=failure)
    return Hole(seed=cell["seed"], state="not run", reason="")


def _facts(manifest: _Record) -> Facts:
    result, cost, provenance = manifest["result"], manifest["cost"], manifest["provenance"]
    return Facts(
        encoder=manifest["encoder"],
        parameters=result["parameters"],
        trainable=result["trainable"],
        epochs=result["epochs"],
        selected_epoch=result["selected_epoch"],
        train_clips=result["train_clips"],
        fit_seconds=cost["fit_seconds"],
        predict_seconds=cost["predict_seconds"],
        peak_memory_bytes=cost["peak_memory_bytes"],
        device=provenance["device"],
        processor=provenance["processor"],
        diagnostics=result.get("diagnostics", {}),
        stability=result.get("stability", {}),
    )
