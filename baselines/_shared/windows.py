"""Token encoder and streams, each behind a convolution over time: what DMD and EMOE share.

Both descend from MulT's released code, as DLF does.

Shapes: B clips, T windows of a stream, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines._shared.bert import TokenEncoder, audio_vision, tokens_of
from baselines._shared.padding import padded_tokens
from baselines._shared.transformer import CrossModalEncoder
from baselines._shared.zero_steps import ValuedPositions
from harness.data.batching import Batch, Sequence
from harness.errors import SpecError
from harness.spec import Scalar
from harness.system import Dims, QuirkParams, TokenParams, param

__all__ = ["CHINESE", "MOSEI", "MOSI", "STREAMS", "WindowParams", "WindowedStreams", "Windows"]

STREAMS = ("text", "vision", "audio")


@dataclass(frozen=True, kw_only=True)
class WindowParams(TokenParams, QuirkParams):
    """Hyper-parameters that DMD and EMOE have in common, values included."""

    hidden: int = param(50, low=1, source="DMD code, MOSI; divisible by heads")
    heads: int = param(10, low=1, source="DMD code, MOSI")
    layers: int = param(4, low=1, source="DMD and EMOE code, nlevels")
    text_kernel: int = param(5, low=1, source="DMD and EMOE code")
    audio_kernel: int = param(5, low=1, source="DMD and EMOE code, MOSI")
    vision_kernel: int = param(5, low=1, source="DMD and EMOE code, MOSI")
    text_dropout: float = param(0.5, low=0.0, high=1.0, source="DMD and EMOE code, MOSI")
    attention_dropout: float = param(0.3, low=0.0, high=1.0, source="DMD and EMOE code, MOSI")
    audio_attention_dropout: float = param(0.2, low=0.0, high=1.0, source="DMD and EMOE code, MOSI")
    vision_attention_dropout: float = param(0.0, low=0.0, high=1.0, source="DMD and EMOE code")
    relu_dropout: float = param(0.0, low=0.0, high=1.0, source="DMD and EMOE code")
    residual_dropout: float = param(0.0, low=0.0, high=1.0, source="DMD and EMOE code")
    embed_dropout: float = param(0.2, low=0.0, high=1.0, source="DMD and EMOE code, MOSI")
    output_dropout: float = param(0.5, low=0.0, high=1.0, source="DMD and EMOE code")
    lr: float = param(1e-4, low=0.0, source="DMD and EMOE code")
    batch_size: int = param(16, low=2, source="DMD and EMOE code")
    accumulate: int = param(10, low=1, source="DMD and EMOE code")
    plateau: int = param(6, low=0, source="DMD and EMOE code: after more than 5 epochs")
    plateau_factor: float = param(0.5, low=0.0, high=1.0, source="DMD and EMOE code")

    def encoder_of(self, stream: str, *, wide: int = 1) -> CrossModalEncoder:
        """A Transformer with the attention dropout of a stream, ``wide`` times the hidden size."""
        dropouts = {
            "text": self.attention_dropout,
            "audio": self.audio_attention_dropout,
            "vision": self.vision_attention_dropout,
        }
        kind = ValuedPositions if self.published else CrossModalEncoder
        return kind(
            wide * self.hidden,
            self.heads,
            self.layers,
            attention_dropout=dropouts[stream],
            relu_dropout=self.relu_dropout,
            residual_dropout=self.residual_dropout,
            embed_dropout=self.embed_dropout,
        )


@dataclass(frozen=True, eq=False)
class Windows:
    """A stream behind its convolution.

    Args:
        values: (B, T, D).
        mask: (B, T) bool, True on windows of true frames; None: all of them count.
    """

    values: Tensor
    mask: Tensor | None

    def with_values(self, values: Tensor) -> Windows:
        """Other values (B, T, K) of the same windows."""
        return Windows(values, self.mask)

    def encoded(self, encoder: nn.Module, source: Windows | None = None) -> Windows:
        """The same windows in the light of themselves, or of another stream.

        Args:
            encoder: A ``CrossModalEncoder``.
            source: What is read; None: the windows themselves.
        """
        if source is None:
            return self.with_values(encoder(self.values, query_mask=self.mask))
        read = encoder(self.values, source.values, query_mask=self.mask, source_mask=source.mask)
        return self.with_values(read)

    def last(self) -> Tensor:
        """(B, D) of each clip's last true window."""
        if self.mask is None:
            return self.values[:, -1]
        ends = self.mask.sum(1) - 1  # (B,)
        return self.values[torch.arange(len(ends), device=ends.device), ends]

    def flat(self, count: int) -> Tensor:
        """(B, count D): the windows one after the other, zero beyond the true ones."""
        values = self.values if self.mask is None else self.values * self.mask.unsqueeze(2)
        return functional.pad(values, (0, 0, 0, count - values.shape[1])).flatten(1)


