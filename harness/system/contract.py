"""The System contract: what a model file provides.

A system is a value: its name, a ``Card``, a ``Params`` dataclass with per-dataset presets
(``harness.system.params``), the inputs it reads, and either ``build`` (a network for the one
training loop, ``harness.system.network``) or ``fit`` (anything else). Everything a model file needs
of the three modules can be imported from ``harness.system``.

Shapes: B clips, n clips of a split, E epochs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness._util.canonical import Json
from harness._util.registry import Registry, suggest
from harness.data.contents import contents_of
from harness.data.corpus import EXPLANATIONS, LABELS, STREAMS, Corpus, Split
from harness.data.datasets import SPLITS
from harness.errors import SpecError
from harness.spec import Protocol, ReleasedSelection, Scalar
from harness.system.params import Params

if TYPE_CHECKING:  # what a constant computes depends on no network
    import torch

    from harness.spec.conditions import Condition
    from harness.system.network import Dims, Network
    from harness.text import Encoder

__all__ = ["Card", "Epoch", "Fitted", "System", "Task", "systems"]

INPUTS = frozenset({"transcript", "tokens", *STREAMS, *EXPLANATIONS, "clue_vectors", "unimodal"})
"""``tokens`` and ``clue_vectors`` (of all explanations) are made by the system's text encoder;
``unimodal`` are the labels of text, audio and vision alone, for training."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Where a system comes from and how ours departs from it.

    What its paper printed is no part of it: ``leaderboards/literature`` lists published numbers
    under a system's registered name, and ``msa card`` shows them.
    """

    title: str
    paper: str
    year: int | None
    url: str = ""
    text: str = ""
    """How text enters: ``T-feat`` frozen features, ``T-BERT`` fine-tuned, ``transcript``, none."""
    unlisted: str = ""
    """Why no published number is listed of a system that has a paper."""
    deviations: tuple[str, ...] = ()
    declares: Mapping[str, str] = field(default_factory=dict)
    """Conformance checks that fail by design -> why; ``padding@published`` in that quirk only."""
    selection: ReleasedSelection | None = None
    """How its released code chooses the epoch; None where no rule is known."""
    unselected: str = ""
    """Why none is, of a system that has released code."""


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
    knowledge: Corpus | None = None
    """Another corpus to learn from, for systems with ``KnowledgeParams``."""
    resume: Path | None = None
    """File in which an interrupted training is kept; None: it starts again."""
    watch: Callable[[Epoch, int], None] | None = None
    """Told of each epoch as it ends, and how many its stage may take; None: nobody listens."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One line of a training history."""

    stage: str = "main"
    epoch: int
    """Counted from 1 in each stage."""
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
        diagnose: Split -> diagnostics of each clip, (n,) or (n, K) by name; None for systems
            without any.
        stability: Where predictions depend on the pass, the batch or the order, by design: how
            far, see ``harness.training.stability``.
        predict_under: Split and C conditions -> (C, n) predictions; None for systems that predict
            corrupted splits one by one.
        diagnose_under: The same of ``diagnose``, one mapping per condition.
        variants: Split -> further predictions of its clips by name, (n,), NaN where one has none.
            They are stored beside the predictions that count, in the cell that
            ``PredictionCell.named`` makes of the name: a variant, a condition, or both.
        answers: Answers of a zero-shot model, one row per question; see ``StoredRun.answers``.
        network: What was trained, with the selected weights; None for systems that train none.
        report: What else the manifest keeps of the run, by name.
    """

    predict: Callable[[Split], NDArray[np.float64]]
    parameters: int
    trainable: int
    history: tuple[Epoch, ...] = ()
    selected_epoch: int | None = None
    curves: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    diagnose: Callable[[Split], Mapping[str, NDArray[np.float32]]] | None = None
    stability: Mapping[str, Mapping[str, float]] | None = None
    predict_under: Callable[[Split, Sequence[Condition]], NDArray[np.float64]] | None = None
    diagnose_under: (
        Callable[[Split, Sequence[Condition]], Sequence[Mapping[str, NDArray[np.float32]]]] | None
    ) = None
    variants: Callable[[Split], Mapping[str, NDArray[np.float64]]] | None = None
    answers: pd.DataFrame | None = None
    network: Network | None = None
    report: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class System:
    """A way of turning clips into predictions.

    Args:
        name: Registered name; ``base@variant`` for variants living in one file.
        card: Paper and deviations.
        params: The hyper-parameter class.
        presets: Dataset name -> published hyper-parameters there.
        inputs: Which of ``INPUTS`` it reads.
        optional: The inputs it can do without.
        deterministic: True when no seed changes the result; such systems run once.
        reference: True for constant predictors, which every board must show.
        supervision: ``none`` for systems that learn from no label: they are ranked apart.
        locations: Text parameters that say where something is, and are no part of an identity.
        pins: (params, corpus, cache) -> role -> content digest of what is found there; a DataError
            says what is not here.
        build: (dims, params) -> network, for systems trained by the one loop. ``params`` is an
            instance of the system's own class, which a ``Callable`` type cannot say.
        fit: (task, params) -> fitted, for everything else.
        released: (file, dims, params) -> network with the weights of a released checkpoint, for
            systems whose authors released some; a DataError says what does not fit. Its code counts
            for trained runs too, unless it is in a module of the system that is called
            ``released``.
    """

    name: str
    card: Card
    params: type[Params] = Params
    presets: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    inputs: frozenset[str]
    optional: frozenset[str] = frozenset()
    deterministic: bool = False
    reference: bool = False
    supervision: Literal["train", "none"] = "train"
    locations: frozenset[str] = frozenset()
    pins: Callable[[Any, Corpus, Path], Mapping[str, str]] | None = None
    build: Callable[[Dims, Any], Network] | None = None
    fit: Callable[[Task, Any], Fitted] | None = None
    released: Callable[[Path, Dims, Any], Network] | None = None

    def __post_init__(self) -> None:
        if (self.build is None) == (self.fit is None):
            raise SpecError(f"system {self.name}: give either build or fit")
        if self.build is None and self.released is not None:
            raise SpecError(f"system {self.name}: released weights are of a network; give build")
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
                guess = suggest(name, fields, key=True)
                raise SpecError(
                    f"system {self.name} has no parameter {name!r}{guess}",
                    hint=f"msa card {self.name} shows its hyper-parameters",
                )
            values[name] = _coerce(self.name, name, value, fields[name].default)
        return self.params(**values)

    def missing(self, corpus: Corpus, params: Params) -> frozenset[str]:
        """Inputs the system cannot do without and ``corpus`` lacks, by its contents.

        Tokens are made of transcripts, unless the hyper-parameters ask for the stored ones.
        """
        had = contents_of(corpus)
        stored = params.tokens == "corpus"
        present = {*had.streams, *had.texts}
        if had.tokens if stored else "transcript" in had.texts:
            present.add("tokens")
        if had.labels == LABELS[1:]:
            present.add("unimodal")
        if had.texts.issuperset(EXPLANATIONS):
            present.add("clue_vectors")
        return params.reads(self.inputs) - self.optional - present

    def obstacle(self, corpus: Corpus, params: Params) -> str | None:
        """Why the system cannot learn from ``corpus`` and be scored on it; None when it can.

        All systems learn from train clips and are scored on test clips; all but references are
        selected or calibrated on valid clips.
        """
        had = contents_of(corpus)
        needed = set(SPLITS) - ({"valid"} if self.reference else set())
        empty = [split for split in had.empty_splits if split in needed]
        if empty:
            return f"needs {' and '.join(empty)} clips"
        missing = sorted(self.missing(corpus, params))
        if not missing:
            return None
        lacking = [name for name in LABELS[1:] if name not in had.labels]
        told = {"unimodal": f"uni-modal labels (no training clip has {', '.join(lacking)})"}
        if params.tokens == "corpus":
            told["tokens"] = "stored tokens"
        else:
            told["tokens"] = "transcripts to make tokens of"
        told["transcript"] = "transcripts"
        return f"needs {', '.join(told.get(name, name) for name in missing)}"

    def side_info(self, params: Params) -> bool:
        """Whether it reads what was written about a clip: explanations."""
        return not params.reads(self.inputs).isdisjoint({*EXPLANATIONS, "clue_vectors"})


def _coerce(system: str, name: str, value: Scalar, default: object) -> Scalar:
    """``value`` in the type of the default; an integer may stand for a float."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        kind = type(default).__name__
        raise SpecError(f"system {system}: {name} should be a {kind}, found {value!r}")
    return value


systems: Registry[System] = Registry(
    "system", System, packages=("baselines", "text_model", "mllm_eval"), group="msa_harness.systems"
)
