"""Stages and epochs: train, predict, select, stop early, and survive an interruption.

Shapes: n clips of a split, E epochs.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness._util.seeds import derive
from harness.data.batching import BatchSource, balanced_order, epoch_order
from harness.data.corpus import Split
from harness.errors import RunFailed
from harness.metrics import better, metrics  # not the conventions: they do not train
from harness.system import Epoch, Network, Pass, Stage, Task, TrainingParams
from harness.training.checkpoint import TrainingCheckpoint
from harness.training.evaluation import predict
from harness.training.optimisation import OptimiserPass

__all__ = ["Loop"]


@dataclass
class _Best:
    epoch: int = 0
    value: float = math.nan
    state: dict[str, Tensor] = field(default_factory=dict)


class Loop:
    """One training run.

    Args:
        network: On the task's device, untrained.
        sources: Split name -> clips; ``train``, ``valid`` and, if watched, another.
        task: What to learn from.
        params: The system's hyper-parameters.
        knowledge: The same of the knowledge corpus, for stages that train on it.
    """

    def __init__(
        self,
        network: Network,
        sources: dict[str, BatchSource],
        task: Task,
        params: TrainingParams,
        knowledge: Mapping[str, BatchSource] | None = None,
    ) -> None:
        self.network, self.task, self.params = network, task, params
        self.sources, self._knowledge = sources, knowledge or {}
        self.metric = metrics[task.protocol.selection_metric]
        network.begin(sources["train"], params)
        self._stages = network.stages(params)
        self.history: list[Epoch] = []
        self.curves: dict[str, list[NDArray[np.float32]]] = {
            name: [] for name in sources if name != "train"
        }
        self._enter(0)

    def run(self) -> None:
        """Train through all stages, each to its ceiling or the end of its patience."""
        for _ in self.walk():
            pass

    def walk(self) -> Iterator[Epoch]:
        """Train as ``run`` does, pausing after each epoch; who stops early has no best weights."""
        keeper = TrainingCheckpoint(self.task.resume)
        epoch = self._take_up(keeper.load(self.task.device))
        while True:
            while not self._finished(epoch):
                epoch += 1
                self._epoch(epoch)
                keeper.save(lambda at=epoch: self._state(at))  # type: ignore[misc]  # bound now
                if self.task.watch is not None:
                    self.task.watch(self.history[-1], self.epochs)
                yield self.history[-1]
            # The next stage goes on from the epoch selected, not from the last one.
            self.network.load_state_dict(self.best.state)
            if self.is_last:
                keeper.forget()
                return
            self._enter(self._index + 1)
            epoch = 0

    @property
    def stage(self) -> Stage:
        """The current stage."""
        return self._stages[self._index]

    @property
    def is_last(self) -> bool:
        """Whether the current stage is the one that is recorded."""
        return self._index == len(self._stages) - 1

    @property
    def ending(self) -> dict[str, int]:
        """Epochs of the recorded stage: trained, allowed, wanted (0: any), and of its warm-up.

        ``stages_cut`` counts the stages before it whose schedules are longer than allowed, where
        there are some.
        """
        params = self.stage.params or self.params
        ceiling = self.task.protocol.max_epochs
        cut = sum(self._wanted(stage) > ceiling for stage in self._stages[: self._index])
        return {
            "epochs": len(next(iter(self.curves.values()))),
            "allowed": self.epochs,
            "wanted": self._wanted(self.stage),
            "warmup": params.settled(self.epochs),
            **({"stages_cut": cut} if cut else {}),
        }

    def _wanted(self, stage: Stage) -> int:
        """Epochs that the schedule of a stage is made for; 0: any number."""
        return (stage.params or self.params).epochs if stage.epochs is None else stage.epochs

    def _enter(self, index: int) -> None:
        """Begin a stage: its own clips, its own optimisers, nothing selected yet."""
        self._index, self.best = index, _Best()
        stage = self.stage
        stage.enter()
        ceiling = self.task.protocol.max_epochs
        own = self.params.epochs or ceiling
        self.epochs = min(ceiling, own if stage.epochs is None else stage.epochs)
        batches = math.ceil(len(self._train) / self._batch_size)
        self.sweeps = [
            OptimiserPass(
                self.network, plan, stage, self.params, batches=batches, epochs=self.epochs
            )
            for plan in stage.passes
        ]

    @property
    def _train(self) -> BatchSource:
        return self._knowledge["train"] if self.stage.on_knowledge else self.sources["train"]

    @property
    def _batch_size(self) -> int:
        own = self.stage.batch_size
        return self.params.batch_size if own is None else own

    def _finished(self, epoch: int) -> bool:
        since = max(self.best.epoch, self._patient)
        return epoch >= self.epochs or (epoch > 0 and epoch - since >= self._patience)

    @property
    def _patience(self) -> float:
        """Epochs without a better one until the stage ends."""
        return self.stage.patience or self.task.protocol.patience

    @property
    def _ties(self) -> str:
        return self.task.protocol.selection_ties

    @property
    def _first(self) -> int:
        """The first epoch of the stage that may be kept."""
        return min(self.stage.eligible, self.epochs)

    @property
    def _patient(self) -> int:
        """Epochs of the stage that cost no patience."""
        params = self.stage.params or self.params
        return max(self._first - 1, params.settled(self.epochs))

    def _epoch(self, epoch: int) -> None:
        began = time.perf_counter()
        loss = self.train_epoch(epoch)
        valid = self._evaluate(epoch)
        self._keep_if_best(epoch, valid)
        self.history.append(
            Epoch(
                stage=self.stage.name,
                epoch=epoch,
                train_loss=loss,
                valid=None if math.isnan(valid) else valid,
                lr=self.sweeps[-1].lr,
                seconds=time.perf_counter() - began,
            )
        )

    def train_epoch(self, epoch: int) -> float:
        """Mean training loss of the epoch's last pass.

        Raises:
            RunFailed: When it is not finite.
        """
        self.network.train()
        self.network.begin_epoch(epoch)
        mean = math.nan
        train = self._train.at(derive(self.task.seed, "corruption", self.stage.name, epoch))
        for sweep in self.sweeps:
            order = self._order(sweep.plan, epoch)
            total, clips = sweep.epoch(train, order, epoch)
            mean = float(total) / max(1, clips)
            if not math.isfinite(mean):
                raise RunFailed(
                    f"training loss became {mean} in epoch {epoch}",
                    hint="lower the learning rate or set clip_norm",
                )
        return mean

    def _order(self, plan: Pass, epoch: int) -> list[Tensor]:
        """Rows of the batches; stages and passes of their own names have their own order.

        Where clips come from several domains, each batch has equally many of every one.
        """
        names = [name for name in (self.stage.name, plan.name) if name != "main"]
        generator = np.random.default_rng(derive(self.task.seed, "batches", *names, epoch))
        domains = self._train.domains  # (n,) or None
        if domains is not None and len(domains.unique()) > 1:
            return balanced_order(domains, self._batch_size, generator)
        return epoch_order(len(self._train), self._batch_size, generator)

    def _evaluate(self, epoch: int) -> float:
        """Predict what the stage is judged by, and judge it on the validation split."""
        split = self._validated()
        if self.is_last:
            for name, rows in self.curves.items():
                rows.append(predict(self.network, self.sources[name], self.stage.predict))
            prediction = self.curves[split.name][-1]  # (n,)
        else:
            prediction = predict(self.network, self._valid, self.stage.predict)
        if not np.isfinite(prediction).all():
            return math.nan
        return self._judged(prediction, split, epoch)

    def _judged(self, prediction: NDArray[np.float32], split: Split, epoch: int) -> float:
        """What an epoch is chosen by, here the protocol's metric.

        Args:
            prediction: (n,) of the validation split, finite.
            split: Its clips.
            epoch: Of the stage.
        """
        return self.metric(prediction, split.labels, split.corpus.dataset)

    def _is_better(self, valid: float) -> bool:
        """Whether a value is better than the best one's."""
        return better(self.metric, valid, self.best.value)

    @property
    def _valid(self) -> BatchSource:
        source = self._knowledge if self.stage.on_knowledge else self.sources
        return source[self._validated().name]

    def _validated(self) -> Split:
        if not self.stage.on_knowledge:
            return self.task.valid
        assert self.task.knowledge is not None
        return self.task.knowledge.split("valid")

    def _keep_if_best(self, epoch: int, valid: float) -> None:
        tied = self._ties == "latest" and valid == self.best.value
        if epoch < self._first:
            return
        # The first one counts even when its metric is NaN: a stage ends with some weights.
        if epoch == self._first or tied or self._is_better(valid):
            self.best = _Best(epoch, valid, copy.deepcopy(self.network.state_dict()))
        elif self.params.plateau and (epoch - self.best.epoch) % self.params.plateau == 0:
            for sweep in self.sweeps:
                sweep.slowdown *= self.params.plateau_factor

    def _state(self, epoch: int) -> dict[str, Any]:
        """Everything the rest of the run depends on; tensors and plain values only."""
        return {
            "stage": self._index,
            "epoch": epoch,
            "network": self.network.state_dict(),
            "best": vars(self.best),
            "sweeps": [sweep.state() for sweep in self.sweeps],
            "history": [asdict(line) for line in self.history],
            "curves": {
                name: [torch.from_numpy(row) for row in rows] for name, rows in self.curves.items()
            },
        }

    def _take_up(self, state: dict[str, Any] | None) -> int:
        """The epoch after which an interrupted run goes on; 0 for a new one."""
        if state is None:
            return 0
        self._enter(state["stage"])
        self.network.load_state_dict(state["network"])
        self.best = _Best(**state["best"])
        for sweep, kept in zip(self.sweeps, state["sweeps"], strict=True):
            sweep.restore(kept)
        self.history = [Epoch(**line) for line in state["history"]]
        self.curves = {n: [row.numpy() for row in rows] for n, rows in state["curves"].items()}
        return int(state["epoch"])
