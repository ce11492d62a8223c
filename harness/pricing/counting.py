"""The work of a training that nobody has run: counted from the network's size.

An upper estimate of arithmetic, in floating point operations per clip ::

    training     6 x trainable parameters x positions  +  2 x frozen parameters x positions
    prediction   2 x parameters x positions

as if every weight met every position: the kept tokens of all texts for the encoder's weights, the
frames of the longest input for the others. Embedding tables and layers that see a pooled vector
once are so counted in full. Not counted: attention between positions, and encodings of texts that
are made once and cached.

From above in arithmetic is not from above in time: networks of many small operations (attention
over long streams, loops over frames) stay far below a device's rate. Of seven systems on a compact
twin of CMU-MOSI, on a busy processor, TFN took a quarter of its counted time, LMF, EF-LSTM and MFN
about all of it, MulT and LF-DNN 2.5 times and a plain Transformer 5 times as long.

Shapes: n clips of a split, T frames, L tokens.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil

import torch
from torch import nn

from harness.data.corpus import EXPLANATIONS, Corpus
from harness.network import Dims, Network, Stage
from harness.params import TokenParams, TrainingParams
from harness.specs import Protocol
from harness.system import System
from harness.text import Blueprint

__all__ = ["Rate", "Training", "Work", "count", "expected_epochs", "rate_of"]

USUAL_EPOCHS = 30
"""Epochs until MMSA's early stop, about, where a system names no ceiling of its own."""

PROCESS_BYTES = 400 * 2**20
"""Resident memory of a worker that runs a constant predictor on 2,000 clips: the libraries."""

_ASSUMED_CUDA = 10e12  # FLOP/s; float32 training of BERT-base on a current data-centre card
_STEP_SECONDS = {"cpu": 1e-3, "cuda": 5e-3}
_MATMUL, _MEASURED_SECONDS = 512, 0.2


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast a device works.

    Args:
        device: ``cpu`` or ``cuda``.
        flops: Sustained float32 operations per second of one worker.
        step: Least seconds of a training step, however small the network.
        basis: Where ``flops`` comes from.
    """

    device: str
    flops: float
    step: float
    basis: str


@dataclass(frozen=True, kw_only=True)
class Work:
    """What training one cell takes.

    Args:
        parameters: Of the network, the encoder's included.
        flops: Floating point operations, evaluation after each epoch included.
        steps: Training batches.
        memory: Bytes of libraries, weights, gradients, optimiser state and the clips' features;
            activations come on top.
    """

    parameters: int
    flops: float
    steps: int
    memory: int

    def seconds(self, rate: Rate) -> float:
        """Time at that rate; small networks are bound by the steps."""
        return max(self.flops / rate.flops, self.steps * rate.step)


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is counted.

    Args:
        system: A system with ``build``.
        params: Its hyper-parameters.
        protocol: Ceiling on epochs.
        corpus: What it is trained on; sizes suffice.
        knowledge: What else it learns from.
        encoder: Size of its text encoder.
    """

    system: System
    params: TrainingParams
    protocol: Protocol
    corpus: Corpus
    knowledge: Corpus | None = None
    encoder: Blueprint | None = None


def rate_of(device: str) -> Rate:
    """Rate of ``cpu`` (measured here, one thread, 0.2 s) or ``cuda`` (assumed)."""
    step = _STEP_SECONDS[device]
    if device == "cuda":
        return Rate(device=device, flops=_ASSUMED_CUDA, step=step, basis="assumed")
    return Rate(device=device, flops=_measured(), step=step, basis="measured here, one thread")


def _measured() -> float:
    """Operations per second of a matrix product on one thread, as workers run."""
    threads, one = torch.get_num_threads(), torch.ones(_MATMUL, _MATMUL)
    torch.set_num_threads(1)
    try:
        torch.mm(one, one)  # the first call prepares the library
        began, products = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < _MEASURED_SECONDS:
            torch.mm(one, one)
            products += 1
    finally:
        torch.set_num_threads(threads)
    return products * 2 * _MATMUL**3 / passed


def expected_epochs(own: int, protocol_epochs: int) -> int:
    """Epochs to expect: the system's own number (0: it has none), capped by the protocol's."""
    return min(own or USUAL_EPOCHS, protocol_epochs)


