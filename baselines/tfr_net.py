"""TFR-Net: streams read each other despite holes, and learn to say what the holes held.

Shapes: B clips, T steps of a stream, H hidden size, W = 3 H.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, smooth_l1_loss

from baselines._shared.bert import TokenEncoder, audio_vision, bert_groups, tokens_of
from baselines._shared.missing import (
    check_unknown,
    kept_frames,
    kept_tokens,
    without_frames,
    without_tokens,
)
from baselines._shared.padding import padded_tokens, steps_of
from baselines._shared.transformer import CrossModalEncoder
from baselines._shared.zero_steps import ValuedPositions
from baselines.misa import moment_distance
from harness.data.batching import Batch
from harness.errors import SpecError
from harness.spec import ReleasedSelection, Scalar, SelectionRule
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
    param,
)

if TYPE_CHECKING:
    from harness.data.batching import Sequence

__all__ = [
    "TFR_NET",
    "GatedSummary",
    "ReconstructingNetwork",
    "TFRNetParams",
    "TimeAttention",
    "damaged",
    "reconstruction_loss",
]

NAMES = ("text", "audio", "vision")
PATIENCE = 6  # epochs, of the released early stop
SELF_LAYERS = 3  # at least; fixed in the released code
MOMENTS = 3  # compared by the central moment discrepancy

Steps = tuple[Tensor, Tensor | None]
"""Values (B, T, D) of a stream and (B, T) bool, True on true steps; None: every step counts."""


@dataclass(frozen=True, kw_only=True)
class TFRNetParams(TokenParams, QuirkParams):
    """Hyper-parameters of TFR-Net; ``lr`` and ``weight_decay`` are those of all but the encoder."""

    hidden: int = param(30, low=1, source="MMSA, dst_feature_dim; divisible by heads")
    heads: int = param(6, low=1, source="MMSA")
    layers: int = param(3, low=1, source="MMSA, MOSI, nlevels; where streams read each other")
    time_heads: int = param(25, low=1, source="MMSA, num_temporal_head")
    text_kernel: int = param(1, low=1, source="MMSA")
    audio_kernel: int = param(5, low=1, source="MMSA")
    vision_kernel: int = param(3, low=1, source="MMSA")
    text_dropout: float = param(0.2, low=0.0, high=1.0, source="MMSA; of hidden states")
    attention_dropout: float = param(
        0.2, low=0.0, high=1.0, source="MMSA; where text is read, and in self-attention"
    )
    audio_attention_dropout: float = param(
        0.1, low=0.0, high=1.0, source="MMSA; where audio is read"
    )
    vision_attention_dropout: float = param(
        0.0, low=0.0, high=1.0, source="MMSA; where vision is read"
    )
    relu_dropout: float = param(0.2, low=0.0, high=1.0, source="MMSA, MOSI")
    residual_dropout: float = param(0.2, low=0.0, high=1.0, source="MMSA")
    embed_dropout: float = param(0.2, low=0.0, high=1.0, source="MMSA, MOSI")
    causal: bool = param(True, source="MMSA, attn_mask")
    text_size: int = param(36, low=1, source="MMSA, fusion_t_hid")
    audio_size: int = param(20, low=1, source="MMSA, fusion_a_hid")
    vision_size: int = param(48, low=1, source="MMSA, fusion_v_hid")
    summary_layers: int = param(3, low=1, source="MMSA, fusion_gru_layers")
    summary_dropout: float = param(0.2, low=0.0, high=1.0, source="MMSA, fusion_drop")
    fusion_size: int = param(128, low=1, source="MMSA, cls_hidden_dim")
    fusion_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI, cls_dropout")
    rebuild_text: float = param(5.0, low=0.0, source="MMSA, MOSI; of reconstructing text")
    rebuild_audio: float = param(2.0, low=0.0, source="MMSA, MOSI; of reconstructing audio")
    rebuild_vision: float = param(20.0, low=0.0, source="MMSA, MOSI; of reconstructing vision")
    moment_weight: float = param(5.0, low=0.0, source="MMSA, weight_sim_loss")
    loss_rate: float = param(
        0.2, low=0.0, high=1.0, source="MMSA, missing rate; of steps in each training stream"
    )
    unknown_token: int = param(100, low=0, source="MMSA; [UNK] of both BERT-base vocabularies")
    encoder_lr: float = param(2e-6, low=0.0, source="MMSA, MOSI")
    encoder_decay: float = param(1e-4, low=0.0, source="MMSA")
    lr: float = param(1e-3, low=0.0, source="MMSA, MOSI")
    weight_decay: float = param(1e-3, low=0.0, source="MMSA")
    batch_size: int = param(24, low=2, source="MMSA, MOSI")
    accumulate: int = param(4, low=1, source="MMSA")
    clip_value: float = param(0.8, low=0.0, source="MMSA")
    plateau: int = param(6, low=0, source="MMSA, MOSI, patience + 1")


class TimeAttention(nn.Module):
    """Self-attention among the W features of a stream, each a vector of its values over time.

    As released, the clips of a batch attend to each other instead, each to those before it.

    Args:
        params: Sizes; ``time_heads`` divides time, which is continued by zeros where it does not.
        frames: Padded length of the stream in the corpus.

    Raises:
        SpecError: As released, when ``time_heads`` does not divide ``frames``.
    """

    def __init__(self, params: TFRNetParams, frames: int) -> None:
        super().__init__()
        self.published = params.published
        if self.published and frames % params.time_heads:
            raise SpecError(
                f"published TFR-Net splits {frames} steps among {params.time_heads} heads",
                hint='quirk = "fixed", or time_heads that divides the padded lengths',
            )
        self.frames = params.time_heads * math.ceil(frames / params.time_heads)
        self.encode = _encoder(
            params,
            self.frames,
            params.attention_dropout,
            heads=params.time_heads,
            layers=max(SELF_LAYERS, params.layers),
            positions=False,
            causal=params.causal and self.published,
        )

    def forward(self, steps: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, W) and (B, T) -> (B, T, W)."""
        if mask is not None:
            steps = steps * mask.unsqueeze(2)
        length = steps.shape[1]
        waves = pad(steps, (0, 0, 0, self.frames - length)).mT  # (B, W, frames)
        # As released, clips take the place of the features: (W, B, frames).
        waves = waves.transpose(0, 1) if self.published else waves
        waves = self.encode(waves)
        attended: Tensor = waves.transpose(0, 1) if self.published else waves
        return attended.mT[:, :length]  # (B, T, W)


