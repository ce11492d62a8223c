"""ITHP: text passes two bottlenecks; what comes through must tell audio, then vision.

Shapes: B clips, L tokens, D features of a stream, H hidden size of the encoder, Z of a bottleneck.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, inf, nn

from baselines._shared.bert import audio_vision, bert_groups, tokens_of
from baselines._shared.contrast import masked_mse
from baselines._shared.hidden import HiddenStates
from baselines._shared.padding import padded_tokens
from baselines._shared.schedules import from_zero
from baselines._shared.stages import whole
from baselines._shared.word_rows import WordRows
from baselines.mag_bert import draw_as_bert
from harness.data.batching import Batch, BatchSource, Tokens
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    ParameterGroup,
    QuirkParams,
    Stage,
    System,
    TokenParams,
    TrainingParams,
    TrainingProgress,
    param,
)

__all__ = ["ITHP", "HierarchicalPerception", "ITHPParams", "Perception", "surprise"]

_STREAMS = ("audio", "vision")  # in the order in which bottlenecks are asked for them


@dataclass(frozen=True, kw_only=True)
class ITHPParams(TokenParams, QuirkParams):
    """Hyper-parameters of ITHP."""

    encoder: str = param("microsoft/deberta-v3-base", source="ITHP; BERT-base on Chinese sets")
    hidden: int = param(256, low=1, source="ITHP; hidden units around a bottleneck")
    first_size: int = param(128, low=1, source="ITHP; Z of the first bottleneck")
    second_size: int = param(64, low=1, source="ITHP; Z of the second")
    audio_weight: float = param(8.0, low=0.0, source="ITHP; beta, of what audio is told")
    vision_weight: float = param(32.0, low=0.0, source="ITHP; gamma, of what vision is told")
    second_weight: float = param(0.3, low=0.0, source="ITHP; lambda, of the second bottleneck")
    shift: float = param(1.0, low=0.0, source="ITHP; share of the bottleneck in the text's states")
    dropout: float = param(0.3, low=0.0, high=1.0, source="ITHP; around bottlenecks")
    shift_dropout: float = param(0.5, low=0.0, high=1.0, source="ITHP; of shifted states")
    head_dropout: float = param(0.1, low=0.0, high=1.0, source="DeBERTa")
    lr: float = param(1e-5, low=0.0, source="ITHP")
    weight_decay: float = param(0.01, low=0.0, source="ITHP; not of biases and normalisations")
    batch_size: int = param(8, low=2, source="ITHP")
    loss: str = param("mse", choices=("l1", "mse"), source="ITHP")
    optimizer: str = param("adamw", choices=("adam", "adamw"), source="ITHP")
    schedule: str = param("linear", choices=("constant", "linear"), source="ITHP")
    warmup: float = param(0.1, low=0.0, high=1.0, source="ITHP")
    epochs: int = param(30, low=0, source="ITHP")

    def lr_factor(self, at: TrainingProgress) -> float:
        """As released, the first step has rate zero."""
        first = from_zero(self, at) if self.published else None
        return super().lr_factor(at) if first is None else first


class Perception(nn.Module):
    """A bottleneck: what passes is drawn from N(μ(x), σ²(x)) and has to tell another stream.

    Args:
        size: Features of what is read.
        passed: Z.
        told: Features of the stream that it has to tell.
        params: Hidden sizes and dropout.
    """

    def __init__(self, size: int, passed: int, told: int, params: ITHPParams) -> None:
        super().__init__()
        hidden = params.hidden
        self.encode = nn.Sequential(
            *(nn.Linear(size, hidden), nn.ReLU(), nn.Dropout(params.dropout)),
            nn.Linear(hidden, 2 * passed),
        )
        self.decode = nn.Sequential(
            *(nn.Linear(passed, hidden), nn.ReLU(), nn.Dropout(params.dropout)),
            *(nn.Linear(hidden, told), nn.Sigmoid()),
            nn.Dropout(params.dropout if params.published else 0.0),
        )
        self.noisy = params.published

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, L, size) -> what passed (B, L, Z), the stream told (B, L, told), μ and ln σ²."""
        mean, log_variance = self.encode(states).chunk(2, dim=2)  # (B, L, Z) each
        passed = mean
        if self.training or self.noisy:
            passed = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return passed, self.decode(passed), mean, log_variance


def surprise(mean: Tensor, log_variance: Tensor, mask: Tensor | None) -> Tensor:
    """KL(N(μ, σ²) || N(0, 1)) in nats, its mean over features and true tokens.

    Args:
        mean: (B, L, Z).
        log_variance: (B, L, Z).
        mask: (B, L) bool, True on true tokens; None: all count.
    """
    each = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)  # (B, L, Z)
    return each.mean() if mask is None else each[mask].mean()


