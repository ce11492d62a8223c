"""DMD: streams taken apart, and in either half the better ones teach the others.

Shapes: B clips, T windows of a stream, D hidden size, E size of a representation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, l1_loss

from baselines._shared.contrast import masked_mse, orthogonality, triplet_loss
from baselines._shared.windows import (
    CHINESE,
    MOSEI,
    MOSI,
    STREAMS,
    WindowedStreams,
    WindowParams,
    Windows,
)
from baselines.dlf import ResidualHead
from harness.data.batching import Batch
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, Dims, Network, Output, Stage, System, TrainingParams, param

__all__ = [
    "DMD",
    "BottleneckHead",
    "DMDParams",
    "DecoupledDistillation",
    "DistillationKernel",
    "across_clips",
]

PATIENCE = 10  # epochs, of the released early stop
NAMES = ("text", "audio", "vision")  # as the cross encoders are joined
PAIRS = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))  # student, teacher; of STREAMS
SHARPNESS = 4.0  # of the prior over the pairs
TEMPERATURE = 8.0  # of the learned weights
WEIGHT = 10.0  # of the kernels' regularisation and of what representations lose
SHARED_PRIOR = (0, 0, 1, 0, 1, 0)  # text teaches vision and audio
SPECIFIC_PRIOR = (0, 0, 1, 0, 1, 1)  # and vision teaches audio


@dataclass(frozen=True, kw_only=True)
class DMDParams(WindowParams):
    """Hyper-parameters of DMD."""

    clip_value: float = param(0.6, low=0.0, source="DMD code")
    shared_kernel: int = param(64, low=1, source="DMD code: half of an edge's end")
    specific_kernel: int = param(32, low=1, source="DMD code: half of an edge's end")
    distillation_weight: float = param(0.05, low=0.0, source="DMD code")
    auxiliary_weight: float = param(0.1, low=0.0, source="DMD code")
    similarity_weight: float = param(0.1, low=0.0, source="DMD code: within the auxiliary losses")


class BottleneckHead(nn.Module):
    """h = f + W2 dropout(ρ), ρ = ReLU(W1 f), y = w · h + b; ρ is narrow."""

    def __init__(self, size: int, narrow: int, dropout: float) -> None:
        super().__init__()
        self.shrink = nn.Linear(size, narrow)
        self.grow = nn.Linear(narrow, size)
        self.output = nn.Linear(size, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """(B, size) -> ρ (B, narrow) and y (B,)."""
        told = self.shrink(vector).relu()
        hidden = vector + self.grow(self.dropout(told))
        return told, self.output(hidden).squeeze(1)


class DistillationKernel(nn.Module):
    """Who teaches whom: a weight for each ordered pair of streams and clip.

    The score of a pair is linear in [U y_j + b; V ρ_j + c] of the student j and the same of its
    teacher; e is the softmax of the scores over the pairs, p a fixed prior, and a pair's loss
    weighs e + p. Biases cancel in the softmax: they are frozen as published, and else left out.

    Args:
        size: E.
        half: Size of either half of a pair's end.
        prior: Which of ``PAIRS`` the prior prefers.
        published: Whether the biases are there.

    Source: Li, Wang, Cui. Decoupled Multimodal Distilling for Emotion Recognition, 2023.
    """

    prior: Tensor

    def __init__(self, size: int, half: int, prior: tuple[int, ...], *, published: bool) -> None:
        super().__init__()
        self.predictions = nn.Linear(1, half, bias=published)
        self.representations = nn.Linear(size, half, bias=published)
        self.score = nn.Linear(4 * half, 1, bias=published)
        for name, weight in self.named_parameters():
            weight.requires_grad_(not name.endswith("bias"))
        preferred = torch.tensor(prior, dtype=torch.float32)
        self.register_buffer("prior", (SHARPNESS * preferred).softmax(0), persistent=False)

    def edges(self, predictions: Tensor, representations: Tensor) -> Tensor:
        """(3, B) and (3, B, E) of the streams -> e (6, B), which sum to 1 over the pairs."""
        ends = torch.cat(
            [self.predictions(predictions.unsqueeze(2)), self.representations(representations)],
            dim=2,
        )  # (3, B, 2 half)
        students, teachers = map(list, zip(*PAIRS, strict=True))
        joined = torch.cat([ends[students], ends[teachers]], dim=2)  # (6, B, 4 half)
        weights: Tensor = (self.score(joined).squeeze(2) / TEMPERATURE).softmax(0)
        return weights

    def losses(
        self, predictions: Tensor, representations: Tensor, edges: Tensor
    ) -> dict[str, Tensor]:
        """What the pairs lose, each a scalar.

        Args:
            predictions: (3, B), y of the streams.
            representations: (3, B, E), ρ of the streams.
            edges: (6, B), e.

        Returns:
            ``logit``, Σ_k mean |y_j - y_i| w_k over clips; ``regularisation``, how far the mean
            edges lie from the prior; ``apart`` and ``alike``, by the cosine of ρ_j and ρ_i: its
            positive part, averaged before it is weighted, and 1 - cos of each clip. Teachers
            are constants.
        """
        students, teachers = map(list, zip(*PAIRS, strict=True))
        weights = edges + self.prior.unsqueeze(1)  # (6, B)
        gaps = (predictions[students] - predictions[teachers].detach()).abs()  # (6, B)
        cosines = cosine_similarity(
            representations[students], representations[teachers].detach(), dim=2
        )  # (6, B)
        return {
            "logit": (gaps * weights).mean(1).sum(),
            "regularisation": WEIGHT * (edges.mean(1) - self.prior).square().sum(),
            "apart": WEIGHT * (cosines.relu().mean(1) * weights.mean(1)).sum(),
            "alike": WEIGHT * ((1 - cosines) * weights).mean(1).sum(),
        }


def across_clips(own: Tensor, shared: Tensor) -> Tensor:
    """Mean of max(0, cos(own, shared)) where each step and feature is a vector over the clips.

    Args:
        own: (B, T, D).
        shared: (B, T, D).

    Source: DMD's released code, whose cosine loss, given tensors (T, B, D), reduces the second
    dimension in PyTorch 1.9.
    """
    products = (own * shared).sum(0)  # (T, D)
    squares = [values.square().sum(0) + 1e-12 for values in (own, shared)]
    return (products / (squares[0] * squares[1]).sqrt()).relu().mean()


class DecoupledDistillation(Network):
    """s_m and c_m, what only stream m says and what all do, are made by a matrix each.

    The c_m are distilled among bottleneck heads, the s_m, read in each other's light as in MulT,
    among residual heads. y reads sigmoids of a linear map of everything.
    """

    def __init__(self, dims: Dims, params: DMDParams) -> None:
        super().__init__()
        self.params, self.published = params, params.published
        self.streams = WindowedStreams(dims, params)
        size, dropout, counts = params.hidden, params.output_dropout, self.streams.counts
        self.specific = nn.ModuleDict({m: nn.Linear(size, size, bias=False) for m in STREAMS})
        self.shared = nn.Linear(size, size, bias=False)
        self.decode = nn.ModuleDict({m: nn.Linear(2 * size, size, bias=False) for m in STREAMS})
        self.align = nn.ModuleDict({m: nn.Linear(counts[m] * size, size) for m in STREAMS})
        self.shared_heads = nn.ModuleDict(
            {m: BottleneckHead(counts[m] * size, size, dropout) for m in STREAMS}
        )
        self.common = nn.ModuleDict({m: params.encoder_of(m) for m in STREAMS})
        self.readers = nn.ModuleDict(
            {
                f"{reader}_reads_{read}": params.encoder_of(read)
                for reader in NAMES
                for read in NAMES
                if read != reader
            }
        )
        self.memories = nn.ModuleDict({m: params.encoder_of("text", wide=2) for m in STREAMS})
        self.specific_heads = nn.ModuleDict({m: ResidualHead(2 * size, dropout) for m in STREAMS})
        self.common_head = ResidualHead(3 * size, dropout)
        self.gates = nn.ModuleDict({m: nn.Linear(2 * size, 2 * size) for m in STREAMS})
        self.common_gate = nn.Linear(3 * size, 3 * size)
        self.head = ResidualHead(9 * size, dropout)
        halves = params.shared_kernel, params.specific_kernel
        self.shared_kernel = DistillationKernel(
            size, halves[0], SHARED_PRIOR, published=self.published
        )
        self.specific_kernel = DistillationKernel(
            2 * size, halves[1], SPECIFIC_PRIOR, published=self.published
        )
        if self.published:  # computed from s_m, and no loss reads it
            unused = nn.ModuleDict({m: nn.Linear(counts[m] * size, size) for m in STREAMS})
            self.unused = unused.requires_grad_(False)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch; kernels and the losses of decoupling are those of training."""
        streams = self.streams(self.streams.read(batch))
        own = {m: w.with_values(self.specific[m](w.values)) for m, w in streams.items()}
        shared = {m: w.with_values(self.shared(w.values)) for m, w in streams.items()}
        common = torch.cat(
            [shared[m].encoded(self.common[m]).last() for m in STREAMS], dim=1
        )  # (B, 3 D)
        read = {m: self._read(m, own) for m in STREAMS}  # (B, 2 D) each
        gated = [self.gates[m](vector).sigmoid() for m, vector in read.items()]
        gated.append(self.common_gate(common).sigmoid())
        _, prediction = self.head(torch.cat(gated, dim=1))  # from (B, 9 D)
        if not self.training:
            return Output(prediction)
        losses = {"common_task": l1_loss(self.common_head(common)[1], batch.labels)}
        heads = {
            "shared": {
                m: self.shared_heads[m](shared[m].flat(self.streams.counts[m])) for m in STREAMS
            },
            "specific": {m: self.specific_heads[m](read[m]) for m in STREAMS},
        }
        for half, told in heads.items():
            losses |= {f"{half}_{m}_task": l1_loss(y, batch.labels) for m, (_, y) in told.items()}
            losses |= self._distilled(half, told)
        return Output(prediction, losses | self._decoupled(streams, own, shared, batch.labels))

    def _read(self, name: str, own: Mapping[str, Windows]) -> Tensor:
        """(B, 2 D): the memory of one stream, which read the two others, after its last window."""
        seen = [
            own[name].encoded(self.readers[f"{name}_reads_{read}"], own[read]).values
            for read in NAMES
            if read != name
        ]
        joined = own[name].with_values(torch.cat(seen, dim=2))  # (B, T, 2 D)
        return joined.encoded(self.memories[name]).last()

    def _distilled(self, half: str, told: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """Weighted losses of a kernel; of shared representations the released code uses none."""
        kernel = self.shared_kernel if half == "shared" else self.specific_kernel
        representations = torch.stack([rho for rho, _ in told.values()])  # (3, B, E)
        predictions = torch.stack([y for _, y in told.values()])  # (3, B)
        losses = kernel.losses(
            predictions, representations, kernel.edges(predictions, representations)
        )
        used = ["logit", "regularisation"]
        if half == "specific":
            used.append("apart" if self.published else "alike")
        weight = self.params.distillation_weight
        return {f"{half}_{name}": weight * losses[name] for name in used}

    def _decoupled(
        self,
        streams: Mapping[str, Windows],
        own: Mapping[str, Windows],
        shared: Mapping[str, Windows],
        labels: Tensor,
    ) -> dict[str, Tensor]:
        """Rebuild each stream from both halves, keep the halves apart and the shared ones alike."""
        sums = {name: labels.new_zeros(()) for name in ("rebuilt", "specific", "orthogonal")}
        for m, stream in streams.items():
            mine, ours, mask = own[m].values, shared[m].values, stream.mask
            rebuilt = self.decode[m](torch.cat([mine, ours], dim=2))  # (B, T, D)
            sums["rebuilt"] += masked_mse(rebuilt, stream.values, mask)
            sums["specific"] += masked_mse(mine, self.specific[m](rebuilt), mask)
            sums["orthogonal"] += (
                across_clips(mine, ours) if self.published else orthogonality(mine, ours, mask)
            )
        alike = torch.cat(
            [self.align[m](shared[m].flat(self.streams.counts[m])) for m in STREAMS]
        )  # (3 B, D)
        sums["margin"] = triplet_loss(alike, labels.repeat(len(STREAMS)))
        similar, weight = self.params.similarity_weight, self.params.auxiliary_weight
        scales = {"orthogonal": similar, "margin": similar}
        return {name: weight * scales.get(name, 1.0) * value for name, value in sums.items()}

    def after_step(self, batch: Batch, output: Output) -> None:
        """As released, what gradients have summed up to is clipped after every batch."""
        if self.published and self.params.clip_value:
            nn.utils.clip_grad_value_(self.parameters(), self.params.clip_value)

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One, with the patience of the released code where that is kept."""
        return (Stage(patience=PATIENCE if self.published else None),)


_SIZE = {"hidden": 50, "heads": 10}

DMD = System(
    name="dmd",
    card=Card(
        title="DMD",
        paper="Li, Wang, Cui. Decoupled Multimodal Distilling for Emotion Recognition. CVPR 2023",
        year=2023,
        url="https://github.com/mdswyz/DMD",
        text="T-BERT",
        deviations=(
            "Source: a description of the released code at commit 516d4e1 (MIT licence)",
            "quirk=fixed: padding is masked, 'last' is the last true step, losses average true"
            " steps; the released code treats the padding as speech",
            "quirk=fixed: every true step has a position; as released a step has none whose first"
            " projected feature is exactly 0, as that of all padding is",
            "quirk=fixed: students of the specific half are drawn to their teachers, clip by clip;"
            " the released cosine loss pushes them apart and weighs pairs by their mean over clips",
            "quirk=fixed: specific and shared features of a step are kept apart; the released loss,"
            " under the PyTorch it names, compares each feature over the clips of the batch, and"
            " newer versions refuse it",
            "quirk=fixed: without the three linear layers that no loss reaches and the kernels'"
            " biases, which cancel; quirk=published keeps both, frozen",
            "quirk=fixed: gradients are clipped once, before the step; the released code clips"
            " what it has summed up after every batch",
            "quirk=fixed: a step takes the mean gradient of up to ten batches; as released it takes"
            " their sum, and an epoch's incomplete last group is thrown away",
            "quirk=fixed: the protocol's patience; that of the released code, kept by"
            " quirk=published, is 10 epochs",
            "The norms of the margin loss are not shifted; the released code adds 1e-8 below the"
            " root",
            "The weight decay of the released settings is not a preset: its Adam never sees it",
            "The learning rate halves on the validation MAE, in the released code on its L1 loss",
            "CH-SIMS: no published settings; MOSI's with a Chinese encoder",
        ),
        selection=ReleasedSelection(
            source="DMD code, trains/singleTask/DMD.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=10),),
        ),
    ),
    params=DMDParams,
    presets={
        "mosi": {**_SIZE, **MOSI},
        "mosei": {"hidden": 30, "heads": 6, **MOSEI},
        "sims": {**_SIZE, **CHINESE, "max_tokens": 39},
        "simsv2": {**_SIZE, **CHINESE},
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=DecoupledDistillation,
)
