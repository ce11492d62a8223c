"""Hyper-parameters as data: every value has a default, a range and a source.

A system's ``Params`` combines the classes below with its own fields; all are frozen and
keyword-only, so they mix freely: ``class MISAParams(TokenParams, QuirkParams)``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar

from harness.data.corpus import EXPLANATIONS
from harness.errors import SpecError
from harness.spec import Scalar, Search, search
from harness.spec.conditions import check_training
from harness.system.objectives import objectives

__all__ = [
    "ClueParams",
    "KnowledgeParams",
    "Params",
    "QuirkParams",
    "TokenParams",
    "TrainingParams",
    "TrainingProgress",
    "WarmParams",
    "param",
]

T = TypeVar("T", bound=Scalar)


def param(
    default: T,
    *,
    source: str,
    low: float | None = None,
    high: float | None = None,
    choices: Collection[T] | None = None,
    search: Search | None = None,
    stage: bool = False,
) -> T:
    """A hyper-parameter: default, inclusive range or choices, where the default comes from.

    ``search`` says what ``msa tune`` may try where no space was published for the system. ``stage``
    says that it is the number of epochs of a stage of training.
    """
    limits = {"low": low, "high": high, "choices": choices}
    metadata = {"source": source, **limits, "search": search, "stage": stage}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Params:
    """Base of every system's hyper-parameters; ranges are checked on construction."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            self._check(item, getattr(self, item.name))

    @property
    def encoder(self) -> str:
        """Name or folder of the text encoder; empty without one."""
        return ""

    @property
    def tokens(self) -> str:
        """What tokens are made of, ``corpus`` for the stored ones; empty where none are read."""
        return ""

    @property
    def knowledge(self) -> str:
        """Name of another corpus to learn from; empty without one."""
        return ""

    @property
    def objective(self) -> str:
        """What is minimised over training domains; ``erm`` for systems without the choice."""
        return "erm"

    @property
    def training_corruption(self) -> str:
        """What happens to training clips; ``none`` for systems without the choice."""
        return "none"

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
class TrainingProgress:
    """Where training stands: ``step`` counts optimiser steps from 0, ``epoch`` from 1."""

    step: int
    steps: int
    """Planned for the whole stage."""
    epoch: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class TrainingParams(Params):
    """What the training loop reads; a network's ``Params`` extends it."""

    lr: float = param(1e-3, low=0.0, source="MMSA default", search=search(1e-5, 1e-2, log=True))
    weight_decay: float = param(
        0.0, low=0.0, source="MMSA default", search=search(choices=(0.0, 1e-4, 1e-3, 1e-2))
    )
    batch_size: int = param(32, low=2, source="MMSA default", search=search(choices=(16, 32, 64)))
    accumulate: int = param(1, low=1, source="batches per optimiser step; MMSA default")
    loss: str = param("l1", choices=("l1", "mse"), source="MMSA default: L1")
    optimizer: str = param(
        "adam", choices=("adam", "adamw", "amsgrad"), source="MMSA default: Adam"
    )
    schedule: str = param(
        "constant", choices=("constant", "linear", "cosine"), source="MMSA default"
    )
    warmup: float = param(0.0, low=0.0, high=1.0, source="share of all steps; MMSA has none")
    plateau: int = param(
        0, low=0, source="epochs without a new best until the rate drops; 0 = never"
    )
    plateau_factor: float = param(0.1, low=0.0, high=1.0, source="what the rate then drops to")
    clip_value: float = param(0.0, low=0.0, source="element-wise gradient clip; 0 = off")
    clip_norm: float = param(0.0, low=0.0, source="gradient norm clip; 0 = off")
    epochs: int = param(0, low=0, source="the system's own ceiling; 0 = the protocol's")
    objective: str = param(
        "erm",
        choices=objectives,
        source="empirical risk; the others generalise over the domains of a transfer corpus",
    )
    penalty: float = param(1.0, low=0.0, source="weight of the objective's own term")
    training_corruption: str = param(
        "none",
        source="training clips as they are; else a law of harness.spec.laws, or a condition",
    )
    precision: str = param(
        "float32",
        choices=("float32", "tf32", "bfloat16"),
        source="of arithmetic; tf32 needs a GPU, bfloat16 is torch.autocast, weights stay float32",
    )
    compiled: bool = param(
        False,
        source="ours; true: forward passes by torch.compile, on a GPU replayed as CUDA graphs",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_training(self.training_corruption)

    @property
    def longest_schedule(self) -> int:
        """Epochs that the longest stage is made for; 0 where any number will do."""
        stages = {"epochs"} | {f.name for f in dataclasses.fields(self) if f.metadata.get("stage")}
        return max(int(getattr(self, name)) for name in stages)

    @property
    def drops_tail(self) -> bool:
        """How losses accumulate over ``accumulate`` batches.

        False: the mean over the clips of a group, the last group of an epoch as small as it is.
        True: the sum of the batches' losses, an incomplete last group thrown away (MMSA), unless
        it is the only one.
        """
        return False

    def settled(self, epochs: int) -> int:
        """Epochs of a stage, of ``epochs`` planned, in which nobody's patience ends: its warm-up's.

        0, unless overridden.
        """
        return 0

    def lr_factor(self, at: TrainingProgress) -> float:
        """Multiplier of every learning rate: linear warm-up, then the schedule, down to zero."""
        warm = round(self.warmup * at.steps)
        if at.step < warm:
            return (at.step + 1) / warm
        left = max(0.0, (at.steps - at.step) / max(1, at.steps - warm))
        if self.schedule == "cosine":
            return 0.5 - 0.5 * math.cos(math.pi * left)
        return left if self.schedule == "linear" else 1.0


@dataclass(frozen=True, kw_only=True)
class QuirkParams(TrainingParams):
    """Of a system whose published code departs from what was meant."""

    quirk: str = param(
        "fixed",
        choices=("fixed", "published"),
        source="ours; published: the released code with its defects, listed on the card",
    )

    @property
    def published(self) -> bool:
        """Whether the released code's defects are kept."""
        return self.quirk == "published"

    @property
    def drops_tail(self) -> bool:
        """As released: MMSA and its descendants drop an incomplete group."""
        return self.published


@dataclass(frozen=True, kw_only=True)
class WarmParams(TrainingParams):
    """Of a system whose rate warms up, during which no one's patience ends."""

    def settled(self, epochs: int) -> int:
        """Epochs of the warm-up."""
        return math.ceil(self.warmup * epochs)


@dataclass(frozen=True, kw_only=True)
class TokenParams(TrainingParams):
    """Of a system that reads tokens."""

    encoder: str = param("bert-base-uncased", source="MMSA; bert-base-chinese on Chinese sets")
    max_tokens: int = param(50, low=3, high=512, source="MMSA: 50 tokens, longer texts are cut")
    tokens: str = param(
        "transcript",
        choices=("transcript", "corpus"),
        source="ours; corpus: the ids stored beside word-aligned features",
    )


@dataclass(frozen=True, kw_only=True)
class ClueParams(TokenParams):
    """Of a system that reads explanations, with the controls that any claim about them needs."""

    tokens: str = param(
        "transcript",
        choices=("transcript", "corpus", "transcript+summary"),
        source="ours; transcript+summary: the transcript, a bar, and the overall comment",
    )
    explanations: str = param(
        "given",
        choices=("given", "shuffled", "transcript", "none"),
        source="ours; shuffled: another clip's, transcript: the clip's own words in their place",
    )

    def reads(self, inputs: frozenset[str]) -> frozenset[str]:
        """All inputs, less the explanations when they are switched off."""
        wanted = super().reads(inputs)
        return wanted - {*EXPLANATIONS, "clue_vectors"} if self.explanations == "none" else wanted


@dataclass(frozen=True, kw_only=True)
class KnowledgeParams(TrainingParams):
    """Of a system that also learns from another corpus (an assisted track)."""

    knowledge: str = param("", source="corpus name; none unless given")