class HierarchicalPerception(Network):
    """y of the first token of the text's states, shifted by what passed two bottlenecks.

    Audio and vision are targets of training; a prediction reads the text alone.
    """

    ranges: Tensor
    """(2, 2): least and largest value of audio, and of vision, in training."""

    def __init__(self, dims: Dims, params: ITHPParams) -> None:
        super().__init__()
        (_, audio), (_, vision) = map(dims.need, _STREAMS)
        self.params = params
        self.rows = WordRows(dims, params.tokens)
        self.encoder = HiddenStates(dims)
        wide = self.encoder.size
        self.first = Perception(wide, params.first_size, audio, params)
        self.second = Perception(params.first_size, params.second_size, vision, params)
        self.widen = nn.Linear(params.second_size, wide)
        self.norm = nn.LayerNorm(wide)
        self.shift_dropout = nn.Dropout(params.shift_dropout)
        self.head = nn.Sequential(
            *(nn.Linear(wide, wide), nn.Tanh(), nn.Dropout(params.head_dropout)),
            nn.Linear(wide, 1),
        )
        self.register_buffer("ranges", torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
        for part in (self.first, self.second, self.widen, self.head):
            part.apply(draw_as_bert)

    def begin(self, train: BatchSource, params: TrainingParams) -> None:
        """Look up the range of either stream, over all true frames and features."""
        found = [
            torch.stack([values.masked_fill(gap, inf).min(), values.masked_fill(gap, -inf).max()])
            for batch in train.in_order(params.batch_size)
            for stream in audio_vision(batch)
            for values, gap in [(stream.values, ~stream.mask.unsqueeze(2))]
        ]
        pairs = torch.stack(found).unflatten(0, (-1, 2))  # (batches, streams, 2)
        ends = (pairs[:, :, 0].amin(0), pairs[:, :, 1].amax(0))
        self.ranges.copy_(torch.stack(ends, dim=1))

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        tokens = tokens_of(batch)
        if self.params.published:  # padding is read as if it were text
            tokens = padded_tokens(tokens, self.params.max_tokens)
            count = tokens.ids.shape[1]
            known = None if tokens.on_host is None else torch.full_like(tokens.on_host, count)
            read = Tokens(tokens.ids, torch.ones_like(tokens.mask), tokens.segments, known)
        else:
            read = tokens
        states = self.encoder(read)  # (B, L, H)
        first = self.first(states)
        second = self.second(first[0])
        shifted = self.norm(self.params.shift * self.widen(second[0]) + states)
        prediction = self.head(self.shift_dropout(shifted)[:, 0]).squeeze(1)
        mask = None if self.params.published else tokens.mask.bool()
        audio, vision = (
            self._scaled(self.rows(tokens, stream), ends)
            for stream, ends in zip(audio_vision(batch), self.ranges, strict=True)
        )
        kept = [
            surprise(mean, log_variance, mask) + weight * masked_mse(told, target, mask)
            for (_, told, mean, log_variance), target, weight in (
                (first, audio, self.params.audio_weight),
                (second, vision, self.params.vision_weight),
            )
        ]
        share = 2 / (self.params.audio_weight + self.params.vision_weight)
        total = share * (kept[0] + self.params.second_weight * kept[1])
        return Output(prediction, {"bottlenecks": total})

    def _scaled(self, rows: Tensor, ends: Tensor) -> Tensor:
        """(B, L, D) between 0 and 1: over training, or as released over the batch, padding too."""
        low, high = (rows.min(), rows.max()) if self.params.published else ends
        scaled = (rows - low) / (high - low).clamp(min=1e-12)
        return scaled if self.params.published else scaled.clamp(0.0, 1.0)  # zeros at the ends

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Biases and normalisations are not decayed."""
        return bert_groups(self, params.lr, params.weight_decay)

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One, as long as the quirk wants it."""
        return whole(self.params)


_CHINESE = {"encoder": "bert-base-chinese"}

ITHP = System(
    name="ithp",
    card=Card(
        title="ITHP",
        paper="Xiao, Liu, Gupta, Cao, Li, Li, Fang, Cheng, Bogdan. Neuro-Inspired"
        " Information-Theoretic Hierarchical Perception for Multimodal Learning. ICLR 2024."
        " Code joshuaxiao98/ITHP c5414d5 (no licence), described and written anew",
        year=2024,
        url="https://arxiv.org/abs/2404.09403",
        text="T-BERT",
        unlisted="its repository prints none, and the paper's table has not been checked",
        deviations=(
            "Audio and vision are targets of training only: a prediction reads the text alone, so"
            " that losing them costs nothing. Compare it with bert_text on the same encoder",
            "quirk=fixed: the encoder's mask, no noise in evaluation, true tokens alone in losses,"
            " no dropout behind a sigmoid, targets scaled by their range in training; as released"
            " padding is read as text, noise is drawn in evaluation too, targets are scaled by the"
            " range of the batch, and what tells them is dropped at random",
            "quirk=fixed: the protocol's patience and best epoch; as released the last of 30 stays",
            "The released schedule counts full batches only, so that its last steps have rate zero",
            "Word pieces of a word share its row of audio and vision; words are read off the"
            " tokens, and unaligned streams are pooled to them. Published on MAG-BERT's"
            " word-aligned files (74 audio features; 47 of vision on CMU-MOSI, 35 on CMU-MOSEI),"
            " which msa data add FILE --layout mag-bert reads",
            "Its own scores leave clips labelled zero out of MAE and Corr, and come from one run",
            "CH-SIMS and CH-SIMS v2: a Chinese BERT (ours); no setting is published",
        ),
        declares={
            "deterministic@published": "noise passes the bottlenecks in evaluation as well",
            "neighbours@published": "a clip's noise depends on its place in the batch",
        },
        selection=ReleasedSelection(
            source="joshuaxiao98/ITHP c5414d5",
            rules=(SelectionRule(monitor="last"),),
        ),
    ),
    params=ITHPParams,
    presets={
        "mosi": {},
        "mosei": {},
        "sims": {**_CHINESE, "max_tokens": 39},
        "simsv2": _CHINESE,
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=HierarchicalPerception,
)
