"""From a task to a fitted network."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from harness.batching import BatchSource
from harness.data.corpus import Split
from harness.errors import SpecError
from harness.network import Dims, Network
from harness.params import KnowledgeParams, TrainingParams
from harness.seeds import derive
from harness.system import Fitted, System, Task
from harness.training.evaluation import diagnose, predict, tells
from harness.training.inputs import batches_of
from harness.training.loop import Loop
from harness.training.stability import CHECKS, stability

__all__ = ["fit_network", "loop_of", "untrained"]


def fit_network(system: System, task: Task, params: TrainingParams) -> Fitted:
    """Train ``system.build`` on the task and return the selected checkpoint.

    Raises:
        RunFailed: When the training loss stops being finite.
    """
    loop = loop_of(system, task, params)
    loop.run()
    network = loop.network

    def source(split: Split) -> BatchSource:
        return batches_of(system, split, task, params)

    def predict_split(split: Split) -> NDArray[np.float64]:
        return predict(network, source(split)).astype(np.float64)

    def diagnose_split(split: Split) -> dict[str, NDArray[np.float32]]:
        return diagnose(network, source(split))

    valid = loop.sources[task.valid.name]
    unstable = not CHECKS.isdisjoint(system.card.declares)
    return Fitted(
        predict=predict_split,
        parameters=sum(p.numel() for p in network.parameters()),
        trainable=sum(p.numel() for p in network.parameters() if p.requires_grad),
        history=tuple(loop.history),
        selected_epoch=loop.best.epoch,
        curves={name: np.stack(rows) for name, rows in loop.curves.items()},
        diagnose=diagnose_split if tells(network, valid) else None,
        stability=stability(network, valid) if unstable else None,
    )


def loop_of(system: System, task: Task, params: TrainingParams) -> Loop:
    """The training of a system, ready to run, torch seeded."""
    network = untrained(system, task, params)
    _seed_torch(derive(task.seed, "training"))
    splits = [task.train, task.valid, *([task.watched] if task.watched is not None else [])]
    sources = {split.name: batches_of(system, split, task, params) for split in splits}
    return Loop(network, sources, task, params, _knowledge(system, task, params))


def _knowledge(system: System, task: Task, params: TrainingParams) -> dict[str, BatchSource]:
    """Train and valid clips of the knowledge corpus; empty when the system learns from none."""
    if not isinstance(params, KnowledgeParams) or not params.knowledge:
        return {}
    if task.knowledge is None:
        raise SpecError(f"{system.name} learns from {params.knowledge}, which the task lacks")
    splits = [task.knowledge.split(name) for name in ("train", "valid")]
    return {split.name: batches_of(system, split, task, params) for split in splits}


def untrained(system: System, task: Task, params: TrainingParams) -> Network:
    """The network of a system before its first step, as the task's seed draws it."""
    assert system.build is not None
    _seed_torch(derive(task.seed, "weights"))
    return system.build(Dims.of(task.train.corpus, task.encoder), params).to(task.device)


def _seed_torch(seed: int) -> None:
    """The one place that touches torch's global generators (all devices)."""
    torch.manual_seed(seed)
