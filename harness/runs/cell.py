"""One cell, from specification to record: what a worker does, and all that it does."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from harness._util import canonical
from harness._util.canonical import Json
from harness.corruption import GridAnswers, answer_grid
from harness.data import residency
from harness.data.corpus import Corpus, Split
from harness.data.store import CorpusStore
from harness.errors import DataError, RunFailed
from harness.home import Home
from harness.runs import provenance
from harness.runs.checkpoints import CHECKPOINT, digest_of
from harness.runs.manifest import Costs, Manifest, Provenance, Result
from harness.runs.record import RunRecord
from harness.runs.weights.card import LARGEST
from harness.runs.weights.keeping import keep
from harness.runs.weights.placing import KeptWeights
from harness.spec import PredictionCell, RunSpec, WeightsChoice
from harness.spec.prediction_cell import COUNTED, PLAIN
from harness.system import Epoch, Fitted, Params, System, Task, TrainingParams, systems
from harness.system.diagnostics import by_sentiment, columns
from harness.text import Encoder, find_encoder
from harness.training import fit_network, fit_released, set_precision

__all__ = ["Job", "execute", "limit_threads"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A cell to execute and where its inputs are; ``names`` locates what ``spec.artifacts`` pins.

    Args:
        spec: What to run.
        home: Where corpora and caches are.
        names: Role -> encoder name or folder as the user gave it.
        device: ``cpu`` or ``cuda`` / ``cuda:1``.
        weights: Which weights to keep; None: those selected, unless they are large.
        checkpoint: Released weights to evaluate instead of training, which ``spec.artifacts`` pins.
        label: The row that asks for it, where one does: for people, no part of what is run.
    """

    spec: RunSpec
    home: Home
    names: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    weights: WeightsChoice | None = "none"
    checkpoint: Path | None = None
    label: str = ""

    @property
    def title(self) -> str:
        """The cell in words."""
        return f"{self.label or self.spec.system} on {self.spec.corpus}, seed {self.spec.seed}"


