"""DLF: what streams share and what only one of them says, gathered around the text.

Shapes: B clips, T steps of a stream after its convolution, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines._shared.bert import TokenEncoder, tokens_of
from baselines._shared.contrast import masked_mse, orthogonality, triplet_loss
from baselines._shared.padding import padded_tokens
from baselines._shared.transformer import CrossModalEncoder
from baselines._shared.zero_steps import ValuedPositions
from harness.data.batching import Batch, Sequence, Tokens
from harness.errors import SpecError
from harness.spec import ReleasedSelection, Scalar, SelectionRule
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    QuirkParams,
    Stage,
    System,
    TokenParams,
    TrainingParams,
    param,
)

__all__ = [
    "DLF",
    "DLFParams",
    "DisentangledFusion",
    "ResidualHead",
]

STREAMS = ("text", "vision", "audio")
PATIENCE = 10  # epochs, of the released early stop


@dataclass(frozen=True, kw_only=True)
class DLFParams(TokenParams, QuirkParams):
    """Hyper-parameters of DLF."""

    hidden: int = param(50, low=1, source="DLF code")
    heads: int = param(10, low=1, source="DLF code")
    layers: int = param(2, low=1, source="DLF code")
    memory_layers: int = param(3, low=1, source="DLF code: of the audio and vision memories")
    text_kernel: int = param(5, low=1, source="DLF code, MOSI")
    audio_kernel: int = param(5, low=1, source="DLF code, MOSI")
    vision_kernel: int = param(5, low=1, source="DLF code, MOSI")
    text_dropout: float = param(0.5, low=0.0, high=1.0, source="DLF code, MOSI")
    attention_dropout: float = param(0.3, low=0.0, high=1.0, source="DLF code, MOSI")
    audio_attention_dropout: float = param(0.2, low=0.0, high=1.0, source="DLF code, MOSI")
    vision_attention_dropout: float = param(0.0, low=0.0, high=1.0, source="DLF code")
    relu_dropout: float = param(0.0, low=0.0, high=1.0, source="DLF code")
    residual_dropout: float = param(0.0, low=0.0, high=1.0, source="DLF code")
    embed_dropout: float = param(0.2, low=0.0, high=1.0, source="DLF code, MOSI")
    output_dropout: float = param(0.5, low=0.0, high=1.0, source="DLF code")
    pieces: int = param(1, low=1, source="DLF code, MOSI: parts of a step kept orthogonal")
    text_weight: float = param(3.0, low=0.0, source="DLF code: of the text's own prediction")
    auxiliary_weight: float = param(0.1, low=0.0, source="DLF code")
    similarity_weight: float = param(0.1, low=0.0, source="DLF code: within the auxiliary losses")
    lr: float = param(1e-4, low=0.0, source="DLF code")
    batch_size: int = param(16, low=2, source="DLF code")
    accumulate: int = param(10, low=1, source="DLF code")
    clip_value: float = param(0.6, low=0.0, source="DLF code")
    plateau: int = param(6, low=0, source="DLF code: after more than 5 epochs")
    plateau_factor: float = param(0.5, low=0.0, high=1.0, source="DLF code")


class ResidualHead(nn.Module):
    """h = x + W2 dropout(ReLU(W1 x)), y = w · h + b."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            *(nn.Linear(size, size), nn.ReLU(), nn.Dropout(dropout)), nn.Linear(size, size)
        )
        self.output = nn.Linear(size, 1)

    def forward(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """(B, size) -> h (B, size) and y (B,)."""
        hidden = vector + self.inner(vector)
        return hidden, self.output(hidden).squeeze(1)


@dataclass(frozen=True, eq=False)
class _Steps:
    """A stream after its convolution: (B, T, D) and (B, T) true steps, None: all of them."""

    values: Tensor
    mask: Tensor | None


class DisentangledFusion(Network):
    """Text leads: it alone asks the other streams, and its own prediction weighs three times.

    Each stream m becomes s_m (its own encoder) and c_m (an encoder for all). The c_m are pooled and
    joined; the text reads s_m, m = audio, vision; four sigmoid gates join everything.
    """

    def __init__(self, dims: Dims, params: DLFParams) -> None:
        super().__init__()
        if params.hidden % params.heads or params.hidden % params.pieces:
            raise SpecError("hidden should be a multiple of heads and of pieces")
        self.params, self.published = params, params.published
        self.bert = TokenEncoder(dims)
        size = params.hidden
        widths = {"text": self.bert.size} | {m: dims.need(m)[1] for m in ("audio", "vision")}
        frames = {"text": params.max_tokens} | {m: dims.need(m)[0] for m in ("audio", "vision")}
        self.kernels = {
            "text": params.text_kernel,
            "audio": params.audio_kernel,
            "vision": params.vision_kernel,
        }
        self.steps = {m: max(frames[m] - self.kernels[m], 0) + 1 for m in STREAMS}
        self.project = nn.ModuleDict(
            {m: nn.Conv1d(widths[m], size, self.kernels[m], bias=False) for m in STREAMS}
        )
        self.specific = nn.ModuleDict({m: _encoder(params, m) for m in STREAMS})
        self.shared = _encoder(params, "text")
        self.decode = nn.ModuleDict({m: nn.Linear(2 * size, size, bias=False) for m in STREAMS})
        self.align = nn.ModuleDict({m: nn.Linear(self.steps[m] * size, size) for m in STREAMS})
        self._build_fusion(params)
        if self.published:
            self.unused = _unused(params, self.steps)

    def _build_fusion(self, params: DLFParams) -> None:
        size, dropout = params.hidden, params.output_dropout
        self.common = nn.ModuleDict({m: _encoder(params, m) for m in STREAMS})
        self.attract = nn.ModuleDict({m: _encoder(params, m) for m in ("audio", "vision")})
        self.memory = nn.ModuleDict(
            {
                "text": _encoder(params, "text"),
                "audio": _encoder(params, "text", max(params.layers, params.memory_layers)),
                "vision": _encoder(params, "text", max(params.layers, params.memory_layers)),
            }
        )
        self.common_head = ResidualHead(3 * size, dropout)
        self.heads = nn.ModuleDict({m: ResidualHead(size, dropout) for m in STREAMS})
        self.gates = nn.ModuleDict({m: nn.Linear(size, size) for m in STREAMS})
        self.common_gate = nn.Linear(3 * size, 3 * size)
        self.head = ResidualHead(6 * size, dropout)
        self.text_dropout = nn.Dropout(params.text_dropout)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch; the losses of disentanglement are those of training."""
        streams = self._streams(batch)
        own = {m: self._encode(self.specific[m], stream) for m, stream in streams.items()}
        shared = {m: self._encode(self.shared, stream) for m, stream in streams.items()}
        common = torch.cat(
            [_last(self._encode(self.common[m], shared[m])) for m in STREAMS], dim=1
        )  # (B, 3 D)
        told: dict[str, Tensor] = {}
        gated = []
        for m, vector in self._around_text(own).items():
            hidden, told[m] = self.heads[m](vector)  # (B, D), (B,)
            gated.append(torch.sigmoid(self.gates[m](hidden)))
        gated.append(torch.sigmoid(self.common_gate(common)))  # (B, 3 D)
        _, prediction = self.head(torch.cat(gated, dim=1))  # from (B, 6 D)
        if not self.training:
            return Output(prediction)
        told["common"] = self.common_head(common)[1]
        losses = {f"{m}_task": self._weight(m) * _l1(told[m], batch.labels) for m in told}
        return Output(prediction, losses | self._auxiliary(streams, own, shared, batch.labels))

    def _streams(self, batch: Batch) -> dict[str, _Steps]:
        """Every stream at D features, one step per place of its convolution's window."""
        assert batch.audio is not None
        assert batch.vision is not None
        text = self._text(tokens_of(batch))
        return {
            m: self._convolved(m, sequence)
            for m, sequence in zip(STREAMS, (text, batch.vision, batch.audio), strict=True)
        }

    def _text(self, tokens: Tokens) -> Sequence:
        """The hidden states of the tokens; as published those of the padding too."""
        limit = self.params.max_tokens
        if self.published:
            tokens = padded_tokens(tokens, limit)
        hidden = self.text_dropout(self.bert(tokens))
        if not self.published:
            hidden = hidden * tokens.mask.unsqueeze(2)
        return Sequence(hidden, tokens.mask.sum(1), limit)

    def _convolved(self, name: str, sequence: Sequence) -> _Steps:
        kernel = self.kernels[name]
        values = sequence.untrimmed() if self.published else sequence.values
        missing = max(0, kernel - values.shape[1])  # a window needs that many frames
        values = functional.pad(values, (0, 0, 0, missing))
        projected = self.project[name](values.mT).mT  # (B, T, D)
        if self.published:
            return _Steps(projected, None)  # as released, padding counts as steps
        true = (sequence.lengths - kernel + 1).clamp(min=1)  # those of the clip read alone
        steps = torch.arange(projected.shape[1], device=projected.device)
        return _Steps(projected, steps < true.unsqueeze(1))

    def _encode(self, encoder: nn.Module, stream: _Steps) -> _Steps:
        return _Steps(encoder(stream.values, query_mask=stream.mask), stream.mask)

    def _around_text(self, own: Mapping[str, _Steps]) -> dict[str, Tensor]:
        """(B, D) of what the text says, and of what it finds in vision and in audio."""
        text = own["text"]
        vectors = {"text": _last(self._encode(self.memory["text"], text))}
        for m in ("vision", "audio"):
            read = self.attract[m](
                text.values, own[m].values, query_mask=text.mask, source_mask=own[m].mask
            )
            vectors[m] = _last(self._encode(self.memory[m], _Steps(read, text.mask)))
        return vectors

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One, with the patience of the released code where that is kept."""
        return (Stage(patience=PATIENCE if self.published else None),)

    def _weight(self, task: str) -> float:
        return self.params.text_weight if task == "text" else 1.0

    def _auxiliary(
        self,
        streams: Mapping[str, _Steps],
        own: Mapping[str, _Steps],
        shared: Mapping[str, _Steps],
        labels: Tensor,
    ) -> dict[str, Tensor]:
        """Rebuild each stream from both halves, keep the halves apart and the shared ones alike."""
        names = ("rebuilt", "specific", "orthogonal")
        sums = {name: labels.new_zeros(()) for name in names}
        for m, stream in streams.items():
            mask = stream.mask
            halves = torch.cat([own[m].values, shared[m].values], dim=2)  # (B, T, 2 D)
            rebuilt = _Steps(self.decode[m](halves), mask)
            again = self._encode(self.specific[m], rebuilt)
            sums["rebuilt"] += masked_mse(rebuilt.values, stream.values, mask)
            sums["specific"] += masked_mse(own[m].values, again.values, mask)
            sums["orthogonal"] += orthogonality(
                own[m].values, shared[m].values, mask, self.params.pieces
            )
        alike = torch.cat([self._aligned(m, shared[m]) for m in STREAMS])  # (3 B, D)
        sums["triplet"] = triplet_loss(alike, labels.repeat(len(STREAMS)))
        similar, weight = self.params.similarity_weight, self.params.auxiliary_weight
        scales = {"orthogonal": similar, "triplet": similar}
        return {name: weight * scales.get(name, 1.0) * value for name, value in sums.items()}

    def _aligned(self, name: str, stream: _Steps) -> Tensor:
        """(B, D): all steps of a clip as one vector, projected."""
        values = stream.values
        if stream.mask is not None:
            values = values * stream.mask.unsqueeze(2)
        values = functional.pad(values, (0, 0, 0, self.steps[name] - values.shape[1]))
        aligned: Tensor = self.align[name](values.flatten(1))  # from (B, T D)
        return aligned


def _last(stream: _Steps) -> Tensor:
    """(B, D) of each clip's last true step."""
    if stream.mask is None:
        return stream.values[:, -1]
    ends = stream.mask.sum(1) - 1  # (B,)
    return stream.values[torch.arange(len(ends), device=ends.device), ends]


def _l1(prediction: Tensor, labels: Tensor) -> Tensor:
    return functional.l1_loss(prediction, labels)


def _encoder(params: DLFParams, stream: str, layers: int = 0) -> CrossModalEncoder:
    """An encoder with the attention dropout of a stream."""
    dropouts = {
        "text": params.attention_dropout,
        "audio": params.audio_attention_dropout,
        "vision": params.vision_attention_dropout,
    }
    kind = ValuedPositions if params.published else CrossModalEncoder
    return kind(
        params.hidden,
        params.heads,
        layers or params.layers,
        attention_dropout=dropouts[stream],
        relu_dropout=params.relu_dropout,
        residual_dropout=params.residual_dropout,
        embed_dropout=params.embed_dropout,
    )


def _unused(params: DLFParams, steps: Mapping[str, int]) -> nn.ModuleList:
    """What the released code builds and no loss reaches; frozen, it only counts."""
    size = params.hidden
    unused = nn.ModuleList(_encoder(params, m) for m in ("text", "audio", "text", "vision"))
    for m in STREAMS:
        flat = steps[m] * size
        shrink, grow = nn.Linear(flat, size), nn.Linear(size, flat)
        unused.extend([nn.Linear(flat, size), shrink, grow, nn.Linear(flat, 1)])
    return unused.requires_grad_(False)


_MOSEI: Mapping[str, Scalar] = {
    **{"hidden": 50, "heads": 10, "layers": 2, "pieces": 5},
    **{"text_kernel": 3, "audio_kernel": 3, "vision_kernel": 3},
    **{"text_dropout": 0.1, "attention_dropout": 0.5, "embed_dropout": 0.0},
    **{"audio_attention_dropout": 0.0, "vision_attention_dropout": 0.0},
    **{"relu_dropout": 0.0, "residual_dropout": 0.0, "output_dropout": 0.5},
    **{"batch_size": 16, "lr": 1e-4, "clip_value": 0.6, "accumulate": 10},
}
_MOSI: Mapping[str, Scalar] = {
    **{"hidden": 50, "heads": 10, "layers": 2, "pieces": 1},
    **{"text_kernel": 5, "audio_kernel": 5, "vision_kernel": 5},
    **{"text_dropout": 0.5, "attention_dropout": 0.3, "embed_dropout": 0.2},
    **{"audio_attention_dropout": 0.2, "vision_attention_dropout": 0.0},
    **{"relu_dropout": 0.0, "residual_dropout": 0.0, "output_dropout": 0.5},
    **{"batch_size": 16, "lr": 1e-4, "clip_value": 0.6, "accumulate": 10},
}
_CHINESE: Mapping[str, Scalar] = {**_MOSI, "encoder": "bert-base-chinese"}

DLF = System(
    name="dlf",
    card=Card(
        title="DLF",
        paper="Wang, Zhou, Wu, Chen, Hu. DLF: Disentangled-Language-Focused Multimodal Sentiment"
        " Analysis. AAAI 2025",
        year=2025,
        url="https://github.com/pwang322/DLF",
        text="T-BERT",
        deviations=(
            "quirk=fixed: padding is masked, 'last' is the last true step, losses average true"
            " steps; the released code treats the padding as speech",
            "quirk=fixed: four encoders and twelve linear layers that no loss reaches are left"
            " out; quirk=published keeps them, frozen",
            "quirk=fixed: every true step has a position; as released a step has none whose first"
            " projected feature is exactly 0, as that of all padding is",
            "quirk=fixed: the protocol's patience; that of the released code, kept by"
            " quirk=published, is 10 epochs",
            "Selection: the protocol's, on validation MAE; the released code's on the validation"
            " loss, L1, a mean of batch means rounded to four digits",
            "The weight decay of the released settings is not a preset: its Adam never sees it",
            "The learning rate halves on the validation MAE, in the released code on its L1 loss",
            "CH-SIMS: no published settings; MOSI's with a Chinese encoder",
        ),
        selection=ReleasedSelection(
            source="DLF code, trains/singleTask/DLF.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=10),),
        ),
    ),
    params=DLFParams,
    presets={"mosi": _MOSI, "mosei": _MOSEI, "sims": _CHINESE, "simsv2": _CHINESE},
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=DisentangledFusion,
)
