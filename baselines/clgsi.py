"""CLGSI: contrast by distance of sentiment, and a small network that reads features in threes.

Shapes: B clips, L steps, D features of a stream, T size of a vector.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from baselines._shared.bert import TokenEncoder, audio_vision, bert_groups, tokens_of
from baselines._shared.padding import masked_average, padded_tokens, steps_of
from baselines._shared.words import at_step
from harness.data.batching import Batch, Sequence
from harness.spec import ReleasedSelection, Scalar, SelectionRule
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    ParameterGroup,
    QuirkParams,
    System,
    TokenParams,
    TrainingParams,
    TrainingProgress,
    param,
)

__all__ = ["CLGSI", "CLGSIParams", "LocalKnowledge", "SentimentNetwork", "contrast", "waves"]

_GAP = 0.4  # labels in [-1, 1] that are no farther apart attract, others repel
_GAIN = 1.5  # of the weights of pairs
_REPULSION = 0.8  # share of the gain that repelled pairs have
_TEMPERATURE = 0.03


@dataclass(frozen=True, kw_only=True)
class CLGSIParams(TokenParams, QuirkParams):
    """Hyper-parameters of CLGSI; ``lr`` and ``weight_decay`` are those of all but encoders."""

    size: int = param(64, low=1, source="CLGSI, MOSI; T")
    fusion_size: int = param(128, low=1, source="CLGSI, MOSI; F, a third and half of two layers")
    filters: int = param(16, low=2, source="CLGSI; of what reads features in threes")
    squeeze: int = param(2, low=1, source="CLGSI, MOSI; r")
    stream_layers: int = param(2, low=1, source="CLGSI; of the encoders of audio and vision")
    audio_heads: int = param(1, low=1, source="CLGSI, MOSI; as many as divide the features")
    vision_heads: int = param(4, low=1, source="CLGSI, MOSI; as many as divide the features")
    feed_size: int = param(2048, low=1, source="CLGSI, by torch's default")
    stream_dropout: float = param(0.1, low=0.0, high=1.0, source="CLGSI, by torch's default")
    vector_dropout: float = param(0.05, low=0.0, high=1.0, source="CLGSI, MOSI")
    fusion_dropout: float = param(0.2, low=0.0, high=1.0, source="CLGSI, MOSI")
    contrast_weight: float = param(0.95, low=0.0, source="CLGSI, MOSI; gamma")
    label_scale: float = param(3.0, low=0.0, source="CLGSI; fixed: the end of the label range")
    encoder_lr: float = param(5e-5, low=0.0, source="CLGSI")
    audio_lr: float = param(5e-3, low=0.0, source="CLGSI, MOSI")
    vision_lr: float = param(1e-3, low=0.0, source="CLGSI, MOSI")
    lr: float = param(1e-2, low=0.0, source="CLGSI, MOSI")
    encoder_decay: float = param(0.01, low=0.0, source="CLGSI, MOSI")
    audio_decay: float = param(0.01, low=0.0, source="CLGSI, MOSI")
    vision_decay: float = param(1e-3, low=0.0, source="CLGSI, MOSI")
    weight_decay: float = param(1e-3, low=0.0, source="CLGSI, MOSI")
    optimizer: str = param("adamw", choices=("adam", "adamw"), source="CLGSI")
    schedule: str = param("cosine", choices=("constant", "linear", "cosine"), source="CLGSI")
    warmup: float = param(0.1, low=0.0, high=1.0, source="CLGSI; of the schedule's steps")
    horizon: int = param(75, low=1, source="CLGSI, MOSI; epochs until the rate is 0")
    batch_size: int = param(64, low=2, source="CLGSI, MOSI")

    def lr_factor(self, at: TrainingProgress) -> float:
        """Over ``horizon`` epochs, however many are trained; as released it rises again after."""
        if self.schedule != "cosine":
            return super().lr_factor(at)
        epochs = self.horizon if self.published else min(self.horizon, at.epochs)
        steps = at.steps * epochs / at.epochs
        warm = self.warmup * steps
        if at.step < warm:
            return (at.step if self.published else at.step + 1) / max(1.0, warm)
        done = (at.step - warm) / max(1.0, steps - warm)
        return 0.5 + 0.5 * math.cos(math.pi * (done if self.published else min(1.0, done)))


class StreamEncoder(nn.Module):
    """Post-norm Transformer layers of PyTorch over a stream's own features and positions."""

    def __init__(self, size: int, heads: int, params: CLGSIParams) -> None:
        super().__init__()
        layers = [self._layer(size, heads, params) for _ in range(params.stream_layers)]
        if params.published:  # copies of one layer, which stays registered
            self.template = self._layer(size, heads, params).requires_grad_(False)
            layers = [copy.deepcopy(self.template).requires_grad_() for _ in layers]
        self.layers = nn.ModuleList(layers)

    def forward(self, steps: Tensor, mask: Tensor | None) -> Tensor:
        """(B, L, D) and (B, L) bool, True on true steps; None: all count -> (B, L, D)."""
        state = steps + waves(steps.shape[1], steps.shape[2], steps.device)
        hidden = None if mask is None else ~mask
        for layer in self.layers:
            state = layer(state, src_key_padding_mask=hidden)
        return state

    @staticmethod
    def _layer(size: int, heads: int, params: CLGSIParams) -> nn.Module:
        return nn.TransformerEncoderLayer(
            size,
            math.gcd(heads, size),
            params.feed_size,
            params.stream_dropout,
            batch_first=True,
        )


