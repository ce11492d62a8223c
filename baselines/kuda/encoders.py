"""KuDA's uni-modal encoders: what the domain says beside what adapters learnt elsewhere.

Shapes: B clips, T steps, D size of a stream (text: the encoder's hidden size).
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines._shared.bert import TokenEncoder
from baselines._shared.mlp import gelu_mlp
from baselines._shared.padding import padded_tokens
from harness.data.batching import Sequence, Tokens
from harness.system import Dims

__all__ = ["Encoded", "KuDAAdapter", "KuDAStreamBranch", "KuDATextBranch", "injected"]

TEXT_DEPTHS = (0.25, 0.5, 0.75, 11 / 12)  # layers 3, 6, 9 and 11 of 12


@dataclass(frozen=True, eq=False)
class Encoded:
    """(B, T, 2 D) states of a stream and (B, T) true steps; None: all of them."""

    values: Tensor
    mask: Tensor | None

    def mean(self) -> Tensor:
        """(B, 2 D) over the true steps."""
        if self.mask is None:
            return self.values.mean(1)
        weights = self.mask.unsqueeze(2)  # (B, T, 1)
        return (self.values * weights).sum(1) / weights.sum(1)


class KuDAAdapter(nn.Module):
    """x + W_up transformer(W_down x), at half the size."""

    def __init__(self, size: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.down = nn.Linear(size, size // 2)
        self.layers = _transformer(size // 2, heads, layers, dropout)
        self.up = nn.Linear(size // 2, size)

    def forward(self, state: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) and (B, T) steps that may be read -> (B, T, D)."""
        hidden = self.down(state)  # (B, T, D / 2)
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=~mask)
        adapted: Tensor = state + self.up(hidden)
        return adapted


def injected(
    states: Many[Tensor], adapters: nn.ModuleList, norm: nn.LayerNorm, mask: Tensor
) -> Tensor:
    """k_0 = states[0]; k_i = adapter_i(norm(k_(i-1) + states[i])); the last k, (B, T, D)."""
    knowledge = states[0]
    for adapter, state in zip(adapters, states[1:], strict=True):
        knowledge = adapter(norm(knowledge + state), mask)
    return knowledge


class KuDATextBranch(nn.Module):
    """Tokens -> last hidden states beside what four adapters make of four layers.

    Args:
        dims: Names the encoder.
        tokens: Length to which texts are padded.
        adapter: (heads, layers, dropout) of the adapters.
        padded: Whether padding is read like words, as in the released code.
    """

    def __init__(
        self, dims: Dims, tokens: int, adapter: tuple[int, int, float], *, padded: bool
    ) -> None:
        super().__init__()
        self.bert = TokenEncoder(dims)
        size = self.bert.size
        self.adapters = nn.ModuleList(KuDAAdapter(size, *adapter) for _ in TEXT_DEPTHS)
        self.norm = nn.LayerNorm(size)
        self.decoder = gelu_mlp(2 * size, size // 2, size // 4, size // 8)
        self.tokens, self.padded = tokens, padded

    def freeze_pooler(self) -> None:
        """It is part of the encoder and not read."""
        self.bert.freeze_pooler()

    def forward(self, tokens: Tokens) -> Encoded:
        """Encode a batch of texts."""
        if self.padded:
            tokens = padded_tokens(tokens, self.tokens)
        run = self.bert.network(
            input_ids=tokens.ids,
            attention_mask=tokens.attended(self.bert.network),
            token_type_ids=tokens.segments,
            output_hidden_states=True,
        )
        states = run.hidden_states
        depth = len(states) - 1
        chosen = [states[0], *(states[max(1, round(depth * share))] for share in TEXT_DEPTHS)]
        mask = tokens.mask.bool()
        knowledge = injected(chosen, self.adapters, self.norm, mask)
        values = torch.cat([run.last_hidden_state, knowledge], dim=2)  # (B, T, 2 D)
        return Encoded(values, None if self.padded else mask)


class KuDAStreamBranch(nn.Module):
    """Frames -> last states of a Transformer beside what adapters make of its lower layers.

    Args:
        shape: Frames and features of the stream.
        size: D.
        heads: Attention heads.
        layers: Of the Transformer; all but the last have an adapter.
        dropout: Of the Transformer.
        adapter: (heads, layers, dropout) of the adapters.
        padded: Whether the padded length is averaged over, as in the released code.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        size: int,
        heads: int,
        layers: int,
        dropout: float,
        adapter: tuple[int, int, float],
        *,
        padded: bool,
    ) -> None:
        super().__init__()
        frames, features = shape
        self.shape, self.padded = shape, padded
        self.project = nn.Linear(features, size)
        self.positions = nn.Parameter(torch.zeros(1, frames, size))
        self.layers = _transformer(size, heads, layers, dropout)
        self.adapters = nn.ModuleList(KuDAAdapter(size, *adapter) for _ in range(layers - 1))
        self.norm = nn.LayerNorm(size)
        self.decoder = gelu_mlp(2 * size, size // 2, size // 4, size // 8)

    def forward(self, sequence: Sequence) -> Encoded:
        """Encode a batch of one stream."""
        values = sequence.untrimmed() if self.padded else sequence.values
        steps = values.shape[1]
        states = [self.project(values) + self.positions[:, :steps]]  # (B, T, D)
        mask = torch.arange(steps, device=values.device) < sequence.lengths.unsqueeze(1)  # (B, T)
        for layer in self.layers:
            states.append(layer(states[-1], src_key_padding_mask=~mask))
        knowledge = injected(states[:-1], self.adapters, self.norm, mask)
        values = torch.cat([self.norm(states[-1]), knowledge], dim=2)  # (B, T, 2 D)
        return Encoded(values, None if self.padded else mask)


def _transformer(size: int, heads: int, layers: int, dropout: float) -> nn.ModuleList:
    return nn.ModuleList(
        nn.TransformerEncoderLayer(
            size, heads, size // 2, dropout, activation="gelu", batch_first=True
        )
        for _ in range(layers)
    )
