"""The System contract: what a model file provides.

A system is a value: its name, a ``Card``, a ``Params`` dataclass with per-dataset presets, the
inputs it reads, and either ``build`` (a network for the one training loop) or ``fit`` (anything
else).

Shapes: B clips, n clips of a split, E epochs.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.batching import Batch
from harness.data.corpus import Corpus, Split
from harness.errors import SpecError
from harness.registry import Registry
from harness.specs import Protocol, Scalar
from harness.text import Encoder

__all__ = [
    "Card",
    "Dims",
    "Epoch",
    "Fitted",
    "Network",
    "Output",
    "Params",
    "Published",
    "System",
    "Task",
    "TrainingParams",
    "param",
    "systems",
]

T = TypeVar("T", bound=Scalar)
INPUTS = frozenset({"transcript", "text", "audio", "vision", "tokens"})


def param(
    default: T,
    *,
    source: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[T, ...] | None = None,
) -> T:
    """A hyper-parameter: default, inclusive range or choices, and where the default comes from."""
    metadata = {"source": source, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Params:
    """Base of every system's hyper-parameters; ranges are checked on construction."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            self._check(item, getattr(self, item.name))

    def reads(self, inputs: frozenset[str]) -> frozenset[str]:
        """Which of a system's inputs these values leave in use; all, unless overridden."""
        return inputs

    def _check(self, item: dataclasses.Field[Scalar], value: Scalar) -> None:
        rule = item.metadata
        choices, low, high = rule.get("choices"), rule.get("low"), rule.get("high")
        if choices is not None and value not in choices:
            allowed = ", ".join(map(str, choices))
            raise SpecError(f"{item.name} should be one of {allowed}; found {value!r}")
        if isinstance(value, str):
            return
        if (low is not None and value < low) or (high is not None and value > high):
            raise SpecError(f"{item.name} should lie in [{low}, {high}]; found {value!r}")


@dataclass(frozen=True, kw_only=True)
class TrainingParams(Params):
    """What the training loop reads; a network's ``Params`` extends it."""

    lr: float = param(1e-3, low=0.0, source="MMSA default")
    weight_decay: float = param(0.0, low=0.0, source="MMSA default")
    batch_size: int = param(32, low=2, source="MMSA default")
    loss: str = param("l1", choices=("l1", "mse"), source="MMSA default: L1")
    optimizer: str = param("adam", choices=("adam", "adamw"), source="MMSA default: Adam")
    schedule: str = param("constant", choices=("constant", "linear"), source="MMSA default")
    warmup: float = param(0.0, low=0.0, high=1.0, source="share of all steps; MMSA has none")
    clip_value: float = param(0.0, low=0.0, source="element-wise gradient clip; 0 = off")
    clip_norm: float = param(0.0, low=0.0, source="gradient norm clip; 0 = off")
    epochs: int = param(0, low=0, source="the system's own ceiling; 0 = the protocol's")


