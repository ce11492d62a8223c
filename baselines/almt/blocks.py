"""What ALMT and LNLN share: streams condensed into tokens, and a hyper-modality guided by language.

Shapes: B clips, T steps, D features of a step, N tokens of a stream, H hidden size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from baselines._shared.bert import TokenEncoder
from baselines._shared.padding import padded_tokens, steps_of
from baselines._shared.schedules import cosine_by_epoch
from harness.data.batching import Sequence, Tokens
from harness.system import (
    Dims,
    QuirkParams,
    Stage,
    TokenParams,
    TrainingProgress,
    WarmParams,
    param,
)

__all__ = [
    "CrossTransformer",
    "HyperFusion",
    "HyperLayer",
    "HyperParams",
    "StreamTokens",
    "TokenStreams",
    "TokenTransformer",
    "transformer",
]


@dataclass(frozen=True, kw_only=True)
class HyperParams(TokenParams, QuirkParams, WarmParams):
    """Sizes and training of ALMT, which LNLN takes over."""

    hidden: int = param(128, low=1, source="ALMT; divisible by heads")
    token_count: int = param(8, low=1, source="ALMT; tokens a stream is condensed into, N")
    heads: int = param(8, low=1, source="ALMT")
    head_size: int = param(64, low=1, source="ALMT; not of the hyper-modality, hidden / heads")
    feed_size: int = param(128, low=1, source="ALMT; hidden units of the feed-forward layers")
    stream_layers: int = param(1, low=1, source="ALMT; of the encoders of streams")
    scales: int = param(3, low=1, source="ALMT; states of language that guide the hyper-modality")
    fusion_layers: int = param(2, low=1, source="ALMT, MOSI")
    lr: float = param(1e-4, low=0.0, source="ALMT")
    weight_decay: float = param(1e-4, low=0.0, source="ALMT")
    batch_size: int = param(64, low=2, source="ALMT")
    loss: str = param("mse", choices=("l1", "mse"), source="ALMT")
    optimizer: str = param("adamw", choices=("adam", "adamw"), source="ALMT")
    schedule: str = param("cosine", choices=("constant", "linear", "cosine"), source="ALMT")
    warmup: float = param(0.1, low=0.0, high=1.0, source="ALMT")
    epochs: int = param(200, low=0, source="ALMT")

    def lr_factor(self, at: TrainingProgress) -> float:
        """As released, the rate changes once per epoch and is zero in the first."""
        if not (self.published and self.warmup and self.schedule == "cosine"):
            return super().lr_factor(at)
        return cosine_by_epoch(at, self.warmup)

    @property
    def own_stages(self) -> tuple[Stage, ...]:
        """One; as released nothing ends it before its epochs are over."""
        return (Stage(patience=self.epochs if self.published and self.epochs else None),)


class ALMTAttention(nn.Module):
    """W_o softmax(q kᵀ / √head_size) v with q = W_q LN(x), k = W_k LN(s), v = W_v LN(s).

    Only W_o has a bias, and each of the three layer norms its own weights.
    """

    def __init__(self, size: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(3))
        self.maps = nn.ModuleList(nn.Linear(size, heads * head_size, bias=False) for _ in range(3))
        self.output = nn.Linear(heads * head_size, size)
        self.heads = heads

    def forward(self, query: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, Tq, D) and (B, Ts, D) with mask (B, Ts) -> (B, Tq, D)."""
        inputs = zip(self.maps, self.norms, (query, source, source), strict=True)
        q, k, v = (project(norm(steps)) for project, norm, steps in inputs)
        joined: Tensor = self.output(attend(q, k, v, self.heads, mask))
        return joined


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Multi-head attention between projected steps.

    Args:
        q: (B, Tq, heads * size).
        k: (B, Ts, heads * size).
        v: (B, Ts, heads * size).
        heads: Number of heads.
        mask: (B, Ts) bool, True on steps that may be read; None: all.

    Returns:
        (B, Tq, heads * size).
    """
    # Heads before steps: (B, heads, Tq or Ts, size) each.
    q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    allowed = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, Ts)
    return scaled_dot_product_attention(q, k, v, attn_mask=allowed).transpose(1, 2).flatten(2)


class Block(nn.Module):
    """x + attention(x, source), then x + W2 GELU(W1 LN(x)); without a source x reads itself."""

    def __init__(self, size: int, heads: int, head_size: int, feed_size: int) -> None:
        super().__init__()
        self.attention = ALMTAttention(size, heads, head_size)
        self.feed = nn.Sequential(
            nn.LayerNorm(size),
            *(nn.Linear(size, feed_size), nn.GELU()),
            nn.Linear(feed_size, size),
        )

    def forward(
        self, steps: Tensor, source: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        steps = steps + self.attention(steps, steps if source is None else source, mask)
        updated: Tensor = steps + self.feed(steps)
        return updated


class TokenTransformer(nn.Module):
    """Self-attention over learned tokens followed by a sequence, with learned positions.

    Args:
        steps: Most steps of a sequence.
        blocks: Its layers.
        size: D.
        tokens: Learned tokens put first; 0: none.
    """

    def __init__(self, steps: int, blocks: Iterable[Block], size: int, *, tokens: int = 0) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(tokens + steps, size))
        self.tokens = nn.Parameter(torch.zeros(tokens, size)) if tokens else None
        self.blocks = nn.ModuleList(blocks)

    def forward(self, steps: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, D) and mask (B, T) -> (B, tokens + T, D), the last state."""
        return self.states(steps, mask)[-1]

    def states(self, steps: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """The embedded sequence and the state after each layer, each (B, tokens + T, D)."""
        if self.tokens is not None:
            steps = torch.cat([self.tokens.expand(len(steps), -1, -1), steps], dim=1)
            mask = None if mask is None else pad(mask, (len(self.tokens), 0), value=True)
        states = [steps + self.positions[: steps.shape[1]]]
        for block in self.blocks:
            states.append(block(states[-1], mask=mask))
        return states


def transformer(
    params: HyperParams, steps: int, layers: int, *, tokens: int = 0
) -> TokenTransformer:
    """A ``TokenTransformer`` of the sizes in ``params``."""
    return TokenTransformer(steps, _blocks(params, layers), params.hidden, tokens=tokens)


def _blocks(params: HyperParams, layers: int) -> list[Block]:
    sizes = (params.hidden, params.heads, params.head_size, params.feed_size)
    return [Block(*sizes) for _ in range(layers)]


class StreamTokens(nn.Module):
    """A stream condensed into N tokens: the first states of a Transformer that begins with them.

    Args:
        params: Sizes.
        steps: Most steps of the stream.
        size: Features of a step.
    """

    def __init__(self, params: HyperParams, steps: int, size: int) -> None:
        super().__init__()
        self.project = nn.Linear(size, params.hidden)
        self.count = params.token_count
        self.encode = transformer(params, steps, params.stream_layers, tokens=self.count)

    def forward(self, steps: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, size) and mask (B, T) -> (B, N, H)."""
        states: Tensor = self.encode(self.project(steps), mask)  # (B, N + T, H)
        return states[:, : self.count]


class TokenStreams(nn.Module):
    """Language (behind a fine-tuned encoder), audio and vision, each condensed into N tokens."""

    def __init__(self, dims: Dims, params: HyperParams) -> None:
        super().__init__()
        self.encoder = TokenEncoder(dims)
        self.language = StreamTokens(params, params.max_tokens, self.encoder.size)
        self.audio = StreamTokens(params, *dims.need("audio"))
        self.vision = StreamTokens(params, *dims.need("vision"))
        self.max_tokens, self.padded = params.max_tokens, params.published

    def forward(
        self, tokens: Tokens, audio: Sequence, vision: Sequence
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Language, audio and vision, each (B, N, H)."""
        if self.padded:  # the encoder masks padding; what it returns there is read all the same
            tokens = padded_tokens(tokens, self.max_tokens)
        return (
            self.language(self.encoder(tokens), None if self.padded else tokens.mask.bool()),
            self.audio(*steps_of(audio, padded=self.padded)),
            self.vision(*steps_of(vision, padded=self.padded)),
        )


class HyperLayer(nn.Module):
    """h <- LN(h) + W_o (attention(l, a) + attention(l, v)).

    Language l asks, audio a and vision v answer; all are layer-normed.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(4))
        self.query = nn.Linear(size, size, bias=False)
        self.audio = nn.ModuleList(nn.Linear(size, size, bias=False) for _ in range(2))
        self.vision = nn.ModuleList(nn.Linear(size, size, bias=False) for _ in range(2))
        self.output = nn.Linear(size, size)
        self.heads = heads

    def forward(self, language: Tensor, audio: Tensor, vision: Tensor, hyper: Tensor) -> Tensor:
        """All (B, N, H)."""
        parts = (language, audio, vision, hyper)
        language, audio, vision, hyper = (n(p) for n, p in zip(self.norms, parts, strict=True))
        query = self.query(language)  # (B, N, H)
        heard, seen = (
            attend(query, key(source), value(source), self.heads)
            for (key, value), source in ((self.audio, audio), (self.vision, vision))
        )
        updated: Tensor = hyper + self.output(heard + seen)
        return updated


class CrossTransformer(nn.Module):
    """A target that reads a source in every layer; one learned token is put before both."""

    def __init__(self, params: HyperParams) -> None:
        super().__init__()
        shape = params.token_count + 1, params.hidden
        self.source_positions = nn.Parameter(torch.randn(shape))
        self.target_positions = nn.Parameter(torch.randn(shape))
        self.token = nn.Parameter(torch.zeros(1, params.hidden))
        self.blocks = nn.ModuleList(_blocks(params, params.fusion_layers))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """(B, N, H) twice -> (B, 1 + N, H)."""
        token = self.token.expand(len(target), -1, -1)  # (B, 1, H)
        source = torch.cat([token, source], dim=1) + self.source_positions  # (B, 1 + N, H)
        target = torch.cat([token, target], dim=1) + self.target_positions  # (B, 1 + N, H)
        for block in self.blocks:
            target = block(target, source)
        return target


class HyperFusion(nn.Module):
    """A hyper-modality collects what each state of language finds in audio and vision.

    The last state of language then reads the hyper-modality.
    """

    def __init__(self, params: HyperParams) -> None:
        super().__init__()
        shape = params.token_count, params.hidden
        # A layer norm turns constants into zeros and their gradient into noise.
        self.hyper = nn.Parameter(torch.ones(shape) if params.published else torch.randn(shape))
        self.language = transformer(params, params.token_count, params.scales - 1)
        self.layers = nn.ModuleList(
            HyperLayer(params.hidden, params.heads) for _ in range(params.scales)
        )
        self.cross = CrossTransformer(params)

    def forward(self, language: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        """(B, N, H) each -> (B, 1 + N, H)."""
        states = self.language.states(language)  # (B, N, H) each, as many as layers
        hyper = self.hyper.expand(len(language), -1, -1)  # (B, N, H)
        for layer, state in zip(self.layers, states, strict=True):
            hyper = layer(state, audio, vision, hyper)
        fused: Tensor = self.cross(hyper, states[-1])
        return fused
