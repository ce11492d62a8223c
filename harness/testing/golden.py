"""A system of ours on weights and clips that are formulas, beside what another code made of them.

A file of figures holds what published code computed on ``harness.testing.formula``: predictions
before and after each epoch, the loss of every batch, the norms of the first gradient, and the
optimiser's groups. ``perform`` computes the same with ours, by the optimiser of the training loop.

Shapes: n clips, E epochs, B batches of all epochs together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.data.batching import Batch, BatchSource
from harness.data.corpus import Corpus, Stream
from harness.data.store import CorpusStore, Draft
from harness.spec import Scalar
from harness.system import Dims, Network, Stage, System, TrainingParams
from harness.testing.formula import (
    BERT,
    Rehearsed,
    epoch_batches,
    rehearsed_clips,
    weight,
)
from harness.text import Blueprint
from harness.training import OptimiserPass

__all__ = [
    "CLUE_SEEDS",
    "FLOAT32",
    "Figures",
    "Performance",
    "Rehearsal",
    "Tolerance",
    "WatchedPass",
    "disagreements",
    "figures_of",
    "filled",
    "formula_corpus",
    "formula_encoder",
    "perform",
    "predicted",
    "rehearsal",
    "without_dropout",
    "zero_where_none",
]

CLUE_SEEDS = {"audio_clue": 21, "visual_clue": 22}
"""Of the clips whose tokens stand for explanations."""

Change = Callable[[Network], None]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Figures:
    """What a published code was given, and what it computed.

    Args:
        system: Ours, by its registered name.
        source: Repository and commit of the code.
        layout, clips, seed: Of the formula.
        dataset: Whose settings hold.
        batch: Clips of a batch.
        epochs: Trained.
        horizon: Epochs that the schedule is made for.
        bert_layers: Of the text encoder.
        params: Hyper-parameters that were changed.
        optimizer: Its groups: kind, rate, decay, epsilon and number of parameters.
        run: Of the file's runs, the changed hyper-parameters and what was computed.
    """

    system: str
    source: str
    layout: str
    clips: int
    seed: int
    dataset: str
    batch: int
    epochs: int
    horizon: int
    bert_layers: int
    params: Mapping[str, Scalar]
    optimizer: tuple[Mapping[str, Any], ...]
    run: Mapping[str, Any]

    @property
    def expected(self) -> Performance:
        """What was computed."""
        run = self.run
        return Performance(
            eval=np.array(run["eval"]),
            losses=np.array(run["losses"]),
            curve=np.array(run["curve"]),
            gradients=run["gradient_norms"],
            gradient=run["gradient_norm"],
            rates=tuple(run.get("rates", ())),
            groups=frozenset(
                (g["optimizer"], g["lr"], g["weight_decay"], g["eps"]) for g in self.optimizer
            ),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Performance:
    """What a code computes on the formula.

    Args:
        eval: (n,) predictions before training, all clips as one batch.
        losses: (B,) in order; NaN for batches that were not trained on.
        curve: (E, n) predictions after each epoch.
        gradients: L2 norm of the first batch's gradient by parameter.
        gradient: The same over all parameters.
        rates: Learning rate at the end of each epoch.
        groups: (kind, rate, decay, epsilon) of the optimiser's groups.
    """

    eval: Floats
    losses: Floats
    curve: Floats
    gradients: Mapping[str, float]
    gradient: float
    rates: tuple[float, ...]
    groups: frozenset[tuple[str, float, float, float]]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far two codes may differ.

    Args:
        prediction: Of predictions, absolute.
        loss: Of losses, absolute for those below 1 and relative above.
        gradient: Of gradient norms, relative.
        rate: Of learning rates, relative.
    """

    prediction: float
    loss: float
    gradient: float
    rate: float = 1e-9


FLOAT32: Final = Tolerance(prediction=1e-6, loss=2e-6, gradient=1e-5)
"""Both sides in float32: what other orders of summation leave."""


