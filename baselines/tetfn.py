"""TETFN: text takes part whenever audio and vision read each other; labels made as by Self-MM.

Shapes: B clips, T frames, N steps after the convolution, H hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from baselines._shared.bert import TokenEncoder, audio_vision, bert_groups, tokens_of
from baselines._shared.label_bank import UNIMODAL, SelfLabelled
from baselines._shared.padding import padded_tokens, steps_of
from baselines._shared.transformer import CrossModalEncoder
from baselines.self_mm import Head
from harness.data.batching import Batch, Sequence
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import (
    Card,
    Dims,
    Output,
    ParameterGroup,
    QuirkParams,
    System,
    TokenParams,
    TrainingParams,
    param,
)

__all__ = ["TETFN", "Steps", "TETFNParams", "TextEnhanced", "TextEnhancedFusion", "windows"]

LAYERS = 2  # fixed in the released code; of the lower encoder of a text-enhanced one: 1
OTHERS = {
    "text": ("audio", "vision"),
    "audio": ("text", "vision"),
    "vision": ("text", "audio"),
}


@dataclass(frozen=True, kw_only=True)
class TETFNParams(TokenParams, QuirkParams):
    """Hyper-parameters of TETFN; ``lr`` and ``weight_decay`` are those of all but encoders."""

    hidden: int = param(50, low=1, source="MMSA, dst_feature_dims; divisible by heads")
    heads: int = param(5, low=1, source="MMSA")
    audio_hidden: int = param(16, low=1, source="MMSA, MOSI; state of the LSTM")
    vision_hidden: int = param(64, low=1, source="MMSA, MOSI; state of the LSTM")
    text_kernel: int = param(1, low=1, source="MMSA, MOSI")
    audio_kernel: int = param(1, low=1, source="MMSA, MOSI")
    vision_kernel: int = param(3, low=1, source="MMSA, MOSI; published: not read")
    attention_dropout: float = param(
        0.1, low=0.0, high=1.0, source="MMSA, MOSI; where text is read, and in the memories"
    )
    audio_attention_dropout: float = param(
        0.0, low=0.0, high=1.0, source="MMSA, MOSI; where text reads audio"
    )
    vision_attention_dropout: float = param(
        0.1, low=0.0, high=1.0, source="MMSA, MOSI; where text reads vision"
    )
    relu_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI")
    residual_dropout: float = param(0.1, low=0.0, high=1.0, source="MMSA, MOSI")
    embed_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI")
    fusion_size: int = param(64, low=1, source="MMSA, MOSI")
    text_size: int = param(32, low=1, source="MMSA, MOSI")
    audio_size: int = param(32, low=1, source="MMSA, MOSI")
    vision_size: int = param(16, low=1, source="MMSA, MOSI")
    fusion_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI")
    text_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI")
    audio_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI")
    vision_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI")
    encoder_lr: float = param(3e-5, low=0.0, source="MMSA, MOSI")
    audio_lr: float = param(5e-4, low=0.0, source="MMSA, MOSI")
    vision_lr: float = param(3e-4, low=0.0, source="MMSA, MOSI")
    lr: float = param(3e-4, low=0.0, source="MMSA, MOSI")
    encoder_decay: float = param(1e-3, low=0.0, source="MMSA, MOSI")
    audio_decay: float = param(1e-2, low=0.0, source="MMSA, MOSI")
    vision_decay: float = param(0.0, low=0.0, source="MMSA, MOSI")
    weight_decay: float = param(1e-2, low=0.0, source="MMSA, MOSI")
    label_bound: float = param(3.0, low=0.0, source="MMSA; fixed: at most the label range")
    batch_size: int = param(64, low=2, source="MMSA, MOSI")
    accumulate: int = param(4, low=1, source="MMSA")


@dataclass(frozen=True, eq=False)
class Steps:
    """A stream inside the network.

    Args:
        values: (B, N, H).
        mask: (B, N) bool, True on true steps; None: every step counts.
    """

    values: Tensor
    mask: Tensor | None

    def last(self) -> Tensor:
        """(B, H) values at the last step."""
        if self.mask is None:
            return self.values[:, -1]
        clips = torch.arange(len(self.values), device=self.values.device)  # (B,)
        return self.values[clips, self.mask.sum(1) - 1]

    def maximum(self) -> Tensor:
        """(B, H) largest values over time."""
        if self.mask is None:
            return self.values.amax(1)
        hidden = ~self.mask.unsqueeze(2)  # (B, N, 1)
        return self.values.masked_fill(hidden, -torch.inf).amax(1)


def windows(convolution: nn.Conv1d, values: Tensor, mask: Tensor | None) -> Steps:
    """A convolution over time without padding: n frames give n - kernel + 1 steps, but at least 1.

    Args:
        convolution: D -> H features.
        values: (B, T, D).
        mask: (B, T) bool, True on true frames; None: every frame counts.
    """
    kernel = convolution.kernel_size[0]
    if mask is not None:  # clips shorter than the kernel are continued by zeros
        values = values * mask.unsqueeze(2)
    missing = max(0, kernel - values.shape[1])
    steps: Tensor = convolution(pad(values, (0, 0, 0, missing)).mT).mT  # (B, N, H)
    if mask is None:
        return Steps(steps, None)
    count = (mask.sum(1, keepdim=True) - kernel + 1).clamp(min=1)  # (B, 1)
    return Steps(steps, torch.arange(steps.shape[1], device=steps.device) < count)


class TextEnhanced(nn.Module):
    """A stream reads another one as that one reads text: upper(q=a, kv=lower(q=b, kv=text))."""

    def __init__(self, params: TETFNParams) -> None:
        super().__init__()
        dropout = params.attention_dropout
        self.lower = _encoder(params, params.hidden, dropout, layers=1, positions=True)
        self.upper = _encoder(params, params.hidden, dropout, positions=True)

    def forward(self, reader: Steps, read: Steps, text: Steps) -> Tensor:
        """(B, N, H) with N the reader's steps."""
        enhanced = Steps(_read(self.lower, read, text), read.mask)
        return _read(self.upper, reader, enhanced)


