"""A network and an objective as one network, which the training loop treats like any other.

Shapes: B clips of a batch, n clips of the training split, D domains, H features.
"""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext

import torch
from torch import Tensor

from harness.data.batching import Batch, BatchSource
from harness.errors import SpecError
from harness.system import Network, Output, ParameterGroup, Pass, Stage, TrainingParams
from harness.training.objectives.base import (
    Evidence,
    Objective,
    ObjectiveSetting,
    Term,
    domain_means,
    membership,
    training_domains,
)
from harness.training.objectives.capture import Capture
from harness.training.optimisation import clip_losses

__all__ = ["Generalising"]


class Generalising(Network):
    """``network`` with the term of ``objective`` added to its losses while it trains.

    What the term remembers and learns is part of the network, so it is saved and resumed with it.
    Passes with a loss of their own and stages on a knowledge corpus are left as they are.

    Args:
        network: Any network.
        objective: One with a term.
        params: Names the loss and the penalty.
    """

    domains: Tensor

    def __init__(self, network: Network, objective: Objective, params: TrainingParams) -> None:
        super().__init__()
        self.network, self.objective, self.params = network, objective, params
        self._epoch, self._active = 1, True
        self.reads_rest = network.reads_rest

    def begin(self, train: BatchSource, params: TrainingParams) -> None:
        """Find the domains and, if it is read, the representation.

        Raises:
            SpecError: For fewer than two domains (DomainBed would train plain ERM, under another
                name), batches too small for two clips of each, or without a representation.
        """
        self.network.begin(train, params)
        domains = training_domains(train)
        self._check(len(domains), params.batch_size)
        self.register_buffer("domains", domains)
        assert self.objective.term is not None
        size = self._size(train) if self.objective.represents else 0
        setting = ObjectiveSetting(domains=len(domains), size=size, penalty=params.penalty)
        self.term: Term = self.objective.term(setting).to(domains.device)

    def _check(self, domains: int, batch_size: int) -> None:
        title = self.objective.title
        if domains < 2:
            raise SpecError(
                f"{title} needs training clips of several domains; this corpus has one",
                hint='objective = "erm", or a transfer corpus with two sources',
            )
        if batch_size < 2 * domains:
            raise SpecError(
                f"{title} compares {domains} domains in each batch: batch_size should be at least"
                f" {2 * domains}, found {batch_size}"
            )

    def _size(self, train: BatchSource) -> int:
        """H, from two clips in evaluation mode, which leaves no trace."""
        training = self.training
        self.eval()
        with torch.enable_grad(), Capture(self.network) as capture:
            prediction = self.network(train.gather(torch.arange(2))).prediction
            size = capture.representation(prediction).shape[1]
        self.train(training)
        return size

    def forward(self, batch: Batch) -> Output:
        """The network's output, in training with the term among its losses."""
        if not (self.training and self._active):
            return self._inner(batch)
        with Capture(self.network) if self.objective.represents else nullcontext() as capture:
            output = self._inner(batch)
            seen = None if capture is None else capture.representation(output.prediction)
        assert batch.domains is not None
        members = membership(batch.domains, self.domains)
        losses = clip_losses(output.prediction, batch.labels, self.params)
        evidence = Evidence(
            risks=domain_means(losses, members),
            members=members,
            representation=seen,
            epoch=self._epoch,
        )
        added = {self.objective.name: self.term(evidence)}
        return dataclasses.replace(output, losses={**output.losses, **added})

    def _inner(self, batch: Batch) -> Output:
        output: Output = self.network(batch)
        return output

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """The network's, and what the term learns."""
        return [*self.network.parameter_groups(params), *self._own_groups()]

    def _own_groups(self) -> list[ParameterGroup]:
        learnt = list(self.term.parameters())
        return [{"params": learnt, "weight_decay": 0.0}] if learnt else []

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """The network's, those on its own clips with the term."""
        return tuple(self._stage(stage) for stage in self.network.stages(params))

    def _stage(self, stage: Stage) -> Stage:
        def enter() -> None:
            self._active = not stage.on_knowledge
            stage.enter()

        passes = stage.passes if stage.on_knowledge else tuple(map(self._pass, stage.passes))
        return dataclasses.replace(stage, enter=enter, passes=passes)

    def _pass(self, plan: Pass) -> Pass:
        if plan.loss is not None:
            return plan
        groups = plan.groups or self.network.parameter_groups
        return dataclasses.replace(
            plan, groups=lambda params: [*groups(params), *self._own_groups()]
        )

    def begin_epoch(self, epoch: int) -> None:
        """Pass it on."""
        self._epoch = epoch
        self.network.begin_epoch(epoch)

    def evaluation_order(self, clips: int) -> list[Tensor] | None:
        """The network's."""
        return self.network.evaluation_order(clips)

    def after_step(self, batch: Batch, output: Output) -> None:
        """Pass it on."""
        self.network.after_step(batch, output)