def figures_of(file: Path) -> dict[str, Figures]:
    """The runs of a file of figures, by name."""
    known = json.loads(file.read_text("utf-8"))
    runs = known.pop("runs")
    optimizer = tuple(known.pop("optimizer"))
    return {name: Figures(**known, optimizer=optimizer, run=run) for name, run in runs.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class Rehearsal:
    """A network with formula weights, its clips, and the stage in which it is trained."""

    network: Network
    params: TrainingParams
    clips: BatchSource
    stage: Stage


def rehearsal(system: System, figures: Figures, folder: Path) -> Rehearsal:
    """Everything that training needs; nothing is random.

    Args:
        system: The one that the figures name.
        figures: What to rehearse.
        folder: Where the clips are stored.
    """
    assert system.build is not None
    params = system.resolve(figures.dataset, {**figures.params, **figures.run["params"]})
    assert isinstance(params, TrainingParams)
    made = rehearsed_clips(figures.layout, figures.clips, figures.seed)
    corpus = formula_corpus(folder, figures.dataset, made)
    network = system.build(Dims.of(corpus, formula_encoder(figures.bert_layers)), params)
    filled(network)
    clips = BatchSource(
        corpus.split("train"),
        inputs=system.inputs,
        tokens={"tokens": made.tokens.astype(np.int32), **_clues(system, figures)},
    )
    network.begin(clips, params)
    stage = network.stages(params)[-1]
    stage.enter()
    return Rehearsal(network=network, params=params, clips=clips, stage=stage)


def formula_encoder(layers: int) -> Blueprint:
    """A text encoder of the formula's sizes, with weights yet to be filled in."""
    from transformers import BertConfig

    return Blueprint(BertConfig(**BERT, num_hidden_layers=layers))


def _clues(system: System, figures: Figures) -> dict[str, NDArray[np.int32]]:
    return {
        name: rehearsed_clips(figures.layout, figures.clips, seed).tokens.astype(np.int32)
        for name, seed in CLUE_SEEDS.items()
        if name in system.inputs
    }


def formula_corpus(
    folder: Path, dataset: str, made: Rehearsed, *, unimodal: bool = False
) -> Corpus:
    """Store clips of the formula as a corpus, all of which train.

    Args:
        folder: Of corpora.
        dataset: Whose labels they are.
        made: The clips.
        unimodal: Whether the corpus has labels of single streams.
    """
    splits = ["train"] * len(made.tokens)
    columns = {
        "id": [f"v_{i}" for i in range(len(splits))],
        "video": "v",
        "clip": [str(i) for i in range(len(splits))],
        "split": splits,
        "text": "",
        "label": made.labels["M"].astype(np.float64),
    }
    if unimodal:
        columns |= {f"label_{name}": made.labels[name].astype(np.float64) for name in "TAV"}
    streams = {name: Stream(v, made.lengths[name]) for name, v in made.streams.items()}
    draft = Draft(
        name=f"{dataset}@formula", clips=pd.DataFrame(columns), streams=streams, manifest={}
    )
    return CorpusStore(folder).add(draft)


@torch.no_grad()
def filled(network: nn.Module) -> None:
    """Give every parameter and running statistic its value, and switch dropout off."""
    for name, values in network.state_dict().items():
        if name in dict(network.named_parameters()) or name.endswith(_STATISTICS):
            values.copy_(torch.from_numpy(weight(name, tuple(values.shape))))
    without_dropout(network)


def without_dropout(network: nn.Module) -> None:
    """Switch off the dropout that is no hyper-parameter, too."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0


_STATISTICS = ("running_mean", "running_var")


class WatchedPass(OptimiserPass):
    """Keeps the loss of every batch and the first gradient."""

    losses: list[float]
    gradients: dict[str, Tensor] | None = None
    after: Change | None = None

    def backward(self, batch: Batch, group: int) -> Tensor:
        """As the training loop has it, with an eye on the outcome."""
        loss = super().backward(batch, group)
        self.losses.append(float(loss))
        if self.gradients is None:
            self.gradients = {
                name: p.grad.detach().clone()
                for name, p in self.network.named_parameters()
                if p.grad is not None
            }
        if self.after is not None:
            self.after(self.network)
        return loss


def perform(
    system: System,
    figures: Figures,
    folder: Path,
    *,
    epochs: int | None = None,
    before: Change | None = None,
    after: Change | None = None,
) -> Performance:
    """Train a system of ours as the figures' code was trained.

    Args:
        system: The one that the figures name.
        figures: What to rehearse.
        folder: An empty folder.
        epochs: To train; None: as many as the figures have, 0: predictions only.
        before: Called once the weights are in place.
        after: Called after every backward pass.
    """
    play = rehearsal(system, figures, folder)
    if before is not None:
        before(play.network)
    sweep = WatchedPass(
        *(play.network, play.stage.passes[0], play.stage, play.params),
        batches=math.ceil(figures.clips / figures.batch),
        epochs=figures.horizon,
    )
    groups = frozenset(_groups(sweep.optimizer))
    untrained = predicted(play.network, play.clips)
    losses: list[float] = []
    curve, rates = [], []
    sweep.after = after
    for epoch in range(1, (figures.epochs if epochs is None else epochs) + 1):
        batches = [torch.from_numpy(r) for r in epoch_batches(figures.clips, figures.batch, epoch)]
        sweep.losses = []
        play.network.train()
        play.network.begin_epoch(epoch)
        sweep.epoch(play.clips, batches, epoch)
        losses += [*sweep.losses, *[math.nan] * (len(batches) - len(sweep.losses))]
        curve.append(predicted(play.network, play.clips))
        rates.append(sweep.lr)
    gradients = {
        name: float(torch.linalg.vector_norm(values, dtype=torch.float64))
        for name, values in (sweep.gradients or {}).items()
    }
    return Performance(
        eval=untrained,
        losses=np.array(losses),
        curve=np.array(curve).reshape(-1, figures.clips),
        gradients=gradients,
        gradient=math.hypot(*gradients.values()),
        rates=tuple(rates),
        groups=groups,
    )


def predicted(network: Network, clips: BatchSource) -> Floats:
    """(n,) predictions of all clips as one batch."""
    network.eval()
    with torch.inference_mode():
        batch = clips.gather(torch.arange(len(clips)))
        return network(batch).prediction.double().numpy()


def _groups(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, float, float, float]]:
    for group in optimizer.param_groups:
        kind = type(optimizer).__name__
        yield kind, group["lr"], group["weight_decay"], group["eps"]


def zero_where_none(network: nn.Module) -> None:
    """Give trained parameters without a gradient one of zero, so that they decay and move."""
    for parameter in network.parameters():
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def disagreements(
    found: Performance, expected: Performance, tolerance: Tolerance = FLOAT32
) -> list[str]:
    """What differs by more than it may, a line each; of the epochs that ``found`` has.

    Args:
        found: Of ours.
        expected: Of the published code.
        tolerance: How far they may differ.
    """
    epochs, batches = len(found.curve), len(found.losses)
    losses = expected.losses[:batches]
    parts = {
        "prediction before training": _beyond(found.eval, expected.eval, tolerance.prediction),
        "loss of a batch": _beyond(
            found.losses, losses, tolerance.loss * np.maximum(1, np.abs(losses))
        ),
        "prediction after an epoch": _beyond(
            found.curve, expected.curve[:epochs], tolerance.prediction
        ),
    }
    lines = [f"{what}: {told}" for what, told in parts.items() if told]
    norms = {**expected.gradients, "all": expected.gradient} if batches else {}
    lines += [
        f"gradient of {name}: {found.gradients.get(name, 0.0):.9g}, expected {norm:.9g}"
        for name, norm in norms.items()
        if not math.isclose(
            found.gradient if name == "all" else found.gradients.get(name, 0.0),
            norm,
            rel_tol=tolerance.gradient,
        )
    ]
    if found.groups != expected.groups:
        lines.append(f"optimiser: {sorted(found.groups)}, expected {sorted(expected.groups)}")
    for epoch, (rate, wanted) in enumerate(zip(found.rates, expected.rates, strict=False), 1):
        if not math.isclose(rate, wanted, rel_tol=tolerance.rate):
            lines.append(f"rate of epoch {epoch}: {rate:.9g}, expected {wanted:.9g}")
    return lines


def _beyond(found: Floats, expected: Floats, limit: float | Floats) -> str:
    """Where two arrays differ most, empty if nowhere by more than ``limit``."""
    gaps = np.abs(found - expected)
    if not gaps.size or not bool((np.nan_to_num(gaps) > limit).any()):
        return ""
    place = int(np.nanargmax(gaps))
    return f"{found.flat[place]:.9g}, expected {expected.flat[place]:.9g} (place {place})"
