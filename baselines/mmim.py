"""MMIM: fusion that keeps as much mutual information as it can, between inputs and with each.

Shapes: B clips, T frames, D features, P size of a projection, M points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from baselines._shared.bert import TokenEncoder, audio_vision, tokens_of
from harness.data.batching import Batch, BatchSource, Sequence
from harness.spec import ReleasedSelection, Scalar, SelectionRule
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    ParameterGroup,
    Pass,
    QuirkParams,
    Stage,
    System,
    TokenParams,
    TrainingParams,
    param,
)

__all__ = ["MMIM", "Contrast", "Likelihood", "MMIMParams", "MutualInformation", "half_log_volume"]

_STREAMS = ("vision", "audio")
_RIDGE = 1e-6  # float32 covariances of nearly constant features may have a negative determinant


@dataclass(frozen=True, kw_only=True)
class MMIMParams(TokenParams, QuirkParams):
    """Hyper-parameters of MMIM; ``lr`` is that of all but text encoder and estimators."""

    audio_hidden: int = param(16, low=1, source="MMSA; state of the LSTM, each direction")
    vision_hidden: int = param(16, low=1, source="MMSA; state of the LSTM, each direction")
    audio_out: int = param(16, low=4, source="MMSA")
    vision_out: int = param(16, low=4, source="MMSA")
    fusion_size: int = param(128, low=1, source="MMSA")
    fusion_dropout: float = param(0.1, low=0.0, high=1.0, source="MMSA")
    contrast_weight: float = param(0.1, low=0.0, source="MMSA: alpha")
    information_weight: float = param(0.1, low=0.0, source="MMSA: beta")
    encoder_lr: float = param(5e-5, low=0.0, source="MMSA")
    estimator_lr: float = param(1e-3, low=0.0, source="MMSA")
    estimator_share: float = param(
        1.0, low=0.0, high=1.0, source="MMSA: batches that train the estimators; half on MOSEI"
    )
    lr: float = param(1e-3, low=0.0, source="MMSA")
    weight_decay: float = param(1e-4, low=0.0, source="MMSA; of all parts")
    clip_norm: float = param(1.0, low=0.0, source="MMSA")
    plateau: int = param(20, low=0, source="MMSA: when")
    plateau_factor: float = param(0.5, low=0.0, high=1.0, source="MMSA")


class MMIMStreamNet(nn.Module):
    """(B, T, D) -> (B, out): final states of both directions of an LSTM, projected."""

    def __init__(self, size: int, hidden: int, out: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, hidden, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * hidden, out)

    def forward(self, stream: Sequence) -> Tensor:
        """Encode a batch of clips."""
        _, (states, _) = self.lstm(stream.packed())
        vector: Tensor = self.project(states.transpose(0, 1).flatten(1))  # from (2, B, hidden)
        return vector


class Likelihood(nn.Module):
    """Mean log density of y under a Gaussian whose mean and variance are read off x.

    A lower bound of their mutual information, up to the entropy of y, whose projection ``sketch``
    is kept here. Constants are left out.

    Args:
        given: Size of x.
        size: Size of y.
        complete: Whether the density has its normaliser ½ log σ², which the released code lacks.
    """

    def __init__(self, given: int, size: int, *, complete: bool) -> None:
        super().__init__()
        self.mean, self.log_variance = (
            nn.Sequential(nn.Linear(given, size), nn.ReLU(), nn.Linear(size, size))
            for _ in range(2)
        )
        self.sketch = nn.Sequential(nn.Linear(size, size // 4), nn.Tanh())
        # No pass trains it: one that may learn would raise the entropy of anything.
        self.sketch.requires_grad_(False)
        self.complete = complete

    def forward(self, given: Tensor, value: Tensor) -> Tensor:
        """(B, given), (B, size) -> scalar."""
        log_variance = self.log_variance(given)  # (B, size)
        density = -(self.mean(given) - value).square() / (2 * log_variance.exp())  # (B, size)
        if self.complete:
            density = density - log_variance / 2
        mean: Tensor = density.sum(1).mean()
        return mean


class Contrast(nn.Module):
    """How well the fused feature tells a clip's own vector from the batch's: InfoNCE of cosines."""

    def __init__(self, size: int, fused: int) -> None:
        super().__init__()
        self.guess = nn.Linear(fused, size)

    def forward(self, vector: Tensor, fused: Tensor) -> Tensor:
        """(B, size), (B, fused) -> scalar loss."""
        cosines = normalize(vector, dim=1) @ normalize(self.guess(fused), dim=1).T  # (B, B)
        return (cosines.logsumexp(1) - cosines.diagonal()).mean()


class MMIMFusion(nn.Module):
    """z = tanh(W2 tanh(W1 dropout(x))), y = w3 · z."""

    def __init__(self, size: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fuse = nn.Sequential(
            nn.Dropout(dropout),
            *(nn.Linear(size, hidden), nn.Tanh()),
            *(nn.Linear(hidden, hidden), nn.Tanh()),
        )
        self.answer = nn.Linear(hidden, 1)

    def forward(self, joined: Tensor) -> tuple[Tensor, Tensor]:
        """(B, size) -> fused feature (B, hidden) and prediction (B,)."""
        fused = self.fuse(joined)
        return fused, self.answer(fused).squeeze(1)


@dataclass(frozen=True, eq=False)
class Sketched(Output):
    """An output with the projected streams (B, P) that the next batch's entropies include."""

    sketches: Mapping[str, Tensor] = field(default_factory=dict)


