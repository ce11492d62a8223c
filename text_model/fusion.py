"""The head of TEXT: one vector per stream, weighed, and a regression.

Shapes: B clips, M = 3 streams, D features.
"""

from __future__ import annotations

from torch import Tensor, nn

from harness.data.corpus import STREAMS
from harness.system.gates import Gate

__all__ = ["FusionHead"]


class FusionHead(nn.Module):
    """z = Σ g_m h_m with g = softmax(W [h_T; h_A; h_V] + b); y = MLP(z), not bounded.

    Args:
        hidden: D.
        dropout: Before the last layer.
        gated: False: all streams weigh the same, g = 1/3.
    """

    def __init__(self, hidden: int, dropout: float, *, gated: bool = True) -> None:
        super().__init__()
        self.gate = nn.Linear(len(STREAMS) * hidden, len(STREAMS)) if gated else None
        self.judgement = Gate("gate", of=STREAMS) if gated else None
        self.regress = nn.Sequential(
            *(nn.Linear(hidden, hidden // 2), nn.GELU(), nn.Dropout(dropout)),
            nn.Linear(hidden // 2, 1),
        )

    def forward(self, streams: Tensor) -> tuple[Tensor, Tensor]:
        """(B, M, D), text, audio and vision -> predictions (B,) and weights (B, M)."""
        weights = self._weights(streams)  # (B, M)
        fused = (weights.unsqueeze(2) * streams).sum(1)  # (B, D)
        return self.regress(fused).squeeze(1), weights

    def _weights(self, streams: Tensor) -> Tensor:
        if self.gate is None or self.judgement is None:
            return streams.new_full((len(streams), len(STREAMS)), 1 / len(STREAMS))
        weights: Tensor = self.judgement(self.gate(streams.flatten(1)).softmax(1))  # (B, M)
        return weights
