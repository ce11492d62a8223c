"""Epochs chosen as the released code of a system chooses them.

Shapes: n validation clips.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from harness._util.seeds import derive
from harness.data.corpus import Split
from harness.metrics import better, metrics
from harness.spec.selection import LAST, LOSSES, SelectionRule, rule_of
from harness.training.loop import Loop
from harness.training.optimisation import total_loss

__all__ = ["ReleasedLoop", "mean_of_batches"]


def mean_of_batches(
    prediction: Tensor, labels: Tensor, kind: str, batches: Iterable[Tensor]
) -> float:
    """The mean over batches of the mean loss of each, a smaller last batch counting as much.

    Args:
        prediction: (n,) float32.
        labels: (n,) float32.
        kind: ``l1`` or ``mse``.
        batches: Rows of each.

    Example:
        >>> rows = torch.arange(3).split(2)
        >>> mean_of_batches(torch.tensor([1.0, 1.0, 5.0]), torch.zeros(3), "l1", rows)
        3.0
    """
    loss = {"l1": l1_loss, "mse": mse_loss}[kind]
    means = [float(loss(prediction[rows], labels[rows])) for rows in batches]
    return sum(means) / len(means)


class ReleasedLoop(Loop):
    """A training that watches, keeps and stops by the rules of ``Protocol.rules``."""

    @property
    def _rule(self) -> SelectionRule:
        return rule_of(self.task.protocol.rules, self.stage.name)

    @property
    def _patience(self) -> float:
        return math.inf if self._rule.patience is None else self._rule.patience

    @property
    def _ties(self) -> str:
        return self._rule.ties

    @property
    def _first(self) -> int:
        return self.epochs if self._rule.monitor == LAST else min(self._rule.first, self.epochs)

    @property
    def _patient(self) -> int:
        """Released code counts patience from the first epoch, whatever the rate does."""
        return self._first - 1

    def _judged(self, prediction: NDArray[np.float32], split: Split, epoch: int) -> float:
        value = self._watched(prediction, split, epoch)
        digits = self._rule.digits
        return value if digits is None or not math.isfinite(value) else round(value, digits)

    def _watched(self, prediction: NDArray[np.float32], split: Split, epoch: int) -> float:
        monitor = self._rule.monitor
        if monitor == LAST:
            return super()._judged(prediction, split, epoch)
        if monitor not in LOSSES:
            return metrics[monitor](prediction, split.labels, split.corpus.dataset)
        batches = self._validation_batches(len(prediction), epoch)
        if monitor == "total":
            return self._total_loss(batches)
        told = torch.from_numpy(prediction)
        return mean_of_batches(told, self._valid.labels.cpu(), monitor, batches)

    def _validation_batches(self, clips: int, epoch: int) -> list[Tensor]:
        """As released: in random order, in batches of training's size."""
        generator = np.random.default_rng(
            derive(self.task.seed, "selection", self.stage.name, epoch)
        )
        order = torch.from_numpy(generator.permutation(clips))
        return list(order.split(self._batch_size))

    def _total_loss(self, batches: Iterable[Tensor]) -> float:
        """The loss of all tasks, a network in evaluation mode."""
        params, found = self.stage.params or self.params, []
        with torch.inference_mode():
            for rows in batches:
                batch = self._valid.gather(rows)
                found.append(float(total_loss(self.network(batch), batch, params)))
        return sum(found) / len(found)

    def _is_better(self, valid: float) -> bool:
        monitor = self._rule.monitor
        if monitor not in LOSSES:
            return better(metrics[monitor], valid, self.best.value)
        best = math.inf if math.isnan(self.best.value) else self.best.value
        return valid < best