class MutualInformation(Network):
    """y = Fusion([text; audio; vision]), text the encoder's [CLS].

    An epoch has two passes: the first fits the likelihoods of vision and audio given text, the
    second everything else, to the label and to larger bounds of mutual information.
    """

    def __init__(self, dims: Dims, params: MMIMParams) -> None:
        super().__init__()
        (_, audio), (_, vision) = map(dims.need, ("audio", "vision"))
        self.streams = nn.ModuleDict(
            {
                "audio": MMIMStreamNet(audio, params.audio_hidden, params.audio_out),
                "vision": MMIMStreamNet(vision, params.vision_hidden, params.vision_out),
            }
        )
        self.encoder = TokenEncoder(dims)
        size = {"text": self.encoder.size, "audio": params.audio_out, "vision": params.vision_out}
        self.estimators = nn.ModuleDict(
            {
                name: Likelihood(size["text"], size[name], complete=not params.published)
                for name in _STREAMS
            }
        )
        self.contrasts = nn.ModuleDict({n: Contrast(size[n], params.fusion_size) for n in size})
        self.fusion = MMIMFusion(sum(size.values()), params.fusion_size, params.fusion_dropout)
        self.params = params
        self._batches = 1
        self._seen, self._memory_labels = 0, torch.empty(0)
        self._memory: dict[str, Tensor] = {}
        self._draw_weights()

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        vectors = self._read(batch)
        joined = torch.cat([vectors[name] for name in ("text", "audio", "vision")], dim=1)
        fused, prediction = self.fusion(joined)  # (B, hidden), (B,)
        if not self.training:
            return Output(prediction)
        sketches = {n: self.estimators[n].get_submodule("sketch")(vectors[n]) for n in _STREAMS}
        contrast = [self.contrasts[name](vector, fused) for name, vector in vectors.items()]
        losses = {
            "contrast": self.params.contrast_weight * torch.stack(contrast).sum(),
            "likelihood": -self.params.information_weight * self._likelihood(vectors),
        }
        if self._seen >= self._silent:
            entropy = self._entropy(sketches, batch.labels)
            losses["entropy"] = -self.params.information_weight * entropy
        return Sketched(prediction, losses, sketches=sketches)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Those of the second pass: text encoder, and all but the estimators."""
        assert isinstance(params, MMIMParams)
        text = [p for p in self.encoder.parameters() if p.requires_grad]
        rest = [self.streams, self.contrasts, self.fusion]
        return [
            {"params": text, "lr": params.encoder_lr},
            {"params": [p for part in rest for p in part.parameters()]},
        ]

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One stage of two passes."""
        estimators = Pass(
            name="estimators",
            groups=self._estimator_groups,
            loss=self._estimator_loss,
            share=self._estimator_share(),
        )
        return (Stage(passes=(estimators, Pass())),)

    def begin(self, train: BatchSource, params: TrainingParams) -> None:
        """Note how many batches an epoch has."""
        self._batches = math.ceil(len(train) / params.batch_size)

    def begin_epoch(self, epoch: int) -> None:
        """Entropies start without memory."""
        self._seen = 0

    def after_step(self, batch: Batch, output: Output) -> None:
        """Remember the batch's sketches; the second pass leaves the estimators as they are."""
        assert isinstance(output, Sketched)
        self._memory = {name: sketch.detach() for name, sketch in output.sketches.items()}
        self._memory_labels = batch.labels
        self._seen += 1
        self.estimators.zero_grad(set_to_none=True)  # else the gradient's norm would count them

    def _read(self, batch: Batch) -> dict[str, Tensor]:
        audio, vision = audio_vision(batch)
        return {
            "text": self.encoder.first(tokens_of(batch)),
            "audio": self.streams["audio"](audio),
            "vision": self.streams["vision"](vision),
        }

    def _likelihood(self, vectors: Mapping[str, Tensor]) -> Tensor:
        """Of vision and audio given text, summed."""
        parts = [self.estimators[name](vectors["text"], vectors[name]) for name in _STREAMS]
        return torch.stack(parts).sum()

    def _entropy(self, sketches: Mapping[str, Tensor], labels: Tensor) -> Tensor:
        """Of vision and audio: a Gaussian for positive and one for negative clips each.

        The clips are the batch's and the previous batch's.
        """
        total = labels.new_zeros(())
        for name in _STREAMS:
            points = torch.cat([self._memory[name], sketches[name]])  # (M + B, P)
            signs = torch.cat([self._memory_labels, labels]).sign()
            for sign in (1, -1):
                total = total + half_log_volume(points[signs == sign], self._ridge) / 2
        return total

    def _estimator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():  # this pass trains nothing that the vectors depend on
            vectors = self._read(batch)
        return -self._likelihood(vectors)

    def _estimator_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        assert isinstance(params, MMIMParams)
        trained = [p for p in self.estimators.parameters() if p.requires_grad]
        return [{"params": trained, "lr": params.estimator_lr}]

    def _estimator_share(self) -> float:
        share = self.params.estimator_share
        if share < 1 and self.params.published:
            # MMSA divides by the number of splits: two batches, however many an epoch has.
            return min(share, 1.5 / self._batches)
        return share

    @property
    def _ridge(self) -> float:
        return 0.0 if self.params.published else _RIDGE

    @property
    def _silent(self) -> int:
        """Batches of an epoch without entropy: until the memory is full; as released, one more."""
        return 2 if self.params.published else 1

    def _draw_weights(self) -> None:
        """Xavier-normal matrices everywhere but in the text encoder, as in MMSA."""
        for name, values in self.named_parameters():
            if values.dim() > 1 and not name.startswith("encoder."):
                nn.init.xavier_normal_(values)