def limit_threads() -> None:
    """One thread per worker: small models run faster so, and bits do not depend on cores."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def execute(job: Job, watch: Callable[[Epoch, int], None] | None = None) -> RunRecord:
    """Train or fit one system on one corpus with one seed and predict valid and test.

    Args:
        job: The cell.
        watch: Told of each epoch as it ends, and how many its stage may take.

    Raises:
        DataError: When the stored corpus, encoder or released checkpoint is not the one the
            specification pins.
        RunFailed: When training diverges or the predictions are not finite.
    """
    corpus, encoder = _pinned_corpus(job), _pinned_encoder(job)
    system = systems[job.spec.system]
    params = system.params(**job.spec.params, **job.names)
    _check_pins(job, system, params, corpus)
    if isinstance(params, TrainingParams):
        set_precision(params.precision, job.device)
    provenance.reset_peak_memory()
    residency.begin()
    began = time.perf_counter()
    fitted = _fit(job, system, params, _task(job, corpus, encoder, watch))
    trained = time.perf_counter()
    predictions = pd.concat(
        [_predict(fitted, corpus.split(name)) for name in ("valid", "test")], ignore_index=True
    )
    cost: dict[str, Json] = {
        "fit_seconds": trained - began,
        "predict_seconds": time.perf_counter() - trained,
        "peak_memory_bytes": provenance.peak_memory(),
    }
    diagnostics = _diagnostics(fitted, corpus)
    under = _under(fitted, system, params, corpus, job.spec.protocol.corruption)
    weights = _kept(job, fitted, system, params, corpus, encoder, predictions)
    return RunRecord(
        key=job.spec.key,
        manifest=Manifest(
            spec=job.spec,
            encoder=None if encoder is None else encoder.name,
            result=_result(
                fitted,
                len(corpus.split("train")),
                None if diagnostics is None else _test_means(diagnostics, corpus),
                None if under is None else under.record,
            ),
            provenance=_provenance(job, encoder),
            cost=Costs.of(cost | ({} if under is None else under.cost), "the costs of a run"),
        ),
        predictions=predictions
        if under is None
        else _with(predictions, under.predictions.assign(variant=PLAIN)),
        history=tuple(dataclasses.asdict(epoch) for epoch in fitted.history),
        curves={name: _curve_table(curve) for name, curve in fitted.curves.items()},
        diagnostics=(
            diagnostics
            if diagnostics is None or under is None
            else _with(diagnostics, under.diagnostics)
        ),
        answers=fitted.answers,
        weights=weights,
    )


def _pinned_corpus(job: Job) -> Corpus:
    corpus = CorpusStore(job.home.corpora).load(job.spec.corpus)
    if corpus.fingerprint != job.spec.data:
        raise DataError(
            f"corpus {corpus.name} changed since the run was planned:"
            f" {corpus.fingerprint[:12]}, planned {job.spec.data[:12]}",
            hint="plan again with `msa run SUITE`",
        )
    return corpus


def _pinned_encoder(job: Job) -> Encoder | None:
    planned = job.spec.artifacts.get("encoder")
    if planned is None:
        return None
    encoder = find_encoder(job.names["encoder"], job.home.cache)
    if encoder.digest != planned:
        raise DataError(f"encoder {encoder.name} changed since the run was planned")
    return encoder


def _check_pins(job: Job, system: System, params: Params, corpus: Corpus) -> None:
    """What a system finds elsewhere must be what was planned with."""
    pinned = {} if system.pins is None else system.pins(params, corpus, job.home.cache)
    for role, found in pinned.items():
        if found != job.spec.artifacts.get(role):
            raise DataError(
                f"{role} changed since the run was planned", hint="plan again with `msa run SUITE`"
            )


def _pinned_knowledge(job: Job) -> Corpus | None:
    planned = job.spec.artifacts.get("knowledge")
    if planned is None:
        return None
    corpus = CorpusStore(job.home.corpora).load(job.names["knowledge"])
    if corpus.fingerprint != planned:
        raise DataError(f"corpus {corpus.name} changed since the run was planned")
    return corpus


def _task(
    job: Job,
    corpus: Corpus,
    encoder: Encoder | None,
    watch: Callable[[Epoch, int], None] | None,
) -> Task:
    return Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=corpus.split("test"),
        protocol=job.spec.protocol,
        seed=job.spec.seed,
        device=torch.device(job.device),
        encoder=encoder,
        cache=job.home.cache,
        knowledge=_pinned_knowledge(job),
        resume=job.home.training_file(job.spec.key),
        watch=watch,
    )


def _pinned_checkpoint(job: Job) -> Path | None:
    """The released weights of a row that is not trained; None for all others."""
    planned = job.spec.artifacts.get(CHECKPOINT)
    if planned is None:
        return None
    if job.checkpoint is None:
        raise DataError("nothing says where the released checkpoint is")
    if digest_of(job.checkpoint) != planned:
        raise DataError(
            f"checkpoint {job.checkpoint.name} changed since the run was planned",
            hint="plan again with `msa run SUITE`",
        )
    return job.checkpoint


def _fit(job: Job, system: System, params: Params, task: Task) -> Fitted:
    if system.fit is not None:
        return system.fit(task, params)
    assert isinstance(params, TrainingParams)  # System.build takes nothing else
    checkpoint = _pinned_checkpoint(job)
    if checkpoint is not None:
        return fit_released(system, task, params, checkpoint)
    return fit_network(system, task, params)


def _predict(fitted: Fitted, split: Split) -> pd.DataFrame:
    values = fitted.predict(split)
    broken = int((~np.isfinite(values)).sum())
    if broken or len(values) != len(split):
        raise RunFailed(
            f"{len(split)} finite predictions expected on {split.name},"
            f" found {len(values)} of which {broken} are not finite"
        )
    variants = {} if fitted.variants is None else fitted.variants(split)
    cells = {COUNTED: values} | {
        PredictionCell.named(name): pred for name, pred in variants.items()
    }
    if len(cells) <= len(variants):
        raise RunFailed(
            f"further predictions have names of their own, none of them {COUNTED} or {PLAIN};"
            f" found {', '.join(variants)}"
        )
    return pd.concat([_table(split, cell, pred) for cell, pred in cells.items()], ignore_index=True)


def _kept(
    job: Job,
    fitted: Fitted,
    system: System,
    params: Params,
    corpus: Corpus,
    encoder: Encoder | None,
    predictions: pd.DataFrame,
) -> KeptWeights | None:
    """The weights that predict; None where none are wanted, or there is no network."""
    if job.weights == "none" or fitted.network is None or not isinstance(params, TrainingParams):
        return None
    rows = predictions[
        (predictions["split"] == "valid")
        & (predictions["condition"] == COUNTED.condition)
        & (predictions["variant"] == COUNTED.variant)
    ]
    return keep(
        *(fitted, job.spec, system, params, corpus, encoder),
        valid=rows.set_index("id")["pred"],
        folder=job.home.cache / "weights",
        largest=LARGEST if job.weights is None else None,
    )


def _table(split: Split, cell: PredictionCell, pred: NDArray[np.float64]) -> pd.DataFrame:
    """Predictions of one cell; NaN is a clip without one."""
    table = pd.DataFrame(
        {
            "id": split.ids,
            "split": split.name,
            "condition": cell.condition,
            "variant": cell.variant,
            "pred": pred,
        }
    )
    return table.dropna(subset="pred")


def _diagnostics(fitted: Fitted, corpus: Corpus) -> pd.DataFrame | None:
    """One row per clip of valid and test: ``id, split`` and a column for each diagnostic."""
    if fitted.diagnose is None:
        return None
    parts = []
    for split in (corpus.split("valid"), corpus.split("test")):
        values = columns(fitted.diagnose(split))
        parts.append(pd.DataFrame({"id": split.ids, "split": split.name, **values}))
    return pd.concat(parts, ignore_index=True)


def _under(
    fitted: Fitted, system: System, params: Params, corpus: Corpus, grid: str
) -> GridAnswers | None:
    """The test split under the protocol's grid; None where it has no grid."""
    if grid == "none":
        return None
    return answer_grid(fitted, system, params, corpus.split("test"), grid)


