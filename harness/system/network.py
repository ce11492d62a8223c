"""What a trained system is made of, and its place in the training loop.

Most networks are a constructor and ``forward``. The hooks below are for methods that need more:
several learning rates, per-clip state, several optimisers in turn, stages of training.

Shapes: B clips of a batch, n clips of the training split, K values per clip.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from harness.data.batching import Batch, BatchSource
from harness.data.contents import unimodal_labels
from harness.data.corpus import LABELS, Corpus
from harness.errors import SpecError
from harness.system.params import TrainingParams
from harness.text import Encoder

__all__ = ["Dims", "Network", "Output", "ParameterGroup", "Pass", "Stage"]

ParameterGroup = dict[str, Any]
"""``params`` and, where they differ from the stage's, ``lr`` and ``weight_decay``."""


@dataclass(frozen=True, kw_only=True)
class Dims:
    """Sizes a network is built for: (frames, features) of each stream, label range, encoder."""

    text: tuple[int, int] | None = None
    audio: tuple[int, int] | None = None
    vision: tuple[int, int] | None = None
    low: float
    high: float
    unimodal: bool = False
    """Whether training clips have labels from text, audio and vision alone: each, some of them."""
    encoder: Encoder | None = None

    @classmethod
    def of(cls, corpus: Corpus, encoder: Encoder | None = None) -> Dims:
        """The sizes of a corpus."""
        shapes = {name: (s.frames, s.dim) for name, s in corpus.streams.items()}
        dataset = corpus.dataset
        return cls(
            **shapes,
            low=dataset.low,
            high=dataset.high,
            unimodal=unimodal_labels(corpus) == LABELS[1:],
            encoder=encoder,
        )

    def need(self, name: str) -> tuple[int, int]:
        """(frames, features) of a stream that must be present.

        Raises:
            SpecError: When the corpus has no such stream.
        """
        shape: tuple[int, int] | None = getattr(self, name)
        if shape is None:
            raise SpecError(f"this system needs {name} features and the corpus has none")
        return shape

    def need_encoder(self) -> Encoder:
        """The text encoder that must be present.

        Raises:
            SpecError: When there is none.
        """
        if self.encoder is None:
            raise SpecError("this system needs a text encoder", hint='encoder = "minilm-l6"')
        return self.encoder


@dataclass(frozen=True, eq=False)
class Output:
    """What a network returns.

    Args:
        prediction: (B,) on the label scale.
        losses: Weighted auxiliary losses by name, added to the task loss; a ``"task"`` entry
            replaces the task loss.
        diagnostics: What the network would tell about a clip, (B,) or (B, K) by name: gates,
            routing, quality scores. Stored beside the predictions.
    """

    prediction: Tensor
    losses: Mapping[str, Tensor] = field(default_factory=dict)
    diagnostics: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pass:
    """One pass over the training clips with an optimiser of its own.

    Args:
        name: Unique within its stage.
        groups: What it trains; None: ``Network.parameter_groups``.
        loss: Batch -> scalar; None: the network's output and losses.
        share: Of the batches; the pass stops there.
    """

    name: str = "main"
    groups: Callable[[TrainingParams], list[ParameterGroup]] | None = None
    loss: Callable[[Batch], Tensor] | None = None
    share: float = 1.0


def _nothing() -> None:
    """The stage needs no preparation."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Stage:
    """Some epochs of training, each a sequence of passes, ending at the best one.

    The last stage is the one that is recorded: its epochs are the curves and the selection.

    Args:
        name: For the history.
        passes: What an epoch consists of.
        epochs: Ceiling, at least 1 and never above the run's; None: ``TrainingParams.epochs``. The
            hyper-parameter that it comes from is marked ``stage`` (``harness.system.param``).
        batch_size: None: ``TrainingParams.batch_size``.
        lr: None: ``TrainingParams.lr``.
        patience: None: the protocol's. It counts from ``TrainingParams.settled`` at the earliest.
        eligible: First epoch that may be kept; the last one if there are fewer.
        params: What it is trained by, but for what is named above; None: the system's.
        enter: Called when the stage begins: freeze, unfreeze, re-initialise.
        predict: Batch -> (B,), what is validated; None: the network's prediction.
        on_knowledge: Train and validate on the knowledge corpus instead of the task's.
    """

    name: str = "main"
    passes: tuple[Pass, ...] = (Pass(),)
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    patience: int | None = None
    eligible: int = 1
    params: TrainingParams | None = None
    enter: Callable[[], None] = _nothing
    predict: Callable[[Batch], Tensor] | None = None
    on_knowledge: bool = False


def _kept(output: Output) -> Output:
    """A copy, which the next replay of a CUDA graph does not write over."""
    return dataclasses.replace(
        output,
        prediction=output.prediction.clone(),
        losses={name: loss.clone() for name, loss in output.losses.items()},
        diagnostics={name: told.clone() for name, told in output.diagnostics.items()},
    )


class Network(nn.Module):
    """Base of trained systems: ``forward(batch) -> Output``.

    Calling it computes in ``precision``; predictions and losses come back in float32.
    """

    precision = "float32"
    """``TrainingParams.precision``, set by whoever builds the network for a task."""

    compiled = False
    """``TrainingParams.compiled``, likewise."""

    reads_rest = False
    """Whether an epoch's last batches are seen though ``drops_tail`` throws their step away."""

    def __call__(self, batch: Batch) -> Output:
        """``forward`` in the network's precision, by compiled code if that was asked for."""
        with self.casting() as casts:
            output: Output = super().__call__(batch)
        if self.compiled:
            output = _kept(output)
        if not casts:
            return output
        losses = {name: loss.float() for name, loss in output.losses.items()}
        return dataclasses.replace(output, prediction=output.prediction.float(), losses=losses)

    @contextlib.contextmanager
    def casting(self) -> Iterator[bool]:
        """Forward passes inside compute in the network's precision; says whether it is a lower one.

        For one forward pass: weights are cast once per context, whatever happens to them in it.
        """
        if self.precision != "bfloat16":
            yield False
            return
        device = next(self.parameters()).device
        with torch.autocast(device.type, torch.bfloat16):
            yield True

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        raise NotImplementedError

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Optimiser groups; override where a paper uses several learning rates."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """Stages of training; one, unless overridden."""
        return (Stage(),)

    def begin(self, train: BatchSource, params: TrainingParams) -> None:
        """Called once, before the first step and before an interrupted run is taken up again.

        State per training clip is registered here as buffers of n rows, indexed by ``Batch.rows``:
        so it is saved with the weights.
        """

    def begin_epoch(self, epoch: int) -> None:
        """Called before each epoch of a stage, counted from 1."""

    def evaluation_order(self, clips: int) -> list[Tensor] | None:
        """Rows of the batches in which a split is predicted; None: as stored, in large batches."""
        return None

    def after_step(self, batch: Batch, output: Output) -> None:
        """Called after each training batch, without autograd: update per-clip state."""
