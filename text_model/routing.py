"""The sparse mixture of experts of TEXT, routed by the text, once per clip and layer.

Shapes: B clips, L tokens, D features, E experts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from text_model.encoders import Attention, EncoderSize, FeedForward, Padded

__all__ = ["ExpertMixture", "RoutedEncoder", "Router", "Routing", "routed_weights"]


@dataclass(frozen=True, kw_only=True)
class Routing:
    """How clips find their experts.

    ``noise`` and ``capacity`` say when the router's noise and the limit on clips per expert apply:
    ``training``, ``always`` or ``never``.
    """

    experts: int
    """E; a single expert is a plain feed-forward layer, without a router."""
    top_k: int
    """Experts per clip, 1 to E."""
    noise: str = "training"
    capacity: str = "training"
    capacity_factor: float = 1.0

    def limit(self, clips: int) -> int:
        """Clips an expert takes from a batch: max(1, ⌊B · top_k / E · factor⌋)."""
        return max(1, int(clips * self.top_k / self.experts * self.capacity_factor))


def routed_weights(logits: Tensor, top_k: int, limit: int | None = None) -> Tensor:
    """Softmax over each clip's ``top_k`` largest logits, zero elsewhere.

    Args:
        logits: (B, E).
        top_k: Experts per clip.
        limit: Clips per expert, the first of the batch; later ones lose that expert, and their
            other weights stay as they are. None: no limit.

    Returns:
        (B, E).
    """
    chosen = torch.zeros_like(logits, dtype=torch.bool)  # (B, E)
    chosen.scatter_(1, logits.topk(top_k, dim=1).indices, value=True)
    weights = logits.masked_fill(~chosen, -torch.inf).softmax(1)
    if limit is None:
        return weights
    return weights * (chosen.cumsum(0) <= limit)  # a clip's place in the expert's queue


class Router(nn.Module):
    """h = W_g r + b_g + ε ⊙ softplus(W_n r + b_n), ε standard normal."""

    def __init__(self, hidden: int, experts: int) -> None:
        super().__init__()
        self.choice = nn.Linear(hidden, experts)
        self.noise = nn.Linear(hidden, experts)

    def forward(self, summary: Tensor, *, noisy: bool) -> Tensor:
        """(B, D) -> logits (B, E)."""
        logits: Tensor = self.choice(summary)
        if noisy:
            logits = logits + torch.randn_like(logits) * softplus(self.noise(summary))
        return logits


class ExpertMixture(nn.Module):
    """All tokens of a clip go to the clip's experts and come back as their weighted sum."""

    def __init__(self, hidden: int, routing: Routing) -> None:
        super().__init__()
        self.routing = routing
        self.router = Router(hidden, routing.experts) if routing.experts > 1 else None
        if self.router is not None and routing.top_k == 1:
            self.router.requires_grad_(False)  # the softmax over one logit is 1, whatever it is
        self.experts = nn.ModuleList(FeedForward(hidden) for _ in range(routing.experts))

    def forward(self, tokens: Tensor, summary: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the experts' answers.

        Args:
            tokens: (B, L, D).
            summary: (B, D), what the router reads.

        Returns:
            (B, L, D), and the weights (B, E); a clip that every expert turned away gets zero.
        """
        weights = self._weights(summary)  # (B, E)
        mixed = torch.zeros_like(tokens)
        for expert, weight in zip(self.experts, weights.unbind(1), strict=True):
            rows = weight.nonzero().squeeze(1)  # the clips of this expert
            if not len(rows):  # it has no gradient then, and the optimiser leaves it alone
                continue
            answer = expert(tokens[rows]) * weight[rows, None, None]  # (rows, L, D)
            mixed = mixed.index_add(0, rows, answer.to(mixed.dtype))
        return mixed, weights

    def _weights(self, summary: Tensor) -> Tensor:
        if self.router is None:
            return summary.new_ones(len(summary), 1)
        logits = self.router(summary, noisy=self._applies(self.routing.noise))
        limited = self._applies(self.routing.capacity)
        limit = self.routing.limit(len(summary)) if limited else None
        return routed_weights(logits, self.routing.top_k, limit)

    def _applies(self, when: str) -> bool:
        return when == "always" or (when == "training" and self.training)


class RoutedEncoder(nn.Module):
    """N layers of X + Attn(X, X), then X + mixture(LN X), after learned positions.

    Args:
        tokens: L, at most.
        layers: N.
        size: Widths.
        routing: How clips find their experts.
    """

    def __init__(self, tokens: int, layers: int, size: EncoderSize, routing: Routing) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, tokens, size.hidden))
        self.layers = nn.ModuleList(_RoutedLayer(size, routing) for _ in range(layers))

    def forward(self, tokens: Padded, summary: Tensor) -> tuple[Tensor, Tensor]:
        """Encode all tokens of each clip.

        Args:
            tokens: (B, L, D).
            summary: (B, D), what every layer's router reads.

        Returns:
            (B, L, D), and each clip's expert weights, averaged over layers (B, E).
        """
        values = tokens.values + self.position  # (B, L, D)
        weights = []
        for layer in self.layers:
            values, chosen = layer(Padded(values, tokens.mask), summary)
            weights.append(chosen)
        return values, torch.stack(weights).mean(0)  # (N, B, E) -> (B, E)


class _RoutedLayer(nn.Module):
    def __init__(self, size: EncoderSize, routing: Routing) -> None:
        super().__init__()
        self.attention = Attention(size)
        self.norm = nn.LayerNorm(size.hidden)
        self.mixture = ExpertMixture(size.hidden, routing)

    def forward(self, tokens: Padded, summary: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L, D) -> (B, L, D) and the expert weights (B, E)."""
        values = tokens.values + self.attention(tokens.values, tokens)
        mixed, weights = self.mixture(self.norm(values), summary)
        return values + mixed, weights
