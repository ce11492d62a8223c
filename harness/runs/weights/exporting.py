"""The weights of a run as a folder of its own, laid out as model hubs expect it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from harness._util import canonical
from harness._util.atomic import commit_folder
from harness.data.datasets import datasets
from harness.errors import RunFailed, SpecError, StoreError
from harness.home import Home
from harness.metrics import score
from harness.runs.differences import compared
from harness.runs.executors import Executor
from harness.runs.replay import job_of
from harness.runs.store import RunStore, StoredRun
from harness.runs.weights.card import WeightsCard
from harness.runs.weights.restoring import CONFIG, MODEL, MODEL_TYPE
from harness.system import systems

__all__ = ["export", "train_again"]

_READ_ME = "README.md"


def export(store: RunStore, run: StoredRun, folder: Path) -> WeightsCard:
    """Write ``model.safetensors``, ``config.json`` and ``README.md`` of a run's weights.

    No place of this machine is named in them.

    Args:
        store: Where the run and its labels are.
        run: With weights.
        folder: What to write; there must be nothing.

    Raises:
        SpecError: When something is there already.
        StoreError: When the run keeps no weights, something of it is damaged, or the disk refuses.
    """
    if folder.exists():
        raise SpecError(f"{folder} is there already", hint="name a folder that is not: --to FOLDER")
    path, card = run.tensors(), run.weights
    assert card is not None
    config = {"architectures": [card.model.system], "model_type": MODEL_TYPE, **card.json()}
    words = "\n".join(_read_me(card, _scores(store, run, card))) + "\n"
    try:
        with commit_folder(folder) as staging:
            shutil.copyfile(path, staging / MODEL)
            (staging / CONFIG).write_text(canonical.dumps(config, indent=1) + "\n", "utf-8")
            (staging / _READ_ME).write_text(words, "utf-8")
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written: {error.strerror or error}",
            hint="name another one with --to, or free some space",
        ) from error
    return card


def train_again(home: Home, run: StoredRun, executor: Executor, *, encoder: str | None) -> None:
    """Train a run without weights once more and put them into it, if it predicts the same.

    Args:
        home: Whose store it is in, which is held meanwhile.
        run: Without weights.
        executor: Where to train.
        encoder: Where its text encoder is, when its name alone does not say.

    Raises:
        RunFailed: When it fails today, has no network, or any prediction is another one.
        StoreError: When another process writes to the store, or the disk refuses.
    """
    store = RunStore(home.store)
    with store.writing():
        _train_again(home, store, run, executor, encoder)


def _train_again(
    home: Home, store: RunStore, run: StoredRun, executor: Executor, encoder: str | None
) -> None:
    job = replace(job_of(run, home, encoder=encoder), weights="selected")
    (done,) = executor.run([job])
    if done.record is None:
        raise RunFailed(f"run {run.key} cannot be trained again: {done.failure}")
    weights = done.record.weights
    if weights is None:
        raise RunFailed(f"run {run.key} keeps no weights: system {run.spec.system} has no network")
    try:
        changed = compared(run.table(), done.record.predictions).changed
        if changed:
            raise RunFailed(
                f"run {run.key}, trained again, is another one: {changed} predictions differ;"
                " its weights are not kept",
                hint=f"msa replay {run.key[:12]} says by how much",
            )
        store.put_weights(run.key, weights)
    finally:
        weights.discard()


def _scores(
    store: RunStore, run: StoredRun, card: WeightsCard
) -> Mapping[str, Mapping[str, float]]:
    """Split -> metric -> score, of the stored predictions."""
    spec = run.spec
    truth = store.truth(spec.data)
    dataset = datasets[card.model.dataset]
    found = {}
    for split in ("valid", "test"):
        labels = truth[truth["split"] == split].set_index("id")["label"]
        pred = run.predictions(split).loc[labels.index]
        found[split] = score(pred.to_numpy(), labels.to_numpy(), dataset)
    return found


def _read_me(card: WeightsCard, scores: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    model, run = card.model, card.run
    system = systems[model.system]
    yield from ("---", "library_name: msa-harness", "tags:", "- multimodal-sentiment-analysis")
    yield from ("datasets:", f"- {model.dataset}", "---", "")
    yield from (f"# {system.card.title} on {run.corpus}, seed {run.seed}", "")
    if model.twin:
        yield from ("Trained on a twin: synthetic clips. Its numbers say nothing of real ones.", "")
    yield from ("| metric | valid | test |", "| --- | ---: | ---: |")
    for metric in scores["test"]:
        cells = (_number(scores[split][metric]) for split in ("valid", "test"))
        yield f"| {metric} | {' | '.join(cells)} |"
    chosen = "" if run.selected_epoch is None else f" Epoch {run.selected_epoch} was chosen"
    watched = f"its released rule ({run.rule})" if run.rule else run.selection_metric
    by = f" by {watched} on the validation split." if chosen else ""
    yield from ("", f"Canonical definitions of msa-harness {run.version}.{chosen}{by}", "")
    yield from ("## What it is", "")
    yield f"- System `{model.system}`: {system.card.paper}"
    yield f"- {card.parameters:,} parameters; hyper-parameters in `{CONFIG}`"
    yield f"- Labels from {model.low:g} to {model.high:g}"
    for name, stream in model.streams.items():
        yield f"- Reads {name} of {stream.frames} frames and {stream.dim} features"
    yield f"- Run `{run.key}`, data `{run.data[:12]}`, code `{run.code}`"
    yield from (f"- Deviation: {text}" for text in system.card.deviations)
    yield from ("", "## What else it needs", "")
    yield from _needs(card)
    yield from ("", "## Use", "", "```sh", "msa predict FOLDER --on CORPUS --to predictions.csv")
    yield from ("```", "")
    yield "Weights may be used as far as the licence of the clips that they were trained on allows."


def _needs(card: WeightsCard) -> Iterator[str]:
    encoder, space = card.model.encoder, card.model.space
    yield f"- Features of `{card.model.feature_set}`" + ("" if space is None else ", `msa extract`")
    if encoder is not None:
        part = f"; {len(encoder.frozen)} frozen tensors are its own" if encoder.frozen else ""
        yield f"- Text encoder `{encoder.name}`, SHA-256 `{encoder.digest}`{part}"


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "undefined"
