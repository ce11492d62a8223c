"""From a task to a fitted network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from harness._util import canonical
from harness._util.allocation import keep_freed
from harness._util.seeds import derive
from harness.corruption import Corrupter
from harness.data.batching import BatchSource
from harness.data.corpus import Split
from harness.errors import SpecError
from harness.spec.conditions import Condition
from harness.system import Dims, Fitted, KnowledgeParams, Network, System, Task, TrainingParams
from harness.system.gates import gates_of
from harness.training.evaluation import (
    diagnose,
    diagnose_under,
    predict,
    predict_under,
    tells,
)
from harness.training.features import batches_of
from harness.training.gate_swap import swaps
from harness.training.loop import Loop
from harness.training.objectives import Generalising, objectives
from harness.training.selection import ReleasedLoop
from harness.training.stability import CHECKS, stability

__all__ = ["built", "evaluated", "fit_network", "loop_of", "prepared", "seed_torch", "untrained"]

_COMPILED = {"triton.cudagraphs": True, "fallback_random": True}
"""CUDA graphs where there is a GPU, and the random draws of uncompiled training."""
_SHAPES = 64
"""Batch sizes, modes and conditions that a network may be compiled for."""


def fit_network(system: System, task: Task, params: TrainingParams) -> Fitted:
    """Train ``system.build`` on the task and return the selected checkpoint.

    Raises:
        RunFailed: When the training loss stops being finite.
    """
    loop = loop_of(system, task, params)
    loop.run()
    network = loop.network
    fitted = evaluated(system, task, params, network, loop.sources[task.valid.name])
    return dataclasses.replace(
        fitted,
        trainable=sum(p.numel() for p in network.parameters() if p.requires_grad),
        history=tuple(loop.history),
        selected_epoch=loop.best.epoch,
        curves={name: np.stack(rows) for name, rows in loop.curves.items()},  # (epochs, clips)
        network=network,
        report={**fitted.report, "ending": canonical.plain(loop.ending)},
    )


def evaluated(
    system: System, task: Task, params: TrainingParams, network: Network, valid: BatchSource
) -> Fitted:
    """A network that is trained, as something that predicts, whoever trained it.

    Args:
        system: What it is a network of.
        task: Where it predicts.
        params: Its hyper-parameters.
        network: Ready to predict.
        valid: The clips of selection.
    """

    def source(split: Split) -> BatchSource:
        return batches_of(system, split, task, params)

    def predict_split(split: Split) -> NDArray[np.float64]:
        return predict(network, source(split)).astype(np.float64)

    def diagnose_split(split: Split) -> dict[str, NDArray[np.float32]]:
        return diagnose(network, source(split))

    def predict_split_under(split: Split, conditions: Sequence[Condition]) -> NDArray[np.float64]:
        found = predict_under(network, source(split), _corrupter(split, task), conditions)
        return found.astype(np.float64)

    def diagnose_split_under(
        split: Split, conditions: Sequence[Condition]
    ) -> list[dict[str, NDArray[np.float32]]]:
        return diagnose_under(network, source(split), _corrupter(split, task), conditions)

    def swap_split(split: Split) -> Mapping[str, NDArray[np.float64]]:
        seed = derive(task.seed, "swap", split.name)
        return swaps(network, source(split), _corrupter(split, task), seed)

    judged = {place.name: list(place.of) for place in gates_of(network)}
    talks = tells(network, valid)
    unstable = not CHECKS.isdisjoint(system.card.declares)
    return Fitted(
        predict=predict_split,
        parameters=sum(p.numel() for p in network.parameters()),
        trainable=0,
        diagnose=diagnose_split if talks else None,
        predict_under=predict_split_under,
        diagnose_under=diagnose_split_under if talks else None,
        stability=stability(network, valid) if unstable else None,
        variants=swap_split if judged else None,
        report={"judgements": canonical.plain(judged)} if judged else {},
    )


def loop_of(system: System, task: Task, params: TrainingParams) -> Loop:
    """The training of a system, ready to run, torch seeded."""
    keep_freed()
    network = untrained(system, task, params)
    seed_torch(derive(task.seed, "training"))
    splits = [task.train, task.valid, *([task.watched] if task.watched is not None else [])]
    sources = _sources(system, splits, task, params)
    kind = ReleasedLoop if task.protocol.rules else Loop
    return kind(network, sources, task, params, _knowledge(system, task, params))


def _sources(
    system: System, splits: Sequence[Split], task: Task, params: TrainingParams
) -> dict[str, BatchSource]:
    """Clips by split; those of training change with every epoch, those of selection never."""
    found = {split.name: batches_of(system, split, task, params) for split in splits}
    for split in splits:
        if split.name == "train" and (law := params.training_corruption) != "none":
            found["train"] = _corrupter(split, task).varying(found["train"], law)
        if split.name == "valid" and (law := task.protocol.selection_corruption) != "none":
            found["valid"] = _corrupter(split, task).fixed(found["valid"], law)
    return found


def _corrupter(split: Split, task: Task) -> Corrupter:
    return Corrupter(split, task.encoder, task.device)


def _knowledge(system: System, task: Task, params: TrainingParams) -> dict[str, BatchSource]:
    """Train and valid clips of the knowledge corpus; empty when the system learns from none."""
    if not isinstance(params, KnowledgeParams) or not params.knowledge:
        return {}
    if task.knowledge is None:
        raise SpecError(f"{system.name} learns from {params.knowledge}, which the task lacks")
    splits = [task.knowledge.split(name) for name in ("train", "valid")]
    return _sources(system, splits, task, params)


def untrained(system: System, task: Task, params: TrainingParams) -> Network:
    """The network of a system before its first step, as the task's seed draws it."""
    seed_torch(derive(task.seed, "weights"))
    dims = Dims.of(task.train.corpus, task.encoder)
    network = built(system, dims, params, task.device)
    objective = objectives[params.objective]
    if objective.term is not None:
        network = Generalising(network, objective, params)
    return prepared(network, params)


def built(system: System, dims: Dims, params: TrainingParams, device: torch.device) -> Network:
    """The network of a system for corpora of these sizes, drawn from torch's generators."""
    assert system.build is not None
    return system.build(dims, params).to(device)


def prepared(network: Network, params: TrainingParams) -> Network:
    """The network, set to compute as its hyper-parameters say."""
    network.precision = params.precision
    _compile(network, params.compiled)
    return network


def _compile(network: Network, wanted: bool) -> None:
    """Arrange for forward passes to be compiled, each shape of batch by itself, on first use."""
    network.compiled = wanted
    torch.backends.mha.set_fastpath_enabled(not wanted)  # compiled, it would not see the autocast
    if not wanted:
        return
    from torch._dynamo import config  # seconds to import

    torch.compiler.reset()  # a run owes nothing to those before it in the same process
    config.recompile_limit = _SHAPES
    config.fail_on_recompile_limit_hit = True  # it would go on uncompiled
    network.compile(dynamic=False, options=_COMPILED)


def seed_torch(seed: int) -> None:
    """The one place that touches torch's global generators (all devices)."""
    torch.manual_seed(seed)