def half_log_volume(points: Tensor, ridge: float = 0.0) -> Tensor:
    """½ log det of the covariance of (M, P) points, a Gaussian's entropy less its constant.

    Without more points than dimensions the covariance is singular: 0, no information.

    Args:
        points: M points of P dimensions.
        ridge: Added to the variances.
    """
    count, size = points.shape
    if count <= size:
        return points.new_zeros(())
    centred = points - points.mean(0)  # (M, P)
    covariance = centred.T @ centred / count  # (P, P)
    return torch.logdet(covariance + ridge * torch.eye(size, device=points.device)) / 2


_CHINESE: Mapping[str, Scalar] = {"encoder": "bert-base-chinese", "batch_size": 32}

MMIM = System(
    name="mmim",
    card=Card(
        title="MMIM",
        paper="Han, Chen, Poria. Improving Multimodal Fusion with Hierarchical Mutual Information"
        " Maximization for Multimodal Sentiment Analysis. EMNLP 2021; as implemented in MMSA",
        year=2021,
        url="https://aclanthology.org/2021.emnlp-main.723",
        text="T-BERT",
        deviations=(
            "quirk=fixed: the likelihood has the normaliser of a Gaussian density, as in the paper;"
            " the released code leaves it out, and larger variances then always pay",
            "quirk=fixed: on MOSEI half of the batches fit the estimators, as meant; MMSA divides"
            " by the number of splits and stops after two batches",
            "quirk=fixed: entropies enter from the second batch of an epoch, and covariances have"
            " 1e-6 added to their diagonal; MMSA starts with the third and adds nothing",
            "Fewer clips of one sign than dimensions add no entropy; MMSA's becomes undefined",
            "Each pass clips the gradient of what it trains; MMSA's norm includes the rest",
            "Left out, as in every MMSA setting: the vision-audio bound, deeper estimators, longer"
            " memories",
            "CH-SIMS v2 has no published setting; ours is that of CH-SIMS",
            "The rate drops after 20 epochs without improvement, MMSA's after 21: patience ends"
            " training before either",
            "The authors keep a checkpoint only when validation and test both improve",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/MMIM.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=MMIMParams,
    presets={
        "mosi": {"batch_size": 32},
        "mosei": {"batch_size": 32, "estimator_share": 0.5},
        "sims": {**_CHINESE, "max_tokens": 39},
        "simsv2": _CHINESE,
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=MutualInformation,
)