class TextEnhancedFusion(SelfLabelled):
    """A head on the last steps of three memories, one per stream, and one on each stream.

    A memory joins what its stream reads in the two others: text directly in both, audio in text and
    (text-enhanced) in vision, vision in text and (text-enhanced) in audio.
    """

    def __init__(self, dims: Dims, params: TETFNParams) -> None:
        (_, audio), (_, vision) = map(dims.need, ("audio", "vision"))
        feature = {"fusion": params.fusion_size, "text": params.text_size}
        feature |= {"audio": params.audio_size, "vision": params.vision_size}
        bound = params.label_bound
        # MMSA's bound of 3 lies outside the labels of CH-SIMS, which end at 1.
        super().__init__(feature, bound if params.published else min(bound, dims.high))
        self.params = params
        self.encoder = TokenEncoder(dims)
        self.audio = nn.LSTM(audio, params.audio_hidden, batch_first=True)
        self.vision = nn.LSTM(vision, params.vision_hidden, batch_first=True)
        self.convolutions = nn.ModuleDict(
            {
                "text": _convolution(self.encoder.size, params, params.text_kernel),
                "audio": _convolution(params.audio_hidden, params, params.audio_kernel),
                "vision": _convolution(
                    params.vision_hidden,
                    params,
                    params.audio_kernel if params.published else params.vision_kernel,
                ),
            }
        )
        hidden, dropout = params.hidden, params.attention_dropout
        self.readers = nn.ModuleDict(
            {
                "text_audio": _encoder(params, hidden, params.audio_attention_dropout),
                "text_vision": _encoder(params, hidden, params.vision_attention_dropout),
                "audio_text": _encoder(params, hidden, dropout),
                "vision_text": _encoder(params, hidden, dropout),
                "audio_vision": TextEnhanced(params),
                "vision_audio": TextEnhanced(params),
            }
        )
        self.memories = nn.ModuleDict(
            {name: _encoder(params, 2 * hidden, dropout) for name in UNIMODAL}
        )
        self.heads = nn.ModuleDict(
            {
                name: Head(
                    6 * hidden if name == "fusion" else hidden,
                    size,
                    getattr(params, f"{name}_dropout"),
                )
                for name, size in feature.items()
            }
        )

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        streams = self.streams(batch)
        vectors = {name: steps.maximum() for name, steps in streams.items()}  # (B, H) each
        memories = [self.remember(name, streams).last() for name in UNIMODAL]  # (B, 2H) each
        vectors["fusion"] = torch.cat(memories, dim=1)  # (B, 6H)
        answers = {name: head(vectors[name]) for name, head in self.heads.items()}
        features = {name: feature for name, (feature, _) in answers.items()}
        predictions = {name: prediction for name, (_, prediction) in answers.items()}
        return self.output(batch, predictions.pop("fusion"), predictions, features)

    def streams(self, batch: Batch) -> dict[str, Steps]:
        """Text behind the encoder, audio and vision behind LSTMs, all convolved to (B, N, H)."""
        tokens, (audio, vision) = tokens_of(batch), audio_vision(batch)
        if self.params.published:
            tokens = padded_tokens(tokens, self.params.max_tokens)
        words = self.encoder(tokens), None if self.params.published else tokens.mask.bool()
        parts = {"text": words, "audio": self._heard(self.audio, audio)}
        parts["vision"] = self._heard(self.vision, vision)
        return {name: self._convolved(name, *part) for name, part in parts.items()}

    def _heard(self, lstm: nn.LSTM, stream: Sequence) -> tuple[Tensor, Tensor | None]:
        values, mask = steps_of(stream, padded=self.params.published)
        return lstm(values)[0], mask  # forward in time: padding comes after all that counts

    def _convolved(self, name: str, values: Tensor, mask: Tensor | None) -> Steps:
        convolution = self.convolutions[name]
        assert isinstance(convolution, nn.Conv1d)
        return windows(convolution, values, mask)

    def remember(self, name: str, streams: Mapping[str, Steps]) -> Steps:
        """(B, N, 2H): the memory of one stream."""
        own, seen = streams[name], []
        for other in OTHERS[name]:
            reader = self.readers[f"{name}_{other}"]
            if isinstance(reader, TextEnhanced):
                seen.append(reader(own, streams[other], streams["text"]))
            else:
                seen.append(_read(reader, own, streams[other]))
        states = self.memories[name](torch.cat(seen, dim=2), query_mask=own.mask)  # (B, N, 2H)
        return Steps(states, own.mask)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Encoder, audio and vision (LSTM and convolution) and the rest, each at its rate."""
        assert isinstance(params, TETFNParams)
        rates = {
            "audio": (params.audio_lr, params.audio_decay),
            "vision": (params.vision_lr, params.vision_decay),
        }
        nets = {"audio": self.audio, "vision": self.vision}
        rest = (self.convolutions["text"], self.readers, self.memories, self.heads)
        return [
            *bert_groups(self.encoder, params.encoder_lr, params.encoder_decay),
            *(
                {
                    "params": [*net.parameters(), *self.convolutions[name].parameters()],
                    "lr": rates[name][0],
                    "weight_decay": rates[name][1],
                }
                for name, net in nets.items()
            ),
            {"params": [p for part in rest for p in part.parameters()]},
        ]


def _convolution(size: int, params: TETFNParams, kernel: int) -> nn.Conv1d:
    return nn.Conv1d(size, params.hidden, kernel, bias=False)


def _encoder(
    params: TETFNParams,
    size: int,
    dropout: float,
    *,
    layers: int = LAYERS,
    positions: bool | None = None,
) -> CrossModalEncoder:
    return CrossModalEncoder(
        size,
        params.heads,
        layers,
        attention_dropout=dropout,
        relu_dropout=params.relu_dropout,
        residual_dropout=params.residual_dropout,
        embed_dropout=params.embed_dropout,
        positions=not params.published if positions is None else positions,
    )


def _read(encoder: nn.Module, reader: Steps, read: Steps) -> Tensor:
    """(B, N, H) with N the reader's steps."""
    states: Tensor = encoder(
        reader.values, read.values, query_mask=reader.mask, source_mask=read.mask
    )
    return states


