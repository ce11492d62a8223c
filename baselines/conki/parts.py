"""ConKI's branches: what an encoder knows of a modality, beside what its adapters were taught.

Shapes: B clips, T steps, D size of a state (everywhere the text encoder's hidden size).
"""

from __future__ import annotations

from collections.abc import Sequence as Many

import torch
from torch import Tensor, nn

from baselines._shared.bert import TokenEncoder
from baselines._shared.padding import masked_average
from harness.data.batching import Sequence, Tokens
from harness.system import Dims

__all__ = [
    "ConKIAdapter",
    "ConKIStreamBranch",
    "ConKITextBranch",
    "Gate",
    "as_in_bert",
    "knowledge_contrast",
]

TEXT_DEPTHS = (0.0, 5 / 12, 10 / 12)  # the embeddings, layers 5 and 10 of 12
SPREAD = 2e-4  # of an adapter's outer weights when it is made


class ConKIAdapter(nn.Module):
    """x + W_up transformer(W_down x), which is nearly x at first."""

    def __init__(self, size: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(size, size), nn.Linear(size, size)
        self.layers = _transformer(size, heads, 4 * size, layers, dropout)
        for layer in (self.down, self.up):
            nn.init.normal_(layer.weight, std=SPREAD)
            nn.init.zeros_(layer.bias)

    def forward(self, state: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) and (B, T) true steps -> (B, T, D)."""
        hidden = self.down(state)  # (B, T, D)
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=~mask)
        adapted: Tensor = state + self.up(hidden)
        return adapted


class _Taught(nn.Module):
    """Adapters one after the other: k_i = adapter_i(states_i + k_(i-1)), k_0 = 0."""

    def __init__(self, count: int, size: int, adapter: tuple[int, int, float]) -> None:
        super().__init__()
        self.adapters = nn.ModuleList(ConKIAdapter(size, *adapter) for _ in range(count))

    def specific(self, states: Many[Tensor], mask: Tensor) -> Tensor:
        """The last k, (B, T, D), from as many states (B, T, D) as there are adapters."""
        knowledge = torch.zeros_like(states[0])
        for adapter, state in zip(self.adapters, states, strict=True):
            knowledge = adapter(state + knowledge, mask)
        return knowledge


class ConKITextBranch(_Taught):
    """Tokens -> the encoder's pooled output, and a pooled view of what adapters make of it."""

    def __init__(self, dims: Dims, adapter: tuple[int, int, float]) -> None:
        size = dims.need_encoder().hidden_size
        super().__init__(len(TEXT_DEPTHS), size, adapter)
        self.bert = TokenEncoder(dims, pooler=True)
        self.pooler = nn.Sequential(nn.Linear(size, size), nn.Tanh())

    def encoder(self) -> nn.Module:
        """What was pre-trained."""
        return self.bert

    def taught(self) -> tuple[nn.Module, ...]:
        """What the knowledge stage leaves behind."""
        return self.adapters, self.pooler

    def forward(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """General and specific knowledge, (B, D) each."""
        run = self.bert.network(
            input_ids=tokens.ids,
            attention_mask=tokens.attended(self.bert.network),
            token_type_ids=tokens.segments,
            output_hidden_states=True,
        )
        depth = len(run.hidden_states) - 1
        states = [run.hidden_states[round(depth * share)] for share in TEXT_DEPTHS]
        specific = self.specific(states, tokens.mask.bool())  # (B, T, D)
        return run.pooler_output, self.pooler(specific[:, 0])


class _Frames(nn.Module):
    """Frames -> the states of every layer of a Transformer that reads a summary step before them.

    Args:
        shape: Frames and features of the stream.
        size: D.
        heads: Attention heads.
        layers: Transformer layers.
        dropout: Of layers and inputs.
    """

    def __init__(
        self, shape: tuple[int, int], size: int, heads: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        frames, features = shape
        self.project = nn.Linear(features, size)
        self.summary = nn.Parameter(torch.ones(1, 1, size))
        self.positions = nn.Parameter(torch.zeros(1, frames + 1, size))
        self.layers = _transformer(size, heads, size, layers, dropout)
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, features) and (B, 1 + T) true steps -> (B, 1 + T, D) before and after layers."""
        summary = self.summary.expand(len(values), -1, -1)  # (B, 1, D)
        steps = torch.cat([summary, self.project(values)], dim=1)  # (B, 1 + T, D)
        states = [self.dropout(steps + self.positions[:, : steps.shape[1]])]
        for layer in self.layers:
            states.append(layer(states[-1], src_key_padding_mask=~mask))
        return states


class ConKIStreamBranch(_Taught):
    """Frames -> the mean state of a Transformer, and that of an adapter of its first layer.

    Args:
        shape: Frames and features of the stream; longer clips of another corpus are cut.
        size: D.
        encoder: (heads, layers, dropout) of the Transformer.
        adapter: (heads, layers, dropout) of the adapter.
        knowledge: Features of the stream in the knowledge corpus; 0: as many as here.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        size: int,
        encoder: tuple[int, int, float],
        adapter: tuple[int, int, float],
        *,
        knowledge: int = 0,
    ) -> None:
        super().__init__(1, size, adapter)
        self.shape = shape
        self.encoding = _Frames(shape, size, *encoder)
        self.norm = nn.LayerNorm(size)
        self.translate = nn.Linear(knowledge, shape[1]) if knowledge else None

    def encoder(self) -> nn.Module:
        """What has general knowledge."""
        return self.encoding

    def taught(self) -> tuple[nn.Module, ...]:
        """What the knowledge stage leaves behind."""
        bridge = () if self.translate is None else (self.translate,)
        return self.adapters, self.norm, *bridge

    def forward(self, sequence: Sequence) -> tuple[Tensor, Tensor]:
        """General and specific knowledge, (B, D) each."""
        frames, features = self.shape
        values, mask = sequence.values[:, :frames], sequence.mask[:, :frames]
        if values.shape[2] != features and self.translate is not None:
            values = self.translate(values)
        mask = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)  # the summary is always there
        states = self.encoding(values, mask)  # (B, 1 + T, D) each
        general = masked_average(self.encoding.norm(states[-1]), mask)  # (B, D)
        specific = self.norm(self.specific(states[1:2], mask))  # (B, 1 + T, D)
        return general, masked_average(specific, mask)