def _with(clean: pd.DataFrame, under: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of the clean condition, then those of the others."""
    named = clean if "condition" in clean else clean.assign(condition=COUNTED.condition)
    return pd.concat([named, under], ignore_index=True)


def _test_means(diagnostics: pd.DataFrame, corpus: Corpus) -> dict[str, Json]:
    test = corpus.split("test")
    labels = pd.Series(test.labels, index=test.ids)
    rows = diagnostics[diagnostics["split"] == test.name].set_index("id").drop(columns="split")
    return {name: dict(means) for name, means in by_sentiment(rows, labels).items()}


def _curve_table(curve: NDArray[np.float32]) -> pd.DataFrame:
    return pd.DataFrame({str(epoch): row for epoch, row in enumerate(curve, start=1)})


def _provenance(job: Job, encoder: Encoder | None) -> Provenance:
    found = {
        **provenance.environment(),
        "device": torch.device(job.device).type,
        "encoder_revision": None if encoder is None else _commit(encoder.folder),
        "resident": residency.stayed(),
    }
    return Provenance.of(found, "the provenance of a run")


def _commit(folder: Path) -> str | None:
    """The commit of a folder in the hub's cache, which is named by it; None for another folder."""
    is_commit = folder.parent.name == "snapshots" and len(folder.name) == 40
    return folder.name if is_commit else None


def _result(
    fitted: Fitted,
    train_clips: int,
    diagnostics: Json = None,
    corruption: Json = None,
) -> Result:
    known = {
        "parameters": fitted.parameters,
        "trainable": fitted.trainable,
        "epochs": len(fitted.history),
        "selected_epoch": fitted.selected_epoch,
        "train_clips": train_clips,
        "stability": canonical.plain(fitted.stability),
        "diagnostics": diagnostics,
        "corruption": corruption,
    }
    return Result.of({**known, **fitted.report}, "what a system reports")
