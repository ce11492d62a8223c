"""Training loops about to begin, and what is left of one without the loop."""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from harness.data.batching import Batch, epoch_order
from harness.data.corpus import Corpus
from harness.spec import Scalar
from harness.spec.protocols import protocols
from harness.system import Task, TrainingParams, systems
from harness.text import Encoder
from harness.training import Loop, loop_of

__all__ = ["SEED", "BareSteps", "ready_loop"]

SEED = 1111


def ready_loop(
    corpus: Corpus,
    name: str,
    changes: Mapping[str, Scalar],
    *,
    encoder: Encoder | None = None,
    cache: Path | None = None,
    device: str = "cpu",
) -> Loop:
    """The training of a system, which goes on as long as epochs are asked for.

    Args:
        corpus: Whose training and validation clips.
        name: Of the system.
        changes: Its hyper-parameters, where they are not those of the dataset.
        encoder: For a system that reads text.
        cache: Where what the encoder makes is kept; nowhere unless given.
        device: Where to train.
    """
    system = systems[name]
    params = system.resolve(corpus.dataset.name, changes)
    assert isinstance(params, TrainingParams)
    protocol = dataclasses.replace(
        protocols["in_domain"], max_epochs=sys.maxsize, patience=sys.maxsize
    )
    task = Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=None,
        protocol=protocol,
        seed=SEED,
        device=torch.device(device),
        encoder=encoder,
        cache=cache or Path(),
    )
    return loop_of(system, task, params)


class BareSteps:
    """What a loop does, without the loop: no order, gathering, schedule or bookkeeping.

    Args:
        loop: Whose network (a copy), optimiser settings and first epoch's batches to use.
    """

    def __init__(self, loop: Loop) -> None:
        params, source = loop.params, loop.sources["train"]
        (only,) = loop.stage.passes
        assert only.loss is None  # the network's own
        self.params = params
        self.network = copy.deepcopy(loop.network)
        kind = torch.optim.AdamW if params.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(
            self.network.parameter_groups(params),
            lr=params.lr,
            weight_decay=params.weight_decay,
            fused=True,
        )
        order = epoch_order(len(source), params.batch_size, np.random.default_rng(0))
        batches: list[Batch] = [source.gather(rows) for rows in order]
        each = params.accumulate
        assert not params.drops_tail  # a step's clips then weigh the same
        self.steps = [batches[start : start + each] for start in range(0, len(batches), each)]

    def epoch(self) -> None:
        """Every batch once; a step may take several."""
        network, params = self.network.train(), self.params
        for batches in self.steps:
            self.optimizer.zero_grad()
            clips = sum(map(len, batches))
            for batch in batches:
                self._backward(batch, len(batch) / clips)
            if params.clip_value:
                torch.nn.utils.clip_grad_value_(network.parameters(), params.clip_value)
            if params.clip_norm:
                torch.nn.utils.clip_grad_norm_(network.parameters(), params.clip_norm)
            self.optimizer.step()

    def _backward(self, batch: Batch, share: float) -> None:
        functional = torch.nn.functional
        measure = functional.l1_loss if self.params.loss == "l1" else functional.mse_loss
        output = self.network(batch)
        losses = dict(output.losses)
        if "task" not in losses:
            losses["task"] = measure(output.prediction, batch.labels)
        (sum(losses.values(), start=batch.labels.new_zeros(())) * share).backward()
        with torch.no_grad():
            self.network.after_step(batch, output)