def count(training: Training) -> Work:
    """Build the network without weights and count.

    Raises:
        SpecError: When the system cannot be built for the corpus.
    """
    encoder = _Remembered(training.encoder) if training.encoder is not None else None
    assert training.system.build is not None
    with torch.device("meta"):
        network = training.system.build(Dims.of(training.corpus, encoder), training.params)
    positions = _Positions.of(training, encoder.networks if encoder is not None else ())
    flops, steps, trained = 0.0, 0, set(_trainable(network))
    stages = network.stages(training.params)
    for stage in stages:
        stage.enter()
        trained |= set(_trainable(network))
        more = _stage_work(training, stage, network, positions, last=stage is stages[-1])
        flops, steps = flops + more[0], steps + more[1]
    parameters = list(network.parameters())
    return Work(
        parameters=sum(p.numel() for p in parameters),
        flops=flops,
        steps=steps,
        memory=PROCESS_BYTES + _state_bytes(parameters, trained) + _feature_bytes(training),
    )


class _Remembered(Blueprint):
    """A blueprint that knows which networks were made of it."""

    networks: list[nn.Module]

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__(blueprint.config)
        self.__dict__["networks"] = []

    def load(self) -> nn.Module:
        network = super().load()
        self.networks.append(network)
        return network


@dataclass(frozen=True)
class _Positions:
    """How many positions of a clip a parameter meets."""

    encoded: int
    others: int
    encoder: frozenset[int] = field(default_factory=frozenset)
    """Identities of the encoder's parameters."""

    @classmethod
    def of(cls, training: Training, encoders: Iterable[nn.Module]) -> _Positions:
        params, corpus = training.params, training.corpus
        reads = params.reads(training.system.inputs)
        texts = len(reads & {"tokens", *EXPLANATIONS})
        tokens = params.max_tokens if isinstance(params, TokenParams) and texts else 0
        frames = [stream.frames for name, stream in corpus.streams.items() if name in reads]
        return cls(
            encoded=tokens * texts,
            others=max(1, tokens, *frames),
            encoder=frozenset(id(p) for network in encoders for p in network.parameters()),
        )

    def weighted(self, parameters: Iterable[nn.Parameter]) -> int:
        """Parameters times positions."""
        return sum(
            p.numel() * (self.encoded if id(p) in self.encoder else self.others) for p in parameters
        )


def _stage_work(
    training: Training, stage: Stage, network: Network, positions: _Positions, *, last: bool
) -> tuple[float, int]:
    """Operations and batches of one stage; only the last one also predicts the test split."""
    params = training.params
    corpus = (stage.on_knowledge and training.knowledge) or training.corpus
    epochs = expected_epochs(stage.epochs or params.epochs, training.protocol.max_epochs)
    train, valid, test = (len(corpus.split(name)) for name in ("train", "valid", "test"))
    whole = positions.weighted(network.parameters())
    trainable = positions.weighted(p for p in network.parameters() if p.requires_grad)
    shares = sum(plan.share for plan in stage.passes)
    learning = shares * train * (6 * trainable + 2 * (whole - trainable))
    predicting = (valid + test if last else valid) * 2 * whole
    batches = ceil(train / (stage.batch_size or params.batch_size))
    steps = epochs * sum(ceil(plan.share * batches) for plan in stage.passes)
    return epochs * (learning + predicting), steps


def _trainable(network: Network) -> Iterable[int]:
    return (id(p) for p in network.parameters() if p.requires_grad)


def _state_bytes(parameters: Iterable[nn.Parameter], trained: set[int]) -> int:
    """Weights and their best copy; of trained ones also the gradient and Adam's two moments."""
    return sum(4 * p.numel() * (5 if id(p) in trained else 2) for p in parameters)


def _feature_bytes(training: Training) -> int:
    corpora = [training.corpus, *([training.knowledge] if training.knowledge else [])]
    reads = training.params.reads(training.system.inputs)
    return sum(
        stream.values.nbytes
        for corpus in corpora
        for name, stream in corpus.streams.items()
        if name in reads
    )