class Gate(nn.Module):
    """x times the sigmoid of a bottleneck of x."""

    def __init__(self, size: int, reduction: int) -> None:
        super().__init__()
        narrow = max(1, size // reduction)
        self.layers = nn.Sequential(
            *(nn.Linear(size, narrow), nn.BatchNorm1d(narrow), nn.ReLU()),
            *(nn.Linear(narrow, size), nn.Sigmoid()),
        )

    def forward(self, values: Tensor) -> Tensor:
        """(B, size) -> (B, size)."""
        gated: Tensor = values * self.layers(values)
        return gated


def knowledge_contrast(
    general: Tensor, specific: Tensor, labels: Tensor, temperature: float
) -> Tensor:
    """Vectors of one kind of knowledge and one label are near each other, all others apart.

    For a vector i the mean over its likes p of -log(e^s(i,p) / Σ_(j≠i) e^s(i,j)), s the cosine over
    the temperature; likes are of the same kind and of clips with the same label, whatever their
    modality. Then the mean over all vectors.

    Args:
        general: (B, M, D), of M modalities, at least two unless some clips share a label.
        specific: (B, M, D).
        labels: (B,) classes.
        temperature: Of the cosines.

    Source: Khosla et al. Supervised Contrastive Learning, 2020; kinds as in ConKI.
    """
    modalities = general.shape[1]
    vectors = torch.cat([general, specific], dim=1).flatten(0, 1)  # (2 M B, D)
    units = nn.functional.normalize(vectors, dim=1)
    itself = torch.eye(len(units), dtype=torch.bool, device=units.device)
    scores = (units @ units.mT / temperature).masked_fill(itself, -torch.inf)  # (2 M B, 2 M B)
    label = labels.repeat_interleave(2 * modalities)  # (2 M B,)
    kind = torch.arange(2, device=units.device).repeat_interleave(modalities).repeat(len(labels))
    alike = (label.unsqueeze(1) == label) & (kind.unsqueeze(1) == kind) & ~itself
    chances = scores.log_softmax(1).masked_fill(~alike, 0)  # the diagonal's -inf goes, too
    counts = alike.sum(1)
    means = chances.sum(1) / counts.clamp(min=1)
    return -means.sum() / (counts > 0).sum().clamp(min=1)


def as_in_bert(module: nn.Module) -> None:
    """Make a Transformer layer one of BERT's as a new one starts; leave other modules alone.

    Its feed-forward layer has no dropout inside, and its attention starts as linear layers do.
    """
    if not isinstance(module, nn.TransformerEncoderLayer):
        return
    module.dropout.p = 0.0
    attention = module.self_attn
    bound = attention.embed_dim**-0.5
    for values in (attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.bias):
        nn.init.uniform_(values, -bound, bound)


def _transformer(size: int, heads: int, feed: int, layers: int, dropout: float) -> nn.ModuleList:
    return nn.ModuleList(
        nn.TransformerEncoderLayer(size, heads, feed, dropout, activation="gelu", batch_first=True)
        for _ in range(layers)
    )