TETFN = System(
    name="tetfn",
    card=Card(
        title="TETFN",
        paper="Wang, Guo, Tian, Liu, He, Luo. TETFN: A Text Enhanced Transformer Fusion Network"
        " for Multimodal Sentiment Analysis. Pattern Recognition 2023; as implemented in MMSA",
        year=2023,
        url="https://doi.org/10.1016/j.patcog.2022.109259",
        text="T-BERT",
        deviations=(
            "quirk=fixed: positions in all encoders; MMSA has them in the text-enhanced ones only",
            "quirk=fixed: vision's convolution has its own kernel; MMSA gives it audio's",
            "quirk=fixed: padding is masked and the state read at each clip's last step; MMSA"
            " attends to padding and reads after it",
            "quirk=fixed: made labels stay within the label range; MMSA lets them reach 3 on"
            " CH-SIMS, where labels end at 1",
            "quirk=fixed: a step takes the mean gradient of up to four batches; MMSA sums them, and"
            " an incomplete group only moves made labels",
            "MMSA's numbers on MOSI and MOSEI are of word-aligned features",
            "MMSA's LSTM dropout is not a parameter: one layer has none",
        ),
        selection=ReleasedSelection(
            source="MMSA (a94e65d), trains/multiTask/TETFN.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=TETFNParams,
    presets={
        "mosi": {
            **{"encoder": "bert-base-uncased", "max_tokens": 50, "hidden": 50, "heads": 5},
            **{"audio_hidden": 16, "vision_hidden": 64},
            **{"text_kernel": 1, "audio_kernel": 1, "vision_kernel": 3},
            **{"attention_dropout": 0.1, "audio_attention_dropout": 0.0},
            **{"vision_attention_dropout": 0.1, "relu_dropout": 0.0, "embed_dropout": 0.0},
            **{"residual_dropout": 0.1, "fusion_dropout": 0.0, "text_dropout": 0.0},
            **{"audio_dropout": 0.0, "vision_dropout": 0.0, "fusion_size": 64},
            **{"text_size": 32, "audio_size": 32, "vision_size": 16},
            **{"encoder_lr": 3e-5, "audio_lr": 5e-4, "vision_lr": 3e-4, "lr": 3e-4},
            **{"encoder_decay": 1e-3, "audio_decay": 1e-2, "vision_decay": 0.0},
            **{"weight_decay": 1e-2, "batch_size": 64},
        },
        "mosei": {
            **{"encoder": "bert-base-uncased", "max_tokens": 50, "hidden": 50, "heads": 5},
            **{"audio_hidden": 32, "vision_hidden": 32},
            **{"text_kernel": 1, "audio_kernel": 1, "vision_kernel": 1},
            **{"attention_dropout": 0.1, "audio_attention_dropout": 0.0},
            **{"vision_attention_dropout": 0.1, "relu_dropout": 0.1, "embed_dropout": 0.1},
            **{"residual_dropout": 0.0, "fusion_dropout": 0.0, "text_dropout": 0.1},
            **{"audio_dropout": 0.0, "vision_dropout": 0.1, "fusion_size": 64},
            **{"text_size": 64, "audio_size": 32, "vision_size": 16},
            **{"encoder_lr": 3e-5, "audio_lr": 1e-3, "vision_lr": 5e-3, "lr": 1e-4},
            **{"encoder_decay": 1e-3, "audio_decay": 0.0, "vision_decay": 1e-3},
            **{"weight_decay": 1e-2, "batch_size": 32},
        },
        "sims": {
            **{"encoder": "bert-base-chinese", "max_tokens": 39, "hidden": 50, "heads": 5},
            **{"audio_hidden": 16, "vision_hidden": 64},
            **{"text_kernel": 3, "audio_kernel": 5, "vision_kernel": 1},
            **{"attention_dropout": 0.0, "audio_attention_dropout": 0.1},
            **{"vision_attention_dropout": 0.0, "relu_dropout": 0.1, "embed_dropout": 0.0},
            **{"residual_dropout": 0.0, "fusion_dropout": 0.1, "text_dropout": 0.0},
            **{"audio_dropout": 0.0, "vision_dropout": 0.0, "fusion_size": 64},
            **{"text_size": 64, "audio_size": 16, "vision_size": 32},
            **{"encoder_lr": 3e-5, "audio_lr": 3e-3, "vision_lr": 5e-4, "lr": 3e-3},
            **{"encoder_decay": 1e-3, "audio_decay": 0.0, "vision_decay": 1e-2},
            **{"weight_decay": 1e-3, "batch_size": 64},
        },
        "simsv2": {
            **{"encoder": "bert-base-chinese", "max_tokens": 50, "hidden": 50, "heads": 5},
            **{"audio_hidden": 16, "vision_hidden": 32},
            **{"text_kernel": 5, "audio_kernel": 3, "vision_kernel": 1},
            **{"attention_dropout": 0.1, "audio_attention_dropout": 0.0},
            **{"vision_attention_dropout": 0.1, "relu_dropout": 0.0, "embed_dropout": 0.0},
            **{"residual_dropout": 0.1, "fusion_dropout": 0.1, "text_dropout": 0.1},
            **{"audio_dropout": 0.0, "vision_dropout": 0.0, "fusion_size": 128},
            **{"text_size": 64, "audio_size": 16, "vision_size": 32},
            **{"encoder_lr": 5e-6, "audio_lr": 5e-4, "vision_lr": 5e-3, "lr": 3e-4},
            **{"encoder_decay": 1e-3, "audio_decay": 1e-3, "vision_decay": 1e-3},
            **{"weight_decay": 1e-3, "batch_size": 64},
        },
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=TextEnhancedFusion,
)
