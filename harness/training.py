"""The only training loop: seeds, batches, optimiser, schedule, selection and early stop.

A network sees batches and nothing else. After every epoch the loop predicts the validation split
(for selection) and the watched split (kept as a curve for selection studies, never scored here).
"""

from __future__ import annotations

import copy
import functools
import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.batching import Batch, BatchSource, epoch_order
from harness.data.corpus import Split
from harness.errors import RunFailed
from harness.metrics.base import better, metrics  # not the conventions: they do not train
from harness.seeds import derive
from harness.system import Dims, Epoch, Fitted, Network, Output, System, Task, TrainingParams
from harness.text import tokenize

__all__ = ["MAX_TOKENS", "batches_of", "fit_network", "predict", "total_loss", "untrained"]

MAX_TOKENS = 128  # longer transcripts are cut; MMSA keeps 50, its files hold no more
EVALUATION_BATCH = 256

_LOSSES = {"l1": nn.functional.l1_loss, "mse": nn.functional.mse_loss}
_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def fit_network(system: System, task: Task, params: TrainingParams) -> Fitted:
    """Train ``system.build`` on the task and return the selected checkpoint.

    Raises:
        RunFailed: When the training loss stops being finite.
    """
    network = untrained(system, task, params)
    _seed_torch(derive(task.seed, "training"))
    loop = _Loop(network, _sources(system, task), task, params)
    loop.run()

    def predict_split(split: Split) -> NDArray[np.float64]:
        return predict(network, batches_of(system, split, task)).astype(np.float64)

    return Fitted(
        predict=predict_split,
        parameters=sum(p.numel() for p in network.parameters()),
        trainable=sum(p.numel() for p in network.parameters() if p.requires_grad),
        history=tuple(loop.history),
        selected_epoch=loop.best.epoch,
        curves={name: np.stack(rows) for name, rows in loop.curves.items()},
    )


def untrained(system: System, task: Task, params: TrainingParams) -> Network:
    """The network of a system before its first step, as the task's seed draws it."""
    assert system.build is not None
    _seed_torch(derive(task.seed, "weights"))
    return system.build(Dims.of(task.train.corpus, task.encoder), params).to(task.device)


def predict(network: Network, source: BatchSource) -> NDArray[np.float32]:
    """(n,) predictions in storage order, evaluation mode, without autograd."""
    network.eval()
    with torch.inference_mode():
        parts = [network(batch).prediction for batch in source.in_order(EVALUATION_BATCH)]
    return torch.cat(parts).float().cpu().numpy()


def total_loss(output: Output, batch: Batch, params: TrainingParams) -> Tensor:
    """The scalar one training step minimises: task loss plus the network's own losses."""
    losses = dict(output.losses)
    if "task" not in losses:
        losses["task"] = _LOSSES[params.loss](output.prediction, batch.labels)
    return functools.reduce(torch.add, losses.values())


def batches_of(system: System, split: Split, task: Task) -> BatchSource:
    """The split with everything the system reads, tokenised by the task's encoder if need be.

    Raises:
        RunFailed: When the system reads tokens and the task has no text encoder to make them.
    """
    tokens = None
    if "tokens" in system.inputs:
        if task.encoder is None:
            raise RunFailed(f"{system.name} reads tokens, and the task has no text encoder")
        tokens = tokenize(task.encoder, split.texts, MAX_TOKENS)
    return BatchSource(split, inputs=system.inputs, tokens=tokens, device=task.device)


@dataclass
class _Best:
    epoch: int = 0
    value: float = math.nan
    state: dict[str, Tensor] = field(default_factory=dict)


class _Loop:
    """One training run, stepped epoch by epoch."""

    def __init__(
        self, network: Network, sources: dict[str, BatchSource], task: Task, params: TrainingParams
    ) -> None:
        self.network, self.task, self.params = network, task, params
        self.sources = sources
        self.metric = metrics[task.protocol.selection_metric]
        self.epochs = min(task.protocol.max_epochs, params.epochs or task.protocol.max_epochs)
        self.optimizer = _OPTIMIZERS[params.optimizer](
            network.parameter_groups(params),
            lr=params.lr,
            weight_decay=params.weight_decay,
            fused=True,  # one pass over the weights: half a step's time where weights dominate
        )
        self.schedule = _schedule(self.optimizer, params, self._total_steps())
        self.history: list[Epoch] = []
        self.curves: dict[str, list[NDArray[np.float32]]] = {
            name: [] for name in sources if name != "train"
        }
        self.best = _Best()

    def run(self) -> None:
        """Train until the ceiling or the patience runs out, then restore the best weights."""
        for epoch in range(1, self.epochs + 1):
            began = time.perf_counter()
            loss = self._train_epoch(epoch)
            valid = self._evaluate()
            self._keep_if_best(epoch, valid)
            self.history.append(
                Epoch(
                    epoch=epoch,
                    train_loss=loss,
                    valid=None if math.isnan(valid) else valid,
                    lr=self.optimizer.param_groups[0]["lr"],
                    seconds=time.perf_counter() - began,
                )
            )
            if epoch - self.best.epoch >= self.task.protocol.patience:
                break
        self.network.load_state_dict(self.best.state)

    def _train_epoch(self, epoch: int) -> float:
        """Mean training loss of the epoch."""
        self.network.train()
        source = self.sources["train"]
        generator = np.random.default_rng(derive(self.task.seed, "batches", epoch))
        total = torch.zeros((), dtype=torch.float64, device=self.task.device)
        for rows in epoch_order(len(source), self.params.batch_size, generator):
            batch = source.gather(rows)
            total += self._step(batch).double() * len(batch)  # no host sync inside the epoch
        mean = float(total) / len(source)
        if not math.isfinite(mean):
            raise RunFailed(
                f"training loss became {mean} in epoch {epoch}",
                hint="lower the learning rate or set clip_norm",
            )
        return mean

    def _step(self, batch: Batch) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = total_loss(self.network(batch), batch, self.params)
        loss.backward()
        self._clip()
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()

    def _clip(self) -> None:
        if self.params.clip_value:
            nn.utils.clip_grad_value_(self.network.parameters(), self.params.clip_value)
        if self.params.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.params.clip_norm)

    def _evaluate(self) -> float:
        """Predict every split but train; return the selection metric on the validation split."""
        for name, rows in self.curves.items():
            rows.append(predict(self.network, self.sources[name]))
        valid = self.task.valid
        prediction = self.curves[valid.name][-1]
        if not np.isfinite(prediction).all():
            return math.nan
        return self.metric(prediction, valid.labels, valid.corpus.dataset)

    def _keep_if_best(self, epoch: int, valid: float) -> None:
        if epoch == 1 or better(self.metric, valid, self.best.value):
            state = copy.deepcopy(self.network.state_dict())
            self.best = _Best(epoch, valid, state)

    def _total_steps(self) -> int:
        size = len(self.sources["train"])
        return self.epochs * max(1, math.ceil(size / self.params.batch_size))


def _schedule(
    optimizer: torch.optim.Optimizer, params: TrainingParams, steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up over a share of all steps, then constant or linear decay to zero."""
    warm = round(params.warmup * steps)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        if params.schedule == "constant":
            return 1.0
        return max(0.0, (steps - step) / max(1, steps - warm))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _sources(system: System, task: Task) -> dict[str, BatchSource]:
    splits = [task.train, task.valid, *([task.watched] if task.watched is not None else [])]
    return {split.name: batches_of(system, split, task) for split in splits}


def _seed_torch(seed: int) -> None:
    """The one place that touches torch's global generators (all devices)."""
    torch.manual_seed(seed)