def waves(steps: int, size: int, device: torch.device | None = None) -> Tensor:
    """(steps, size): sines and cosines of positions from 0 in turn; an odd size ends on a sine."""
    rates = torch.exp(torch.arange(0, size, 2, device=device) * (-math.log(1e4) / size))
    angles = torch.arange(steps, device=device).unsqueeze(1) * rates  # (steps, size / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :size]


class LocalKnowledge(nn.Module):
    """One function of (t_j, a_j, v_j) for all features j of three vectors.

    u = w · (t_j, a_j, v_j) + b, then tanh(W3 W2 PReLU(W1 u)), each map with a bias.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.gather = nn.Linear(3, 1)
        self.spread = nn.Sequential(
            *(nn.Linear(1, filters // 2), nn.PReLU()),
            nn.Linear(filters // 2, filters),
            *(nn.Linear(filters, 1), nn.Tanh()),
        )

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        """(B, T) each -> (B, T)."""
        threes = torch.stack([text, audio, vision], dim=2)  # (B, T, 3)
        local: Tensor = self.spread(self.gather(threes)).squeeze(2)
        return local


class SentimentNetwork(Network):
    """y of the local knowledge of three vectors, and of a short cut from each stream."""

    def __init__(self, dims: Dims, params: CLGSIParams) -> None:
        super().__init__()
        (_, audio), (_, vision) = map(dims.need, ("audio", "vision"))
        self.params = params
        self.scale = params.label_scale if params.published else dims.high
        self.encoder = TokenEncoder(dims)
        self.audio = StreamEncoder(audio, params.audio_heads, params)
        self.vision = StreamEncoder(vision, params.vision_heads, params)
        widths = {"text": self.encoder.size, "audio": audio, "vision": vision}
        size, fused = params.size, params.fusion_size
        self.main = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Dropout(params.vector_dropout), nn.Linear(width, size), nn.ReLU()
                )
                for name, width in widths.items()
            }
        )
        self.short = nn.ModuleDict(
            {name: _short_cut(width, size, params.squeeze) for name, width in widths.items()}
        )
        self.local = LocalKnowledge(params.filters)
        self.head = nn.Sequential(
            nn.Dropout(params.fusion_dropout),
            nn.Linear(4 * size, 3 * fused),
            *(nn.Linear(3 * fused, 2 * fused), nn.ReLU()),
            *(nn.BatchNorm1d(2 * fused), nn.Linear(2 * fused, 1)),
        )
        idle: list[nn.Module] = []
        if params.published:  # registered there and never read; they count in its size
            idle = [nn.Linear(3 * size, fused), nn.BatchNorm1d(4 * size)]
            idle += [nn.Linear(size, size) for _ in widths]
        self.idle = nn.ModuleList(idle).requires_grad_(False)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        first, means = self._read(batch)
        vectors = {name: self.main[name](first[name]) for name in self.main}  # (B, T) each
        cuts = [self.short[name](means[name]) for name in self.short]
        joined = torch.cat([self.local(*vectors.values()), *cuts], dim=1)  # (B, 4T)
        prediction = self.head(joined).squeeze(1)
        text, audio, vision = vectors.values()
        pairs = (vision, audio), (vision, text), (text, audio)
        labels = batch.labels / self.scale
        masked = not self.params.published
        total = torch.stack([contrast(x, y, labels, masked=masked) for x, y in pairs]).sum()
        return Output(prediction, {"contrast": self.params.contrast_weight * total})

    def _read(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Of each stream one step and the mean of all, (B, D) each."""
        tokens, published = tokens_of(batch), self.params.published
        if published:
            tokens = padded_tokens(tokens, self.params.max_tokens)
        hidden = self.encoder(tokens)  # (B, L, D)
        first = {"text": hidden[:, 0]}
        means = {"text": hidden.mean(1) if published else masked_average(hidden, tokens.mask)}
        encoders = (self.audio, self.vision)
        streams = audio_vision(batch)
        for name, encode, stream in zip(("audio", "vision"), encoders, streams, strict=True):
            first[name], means[name] = self._stream(encode, stream)
        return first, means

    def _stream(self, encode: nn.Module, stream: Sequence) -> tuple[Tensor, Tensor]:
        steps, mask = steps_of(stream, padded=self.params.published)
        states = encode(steps, mask)  # (B, L, D)
        if mask is None:
            return states[:, -1], states.mean(1)
        # what torch's encoder leaves in padding is of no account
        return at_step(states, stream.lengths - 1), masked_average(states, mask)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Text encoder, audio, vision and the rest, each at its rate."""
        assert isinstance(params, CLGSIParams)
        rates = (params.audio_lr, params.audio_decay), (params.vision_lr, params.vision_decay)
        rest = (self.main, self.short, self.local, self.head)
        return [
            *bert_groups(self.encoder, params.encoder_lr, params.encoder_decay),
            *(
                {"params": list(net.layers.parameters()), "lr": rate, "weight_decay": decay}
                for net, (rate, decay) in zip((self.audio, self.vision), rates, strict=True)
            ),
            {"params": [p for part in rest for p in part.parameters()]},
        ]


def _short_cut(width: int, size: int, squeeze: int) -> nn.Module:
    """(B, D) -> (B, T) in (0, 1), through D / r features."""
    narrow = max(1, width // squeeze)
    return nn.Sequential(
        *(nn.Linear(width, narrow), nn.ReLU()),
        *(nn.Linear(narrow, size, bias=False), nn.Sigmoid()),
    )


def contrast(x: Tensor, y: Tensor, labels: Tensor, *, masked: bool) -> Tensor:
    """Clips of near labels should be near, others far, within two streams and between them.

    With d the difference of two labels, a pair attracts with k tanh(2δ - d) where d ≤ δ, and repels
    with 0.8 k tanh(d) elsewhere. For P and N the sums over a clip's pairs of exp(weight · cosine /
    τ), over both streams, the loss is the mean of -log(P / (P + N)), and that over x and y.

    Args:
        x: (B, T) vectors of one stream.
        y: (B, T) of another.
        labels: (B,) in [-1, 1].
        masked: Whether a pair counts in one of the sums; otherwise, as released, it also counts as
            exp(0) in the other.
    """
    gaps = (labels.unsqueeze(1) - labels).abs()  # (B, B)
    near = gaps <= _GAP
    attract = torch.where(near, _GAIN * torch.tanh(2 * _GAP - gaps), 0.0) / _TEMPERATURE
    repel = torch.where(near, 0.0, _REPULSION * _GAIN * torch.tanh(gaps)) / _TEMPERATURE
    x, y = normalize(x, dim=1), normalize(y, dim=1)
    return 0.5 * (
        _one_way(x, y, attract, repel, near if masked else None)
        + _one_way(y, x, attract, repel, near if masked else None)
    )


def _one_way(x: Tensor, y: Tensor, attract: Tensor, repel: Tensor, near: Tensor | None) -> Tensor:
    """The mean of -log(P / (P + N)) over the clips of x."""
    cosines = torch.cat([x @ y.T, x @ x.T], dim=1)  # (B, 2B)
    attracted, repelled = attract.repeat(1, 2) * cosines, repel.repeat(1, 2) * cosines
    if near is not None:
        inside = near.repeat(1, 2)
        attracted = attracted.masked_fill(~inside, -torch.inf)
        repelled = repelled.masked_fill(inside, -torch.inf)
    positive = attracted.logsumexp(1)  # (B,), never empty: each clip attracts itself
    every = torch.cat([attracted, repelled], dim=1).logsumexp(1)
    return (every - positive).mean()


_CHINESE: Mapping[str, Scalar] = {
    **{"size": 128, "fusion_size": 256, "squeeze": 8, "audio_heads": 3, "vision_heads": 1},
    **{"vector_dropout": 0.4, "fusion_dropout": 0.1, "contrast_weight": 0.38},
    **{"audio_lr": 5e-4, "vision_lr": 5e-4, "lr": 5e-4, "encoder_decay": 1e-3},
    **{"audio_decay": 0.01, "vision_decay": 0.01, "weight_decay": 1e-3},
    **{"horizon": 95, "batch_size": 64, "encoder": "bert-base-chinese"},
}

CLGSI = System(
    name="clgsi",
    card=Card(
        title="CLGSI",
        paper="CLGSI, contrastive learning guided by sentiment intensity. Findings of NAACL 2024."
        " Code AZYoung233/CLGSI c1070c8 (MIT), read",
        year=2024,
        url="https://github.com/AZYoung233/CLGSI",
        text="T-BERT",
        deviations=(
            "quirk=fixed: padding is masked and streams are read at their last true frame; as"
            " released every frame of the padded arrays counts and the last one is read",
            "quirk=fixed: labels enter the contrast over the end of their own range, and a pair"
            " counts once; as released labels of CH-SIMS, in -1 to 1, are divided by 3 as well, and"
            " every pair counts as exp(0) in the sum that it does not belong to",
            "quirk=fixed: layers of an encoder start apart, the rate stays at 0 when its schedule"
            " is over; as released layers start equal and the rate would rise again",
            "In both quirks a clip attracts itself so strongly that the contrast is near 0 unless"
            " clips of far labels are very similar",
            "Settings are those of the released configuration. The numbers in the repository come"
            " from others (another weight of the contrast, other horizons)",
            "Short cuts read means of the encoded streams; heads that do not divide a stream's"
            " features become their greatest common divisor with them",
            "CH-SIMS v2: settings of CH-SIMS (ours); none are published",
        ),
        selection=ReleasedSelection(
            source="AZYoung233/CLGSI c1070c8",
            rules=(SelectionRule(monitor="mae", digits=4, patience=8),),
        ),
    ),
    params=CLGSIParams,
    presets={
        "mosi": {},
        "mosei": {
            **{"size": 128, "fusion_size": 256, "squeeze": 8, "audio_heads": 2, "vision_heads": 5},
            **{"vector_dropout": 0.01, "fusion_dropout": 0.1, "contrast_weight": 0.48},
            **{"audio_lr": 5e-4, "vision_lr": 5e-4, "lr": 2.5e-3, "encoder_decay": 1e-3},
            **{"audio_decay": 0.0, "vision_decay": 0.0, "weight_decay": 0.01},
            **{"horizon": 40, "batch_size": 128},
        },
        "sims": {**_CHINESE, "max_tokens": 39},
        "simsv2": {**_CHINESE, "label_scale": 1.0},
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=SentimentNetwork,
)
