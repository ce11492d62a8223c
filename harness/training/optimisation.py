"""One pass over the training clips: accumulate, clip, step, schedule."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from harness.data.batching import Batch, BatchSource
from harness.system import Network, Output, Pass, Stage, TrainingParams, TrainingProgress

if TYPE_CHECKING:
    from harness.data.batching import Rows  # for types alone: no run depends on it

__all__ = ["OptimiserPass", "clip_losses", "total_loss"]

_LOSSES = {"l1": nn.functional.l1_loss, "mse": nn.functional.mse_loss}
_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "amsgrad": functools.partial(torch.optim.Adam, amsgrad=True),
}


def total_loss(output: Output, batch: Batch, params: TrainingParams) -> Tensor:
    """The scalar one training step minimises: task loss plus the network's own losses."""
    losses = dict(output.losses)
    if "task" not in losses:
        losses["task"] = _LOSSES[params.loss](output.prediction, batch.labels)
    return functools.reduce(torch.add, losses.values())


def clip_losses(prediction: Tensor, labels: Tensor, params: TrainingParams) -> Tensor:
    """(B,) and (B,) -> (B,), the task loss of each clip by itself."""
    return _LOSSES[params.loss](prediction, labels, reduction="none")


class OptimiserPass:
    """A pass with its optimiser.

    Args:
        network: What is trained.
        plan: The pass.
        stage: The stage it belongs to.
        params: The system's hyper-parameters; a stage may have its own.
        batches: Of one epoch, before ``share`` is applied.
        epochs: Planned for the stage.
    """

    def __init__(
        self,
        network: Network,
        plan: Pass,
        stage: Stage,
        params: TrainingParams,
        *,
        batches: int,
        epochs: int,
    ) -> None:
        params = stage.params or params
        self.network, self.plan, self.params = network, plan, params
        self.optimizer = _OPTIMIZERS[params.optimizer](
            (plan.groups or network.parameter_groups)(params),
            lr=params.lr if stage.lr is None else stage.lr,
            weight_decay=params.weight_decay,
            fused=True,  # one pass over the weights: half a step's time where weights dominate
        )
        self._rates = [group["lr"] for group in self.optimizer.param_groups]  # before any schedule
        self.batches = max(1, math.ceil(plan.share * batches))
        self.epochs = epochs
        self.step = 0
        self.slowdown = 1.0
        """Multiplier of all rates, lowered on a plateau."""

    @property
    def steps(self) -> int:
        """Planned optimiser steps."""
        each = self.params.accumulate
        groups = self.batches // each if self.params.drops_tail else math.ceil(self.batches / each)
        return self.epochs * max(1, groups)

    @property
    def lr(self) -> float:
        """Learning rate of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def epoch(self, source: BatchSource, order: Iterable[Tensor], epoch: int) -> tuple[Tensor, int]:
        """Train on the batches whose rows ``order`` lists.

        Returns:
            Sum of the batches' losses times their clips, float64, and the number of clips.
        """
        clips, total = 0, torch.zeros((), dtype=torch.float64, device=source.device)
        batches = source.placed(itertools.islice(order, self.batches))
        groups = list(self._groups(batches))
        for group in groups:
            size = sum(map(len, group))
            self.network.zero_grad(set_to_none=True)  # of every part: clipping sees them all
            for rows in group:
                loss, count = self.backward(source.gather(rows), size), len(rows)
                total = total + loss.double() * count  # no host sync in an epoch
                clips += count
                if self.params.compiled and len(group) > 1:
                    self._own_gradients()
            self._update(epoch)
        if self.network.reads_rest:
            self._read(source, batches[sum(map(len, groups)) :])
        return total, clips

    @torch.no_grad()
    def _read(self, source: BatchSource, rest: list[Rows]) -> None:
        """Let the network see batches that it does not learn from."""
        for rows in rest:
            batch = source.gather(rows)
            self.network.after_step(batch, self.network(batch))

    def _groups(self, order: list[Rows]) -> Iterator[list[Rows]]:
        """The batches of each optimiser step."""
        each = self.params.accumulate
        for start in range(0, len(order), each):
            group = order[start : start + each]
            if len(group) == each or start == 0 or not self.params.drops_tail:
                yield group

    def backward(self, batch: Batch, group: int) -> Tensor:
        """Add one batch's gradients and let the network see its output.

        Args:
            batch: B clips.
            group: Clips of the whole optimiser step.

        Returns:
            The loss, detached.
        """
        if self.plan.loss is not None:
            with self.network.casting():
                loss, output = self.plan.loss(batch).float(), None
        else:
            output = self.network(batch)
            loss = total_loss(output, batch, self.params)
        # Weighted by clips, batch means add up to the step's mean; unweighted they are MMSA's sum.
        share = 1.0 if self.params.drops_tail else len(batch) / group
        (loss if share == 1.0 else loss * share).backward()
        if output is not None:
            with torch.no_grad():
                self.network.after_step(batch, output)
        return loss.detach()

    def _own_gradients(self) -> None:
        """Copy them out of a CUDA graph's memory, where the next batch's would replace them."""
        for parameter in self.network.parameters():
            if parameter.grad is not None:
                parameter.grad = parameter.grad.clone()

    def _update(self, epoch: int) -> None:
        at = TrainingProgress(step=self.step, steps=self.steps, epoch=epoch, epochs=self.epochs)
        # From the first rates, not the last ones: factors do not pile up.
        factor = self.params.lr_factor(at) * self.slowdown
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        self._clip()
        self.optimizer.step()
        self.step += 1

    def _clip(self) -> None:
        if self.params.clip_value:
            nn.utils.clip_grad_value_(self.network.parameters(), self.params.clip_value)
        if self.params.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.params.clip_norm)

    def state(self) -> dict[str, object]:
        """What an interrupted training needs."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "slowdown": self.slowdown,
        }

    def restore(self, state: dict[str, object]) -> None:
        """Take up where ``state`` was."""
        optimizer, step, slowdown = state["optimizer"], state["step"], state["slowdown"]
        assert isinstance(optimizer, dict)
        assert isinstance(step, int)
        assert isinstance(slowdown, float)
        self.optimizer.load_state_dict(optimizer)
        self.step, self.slowdown = step, slowdown