class WindowedStreams(nn.Module):
    """Hidden states of the text, frames of audio and vision, and all three as windows.

    As published, the padding up to the corpus's length and to ``max_tokens`` counts as speech.

    Args:
        dims: Sizes of the corpus.
        params: Kernels, dropouts and sizes.

    Raises:
        SpecError: For a hidden size that the heads do not divide, a stream or an encoder that is
            not there.
    """

    def __init__(self, dims: Dims, params: WindowParams) -> None:
        super().__init__()
        if params.hidden % params.heads:
            raise SpecError("hidden should be a multiple of heads")
        self.params = params
        self.bert = TokenEncoder(dims)
        shapes = {"text": (params.max_tokens, self.bert.size)}
        shapes |= {m: dims.need(m) for m in ("vision", "audio")}
        self.widths = {m: shapes[m][1] for m in STREAMS}
        self.frames = {m: shapes[m][0] for m in STREAMS}
        self.kernels = {m: int(getattr(params, f"{m}_kernel")) for m in STREAMS}
        self.counts = {m: max(self.frames[m] - self.kernels[m], 0) + 1 for m in STREAMS}
        """Windows of a stream of the corpus's length."""
        self.convolutions = nn.ModuleDict(
            {
                m: nn.Conv1d(self.widths[m], params.hidden, self.kernels[m], bias=False)
                for m in STREAMS
            }
        )
        self.text_dropout = nn.Dropout(params.text_dropout)

    def read(self, batch: Batch) -> dict[str, Sequence]:
        """The streams as they come, text as hidden states without dropout."""
        tokens, published = tokens_of(batch), self.params.published
        audio, vision = audio_vision(batch)
        if published:
            tokens = padded_tokens(tokens, self.params.max_tokens)
        hidden = self.bert(tokens)
        if not published:
            hidden = hidden * tokens.mask.unsqueeze(2)
        text = Sequence(hidden, tokens.mask.sum(1), self.params.max_tokens)
        return {"text": text, "vision": vision, "audio": audio}

    def forward(self, read: Mapping[str, Sequence]) -> dict[str, Windows]:
        """What ``read`` gave, convolved: D features of each window."""
        return {m: self._windows(m, sequence) for m, sequence in read.items()}

    def _windows(self, name: str, sequence: Sequence) -> Windows:
        kernel, published = self.kernels[name], self.params.published
        values = sequence.untrimmed() if published else sequence.values
        values = self.text_dropout(values) if name == "text" else values
        missing = max(0, kernel - values.shape[1])  # a window needs that many frames
        values = functional.pad(values, (0, 0, 0, missing))
        convolved = self.convolutions[name](values.mT).mT  # (B, T, D)
        if published:
            return Windows(convolved, None)
        true = (sequence.lengths - kernel + 1).clamp(min=1)  # (B,)
        steps = torch.arange(convolved.shape[1], device=convolved.device)
        return Windows(convolved, steps < true.unsqueeze(1))


MOSI: Mapping[str, Scalar] = {
    **{"text_kernel": 5, "audio_kernel": 5, "vision_kernel": 5},
    **{"text_dropout": 0.5, "attention_dropout": 0.3, "audio_attention_dropout": 0.2},
    **{"vision_attention_dropout": 0.0, "embed_dropout": 0.2},
}
MOSEI: Mapping[str, Scalar] = {
    **{"text_kernel": 5, "audio_kernel": 1, "vision_kernel": 3},
    **{"text_dropout": 0.3, "attention_dropout": 0.4, "audio_attention_dropout": 0.0},
    **{"vision_attention_dropout": 0.0, "embed_dropout": 0.0},
}
CHINESE: Mapping[str, Scalar] = {**MOSI, "encoder": "bert-base-chinese"}
"""Ours: neither system has settings for Chinese corpora."""