@dataclass(frozen=True, kw_only=True)
class Published:
    """One number as printed in a paper, with what is needed to read it."""

    dataset: str
    metric: str
    value: float
    source: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Where a system comes from and how ours departs from it."""

    title: str
    paper: str
    year: int | None
    url: str = ""
    text: str = ""
    """How text enters: ``T-feat`` frozen features, ``T-BERT`` fine-tuned, ``transcript``, none."""
    published: tuple[Published, ...] = ()
    deviations: tuple[str, ...] = ()
    declares: Mapping[str, str] = field(default_factory=dict)
    """Conformance checks that fail by design -> why."""


@dataclass(frozen=True, kw_only=True)
class Dims:
    """Sizes a network is built for: (frames, features) of each stream, label range, encoder."""

    text: tuple[int, int] | None = None
    audio: tuple[int, int] | None = None
    vision: tuple[int, int] | None = None
    low: float
    high: float
    encoder: Encoder | None = None

    @classmethod
    def of(cls, corpus: Corpus, encoder: Encoder | None = None) -> Dims:
        """The sizes of a corpus."""
        shapes = {name: (s.frames, s.dim) for name, s in corpus.streams.items()}
        dataset = corpus.dataset
        return cls(**shapes, low=dataset.low, high=dataset.high, encoder=encoder)

    def need(self, name: str) -> tuple[int, int]:
        """(frames, features) of a stream that must be present.

        Raises:
            SpecError: When the corpus has no such stream.
        """
        shape: tuple[int, int] | None = getattr(self, name)
        if shape is None:
            raise SpecError(f"this system needs {name} features and the corpus has none")
        return shape


@dataclass(frozen=True, eq=False)
class Output:
    """What a network returns.

    Args:
        prediction: (B,) on the label scale.
        losses: Weighted auxiliary losses by name, added to the task loss; a ``"task"`` entry
            replaces the task loss.
    """

    prediction: Tensor
    losses: Mapping[str, Tensor] = field(default_factory=dict)


class Network(nn.Module):
    """Base of trained systems: ``forward(batch) -> Output``."""

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        raise NotImplementedError

    def parameter_groups(self, params: TrainingParams) -> list[dict[str, object]]:
        """Optimiser groups; override where a paper uses several learning rates."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """What a system may learn from: train and valid. ``watched`` is predicted, never scored."""

    train: Split
    valid: Split
    watched: Split | None
    protocol: Protocol
    seed: int
    device: torch.device
    encoder: Encoder | None
    cache: Path
    """Folder for frozen features and the like; may be shared by many runs."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One line of a training history."""

    epoch: int
    train_loss: float
    valid: float | None
    """Selection metric on the validation split; None when undefined."""
    lr: float
    seconds: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Fitted:
    """A trained system.

    Args:
        predict: Split -> (n,) float64 on the label scale.
        parameters: Number of parameters.
        trainable: Number of those that training changed.
        history: One record per epoch; empty for systems without epochs.
        selected_epoch: The epoch whose weights predict; None without epochs.
        curves: Split name -> (E, n) float32, predictions after each epoch.
    """

    predict: Callable[[Split], NDArray[np.float64]]
    parameters: int
    trainable: int
    history: tuple[Epoch, ...] = ()
    selected_epoch: int | None = None
    curves: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class System:
    """A way of turning clips into predictions.

    Args:
        name: Registered name; ``base@variant`` for variants living in one file.
        card: Paper, published numbers, deviations.
        params: The hyper-parameter class.
        presets: Dataset name -> published hyper-parameters there.
        inputs: Which of ``transcript, text, audio, vision, tokens`` it reads.
        optional: The inputs it can do without.
        deterministic: True when no seed changes the result; such systems run once.
        reference: True for constant predictors, which every board must show.
        build: (dims, params) -> network, for systems trained by the one loop. ``params`` is an
            instance of the system's own class, which a ``Callable`` type cannot say.
        fit: (task, params) -> fitted, for everything else.
    """

    name: str
    card: Card
    params: type[Params] = Params
    presets: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    inputs: frozenset[str]
    optional: frozenset[str] = frozenset()
    deterministic: bool = False
    reference: bool = False
    build: Callable[[Dims, Any], Network] | None = None
    fit: Callable[[Task, Any], Fitted] | None = None

    def __post_init__(self) -> None:
        if (self.build is None) == (self.fit is None):
            raise SpecError(f"system {self.name}: give either build or fit")
        if not (self.inputs | self.optional) <= INPUTS:
            raise SpecError(f"system {self.name}: inputs are {', '.join(sorted(INPUTS))}")

    def resolve(self, dataset: str, changes: Mapping[str, Scalar]) -> Params:
        """Defaults, then the dataset's preset, then ``changes``.

        Raises:
            SpecError: For an unknown name, a wrong type or a value out of range.
        """
        fields = {item.name: item for item in dataclasses.fields(self.params)}
        values: dict[str, Scalar] = {}
        for name, value in {**self.presets.get(dataset, {}), **changes}.items():
            if name not in fields:
                close = difflib.get_close_matches(name, fields, n=1)
                guess = f"; did you mean {close[0]!r}?" if close else ""
                raise SpecError(f"system {self.name} has no parameter {name!r}{guess}")
            values[name] = _coerce(self.name, name, value, fields[name].default)
        return self.params(**values)

    def missing(self, corpus: Corpus, params: Params) -> frozenset[str]:
        """Inputs the system cannot do without and ``corpus`` lacks."""
        present = {"transcript", "tokens"} | set(corpus.streams)
        return params.reads(self.inputs) - self.optional - present


def _coerce(system: str, name: str, value: Scalar, default: object) -> Scalar:
    """``value`` in the type of the default; an integer may stand for a float."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        kind = type(default).__name__
        raise SpecError(f"system {system}: {name} should be a {kind}, found {value!r}")
    return value


systems: Registry[System] = Registry(
    "system", System, packages=("baselines",), group="msa_harness.systems"
)