class GatedSummary(nn.Module):
    """max over time of tanh(W [x; g tanh(s)] + b), s from a GRU both ways, g = σ(conv(s)).

    Args:
        size: W.
        hidden: K, size of a GRU state each way and of the summary.
        layers: Of the GRU.
        dropout: Of the summary.
    """

    def __init__(self, size: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.gru = nn.GRU(size, hidden, layers, batch_first=True, bidirectional=True)
        self.gate = nn.Conv1d(2 * hidden, 1, 3, padding=1)
        self.project = nn.Linear(2 * hidden + size, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, stream: Sequence, mask: Tensor | None) -> Tensor:
        """Summarise a stream.

        Args:
            steps: (B, T, W).
            stream: Whose true steps the GRU reads.
            mask: (B, T) bool, which steps the maximum looks at; None: all.

        Returns:
            (B, K).
        """
        states = stream.unpacked(self.gru(stream.packed(steps))[0], steps.shape[1])
        # (B, T, 2K), zero in the padding
        gate = self.gate(states.mT).sigmoid().mT  # (B, T, 1)
        answer = self.project(torch.cat([steps, gate * states.tanh()], dim=2)).tanh()  # (B, T, K)
        if mask is not None:
            answer = answer.masked_fill(~mask.unsqueeze(2), -1.0)  # what tanh never falls below
        summary: Tensor = self.dropout(answer.amax(1))
        return summary


class ReconstructingNetwork(Network):
    """y = MLP(batch norm([summary of each stream])); each stream reads itself and both others.

    In training, streams have holes; from what it read, each says what was there.
    """

    def __init__(self, dims: Dims, params: TFRNetParams) -> None:
        super().__init__()
        check_unknown(dims, params.unknown_token)
        self.params, self.epoch = params, 1
        self.encoder = TokenEncoder(dims)
        shapes = {"text": (params.max_tokens, self.encoder.size)}
        shapes |= {name: dims.need(name) for name in NAMES[1:]}
        self.convolutions = nn.ModuleDict(
            {name: _convolution(name, size, params) for name, (_, size) in shapes.items()}
        )
        self.readers = nn.ModuleDict(
            {
                f"{reader}_{read}": _reader(reader, read, params)
                for reader in NAMES
                for read in NAMES
            }
        )
        width = 3 * params.hidden
        self.times = nn.ModuleDict(
            {name: TimeAttention(params, frames) for name, (frames, _) in shapes.items()}
        )
        self.generators = nn.ModuleDict(
            {name: nn.Linear(width, size) for name, (_, size) in shapes.items()}
        )
        sizes = {name: int(getattr(params, f"{name}_size")) for name in NAMES}
        self.summaries = nn.ModuleDict(
            {
                name: GatedSummary(width, size, params.summary_layers, params.summary_dropout)
                for name, size in sizes.items()
            }
        )
        self.head = nn.Sequential(
            nn.BatchNorm1d(sum(sizes.values())),
            *(nn.Linear(sum(sizes.values()), params.fusion_size), nn.LeakyReLU()),
            *(nn.Dropout(params.fusion_dropout), nn.Linear(params.fusion_size, 1)),
        )
        self.text_dropout = nn.Dropout(params.text_dropout)

    def begin_epoch(self, epoch: int) -> None:
        """Reconstruction counts from the second epoch on."""
        self.epoch = epoch

    def forward(self, batch: Batch) -> Output:
        """Predict one batch: with holes in training, as it is in evaluation."""
        if not self.training:
            return Output(self.predict(batch, self.read(self.inputs(batch))))
        incomplete, kept = damaged(batch, self.params)
        read = self.read(self.inputs(incomplete))
        prediction = self.predict(batch, read)
        if self.epoch == 1:
            return Output(prediction)
        return Output(prediction, self.losses(batch, read, kept))

    def inputs(self, batch: Batch) -> dict[str, Steps]:
        """Hidden states of text, features of audio and vision."""
        padded, tokens = self.params.published, tokens_of(batch)
        if padded:
            tokens = padded_tokens(tokens, self.params.max_tokens)
        audio, vision = audio_vision(batch)
        return {
            "text": (self.encoder(tokens), None if padded else tokens.mask.bool()),
            "audio": steps_of(audio, padded=padded),
            "vision": steps_of(vision, padded=padded),
        }

    def read(self, inputs: dict[str, Steps]) -> dict[str, Steps]:
        """Each stream in its own light and that of both others, (B, T, W)."""
        streams: dict[str, Steps] = {}
        for name, (values, mask) in inputs.items():
            values = self.text_dropout(values) if name == "text" else values
            values = values if mask is None else values * mask.unsqueeze(2)
            streams[name] = self.convolutions[name](values.mT).mT, mask  # (B, T, H)
        return {name: self._read(name, streams) for name in NAMES}

    def _read(self, name: str, streams: dict[str, Steps]) -> Steps:
        own, mask = streams[name]
        seen = [self.readers[f"{name}_{name}"](own, query_mask=mask)]
        for other in NAMES:
            if other != name:
                values, holds = streams[other]
                reader = self.readers[f"{name}_{other}"]
                seen.append(reader(own, values, query_mask=mask, source_mask=holds))
        return torch.cat(seen, dim=2), mask  # (B, T, W)

    def predict(self, batch: Batch, read: dict[str, Steps]) -> Tensor:
        """(B,) from what each stream read."""
        audio, vision = audio_vision(batch)
        streams = tokens_of(batch).stream(read["text"][0]), audio, vision
        parts = [
            self.summaries[name](read[name][0], stream, read[name][1])
            for name, stream in zip(NAMES, streams, strict=True)
        ]
        prediction: Tensor = self.head(torch.cat(parts, dim=1)).squeeze(1)
        return prediction

    def losses(
        self, batch: Batch, read: dict[str, Steps], kept: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Weighted reconstruction loss of each stream's holes.

        Args:
            batch: The clips without holes.
            read: What the damaged streams read.
            kept: (B, T) bool, steps that were not lost.
        """
        with torch.set_grad_enabled(self.params.published):  # as released, targets are trained
            complete = self.inputs(batch)
        audio, vision = audio_vision(batch)
        true = {"text": tokens_of(batch).mask.bool(), "audio": audio.mask, "vision": vision.mask}
        losses = {}
        for name, (target, _) in complete.items():
            rebuilt = self.generators[name](self.times[name](*read[name]))  # (B, T, D)
            lost = true[name] & ~kept[name]
            # Targets as released keep their padding, of which nothing was lost.
            lost = pad(lost, (0, target.shape[1] - lost.shape[1]))
            weight = float(getattr(self.params, f"rebuild_{name}"))
            loss = reconstruction_loss(rebuilt, target, lost, self.params.moment_weight)
            losses[f"{name}_reconstruction"] = weight * loss
        return losses

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One, with the patience of the released code where that is kept."""
        return (Stage(patience=PATIENCE if self.params.published else None),)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """The encoder at its own rate."""
        assert isinstance(params, TFRNetParams)
        encoder = {id(p) for p in self.encoder.parameters()}
        return [
            *bert_groups(self.encoder, params.encoder_lr, params.encoder_decay),
            {"params": [p for p in self.parameters() if id(p) not in encoder]},
        ]


def damaged(batch: Batch, params: TFRNetParams) -> tuple[Batch, dict[str, Tensor]]:
    """The batch with steps dropped; by stream (B, T) bool, True on true steps that were kept."""
    tokens, (audio, vision) = tokens_of(batch), audio_vision(batch)
    rates = torch.full((len(batch),), params.loss_rate, device=batch.labels.device)
    kept = {
        "text": kept_tokens(tokens, rates),
        "audio": kept_frames(audio, rates),
        "vision": kept_frames(vision, rates),
    }
    incomplete = dataclasses.replace(
        batch,
        tokens=without_tokens(tokens, kept["text"], params.unknown_token),
        audio=without_frames(audio, kept["audio"]),
        vision=without_frames(vision, kept["vision"]),
    )
    return incomplete, kept


def reconstruction_loss(
    rebuilt: Tensor, target: Tensor, lost: Tensor, moment_weight: float
) -> Tensor:
    """(Σ smooth L1 + weight × central moment discrepancy) / number of values lost.

    Both see zeros in place of steps that were not lost.

    Args:
        rebuilt: (B, T, D).
        target: (B, T, D).
        lost: (B, T) bool.
        moment_weight: Of the discrepancy.
    """
    lost = lost.unsqueeze(2).to(target.dtype)  # (B, T, 1)
    rebuilt, target = rebuilt * lost, target * lost
    distance = smooth_l1_loss(rebuilt, target, reduction="sum")
    # Steps of all clips are one sample: (B T, D).
    moments = moment_distance(rebuilt.flatten(0, 1), target.flatten(0, 1), MOMENTS)
    count = lost.sum() * target.shape[2] + 1e-4  # defined where nothing was lost
    return (distance + moment_weight * moments) / count


def _convolution(name: str, size: int, params: TFRNetParams) -> nn.Conv1d:
    kernel = int(getattr(params, f"{name}_kernel"))
    return nn.Conv1d(size, params.hidden, kernel, padding="same", bias=False)


def _reader(reader: str, read: str, params: TFRNetParams) -> CrossModalEncoder:
    dropout, layers = params.attention_dropout, params.layers
    if reader == read:
        layers = max(SELF_LAYERS, layers)
    elif read != "text":
        dropout = float(getattr(params, f"{read}_attention_dropout"))
    return _encoder(
        params, params.hidden, dropout, heads=params.heads, layers=layers, causal=params.causal
    )


def _encoder(
    params: TFRNetParams,
    size: int,
    dropout: float,
    *,
    heads: int,
    layers: int,
    positions: bool = True,
    causal: bool,
) -> CrossModalEncoder:
    kind = ValuedPositions if params.published else CrossModalEncoder
    return kind(
        size,
        heads,
        layers,
        attention_dropout=dropout,
        relu_dropout=params.relu_dropout,
        residual_dropout=params.residual_dropout,
        embed_dropout=params.embed_dropout,
        positions=positions,
        causal=causal,
    )


_SIMS: Mapping[str, Scalar] = {
    **{"encoder": "bert-base-chinese", "layers": 2, "hidden": 30, "heads": 6},
    **{"relu_dropout": 0.0, "embed_dropout": 0.1, "fusion_dropout": 0.1},
    **{"rebuild_text": 1.0, "rebuild_audio": 1e-2, "rebuild_vision": 1e-4},
    **{"encoder_lr": 1e-5, "lr": 2e-3, "batch_size": 16, "plateau": 11},
}

TFR_NET = System(
    name="tfr_net",
    card=Card(
        title="TFR-Net",
        paper="Yuan, Li, Xu, Yu. Transformer-based Feature Reconstruction Network for Robust"
        " Multimodal Sentiment Analysis. ACM Multimedia 2021; as implemented in MMSA",
        year=2021,
        url="https://doi.org/10.1145/3474085.3475585",
        text="T-BERT",
        deviations=(
            "Evaluated on complete inputs here; the authors train and test at each loss rate, so"
            " that none of their numbers is comparable",
            "Training inputs lose steps anew in every batch; MMSA draws the lost steps once",
            "quirk=fixed: features attend to each other over a clip's time, continued by zeros to"
            " a multiple of the heads; in the released code the clips of a batch attend to each"
            " other, and lengths that the heads do not divide (CH-SIMS: 39) are refused",
            "quirk=fixed: padding is masked; the released code attends to it and takes the"
            " maximum over it",
            "quirk=fixed: hidden states to be reconstructed are constants; as released they are"
            " trained too",
            "quirk=fixed: a step takes the mean gradient of up to four batches. MMSA steps after"
            " every batch with what has gathered since the last reset and once more after the"
            " fourth; quirk=published steps once, with the sum",
            "quirk=fixed: every true step has a position; as released a step has none whose first"
            " projected feature is exactly 0, as that of all padding is",
            "quirk=fixed: the protocol's patience; MMSA's, kept by quirk=published, is 6 epochs",
            "Text of CH-SIMS is read by a Chinese encoder; MMSA forgets to say which one and runs"
            " CH-SIMS on bert-base-uncased",
            "As in MMSA, reconstruction counts from the second epoch on",
            "MMSA's patience is passed, not reached, when the rate drops: plateau is one more",
            "CH-SIMS v2: settings of CH-SIMS (ours); MMSA lists none",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/missingTask/TFR_NET.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=6),),
            notes=(
                "MMSA validates on clips with a fifth of their steps missing; here on those of the"
                " protocol, complete ones",
            ),
        ),
    ),
    params=TFRNetParams,
    presets={
        "mosi": {
            **{"encoder": "bert-base-uncased", "max_tokens": 50},
            **{"layers": 3, "hidden": 30, "heads": 6},
            **{"relu_dropout": 0.2, "embed_dropout": 0.2, "fusion_dropout": 0.0},
            **{"rebuild_text": 5.0, "rebuild_audio": 2.0, "rebuild_vision": 20.0},
            **{"encoder_lr": 2e-6, "lr": 1e-3, "batch_size": 24, "plateau": 6},
        },
        "mosei": {
            **{"encoder": "bert-base-uncased", "max_tokens": 50},
            **{"layers": 3, "hidden": 30, "heads": 6},
            **{"relu_dropout": 0.2, "embed_dropout": 0.2, "fusion_dropout": 0.0},
            **{"rebuild_text": 5e-6, "rebuild_audio": 2e-6, "rebuild_vision": 2e-5},
            **{"encoder_lr": 1e-5, "lr": 2e-3, "batch_size": 24, "plateau": 6},
        },
        "sims": {**_SIMS, "max_tokens": 39},
        "simsv2": {**_SIMS, "max_tokens": 50},
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=ReconstructingNetwork,
)
