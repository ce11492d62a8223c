"""ERM Transformer: the frames of all streams in one sequence, read by one plain Transformer.

The reference point for every fusion that claims to be better than none: no alignment, no gates, no
auxiliary losses, one loss on the training data (empirical risk minimisation).

Shapes: B clips, T frames of a stream, L = 1 + all frames, H hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines._shared.blocks import streams
from baselines._shared.transformer import sinusoids
from harness.data.batching import Batch, Sequence
from harness.data.corpus import STREAMS
from harness.system import Card, Dims, Network, Output, System, WarmParams, param

__all__ = ["ERM_TRANSFORMER", "ERMTransformer", "ERMTransformerParams"]


@dataclass(frozen=True, kw_only=True)
class ERMTransformerParams(WarmParams):
    """Hyper-parameters of the ERM Transformer: customary values, not tuned on any dataset."""

    hidden: int = param(128, low=2, source="ours: as wide as most published fusion layers")
    layers: int = param(2, low=1, source="ours")
    heads: int = param(4, low=1, source="ours")
    dropout: float = param(0.1, low=0.0, high=1.0, source="ours: as in the first Transformer")
    lr: float = param(5e-4, low=0.0, source="ours")
    weight_decay: float = param(0.01, low=0.0, source="ours: PyTorch's default for AdamW")
    optimizer: str = param("adamw", choices=("adam", "adamw"), source="ours")
    schedule: str = param("cosine", choices=("constant", "linear", "cosine"), source="ours")
    warmup: float = param(0.1, low=0.0, high=1.0, source="ours")
    epochs: int = param(30, low=0, source="ours; the schedule ends here")


class ERMTransformer(Network):
    """y = w · Transformer([cls; P_t t + e_t; P_a a + e_a; P_v v + e_v])_1 + b, padding masked.

    P_m projects stream m to one width, e_m says which stream a frame belongs to; sinusoids say
    where in its stream it stands.
    """

    def __init__(self, dims: Dims, params: ERMTransformerParams) -> None:
        super().__init__()
        size = params.hidden
        self.projections = nn.ModuleDict({m: nn.Linear(dims.need(m)[1], size) for m in STREAMS})
        self.modalities = nn.ParameterDict(
            {m: nn.Parameter(0.02 * torch.randn(size)) for m in STREAMS}
        )
        self.summary = nn.Parameter(0.02 * torch.randn(size))
        layer = nn.TransformerEncoderLayer(
            *(size, params.heads, 4 * size, params.dropout),
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(
            layer, params.layers, norm=nn.LayerNorm(size), enable_nested_tensor=False
        )
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(size, 1)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        given = dict(zip(STREAMS, streams(batch), strict=True))
        cls = self.summary.expand(len(batch), 1, -1)  # (B, 1, H)
        embedded = torch.cat([cls, *(self._embed(m, s) for m, s in given.items())], dim=1)
        first = torch.ones_like(given["text"].mask[:, :1])  # (B, 1)
        true = torch.cat([first, *(stream.mask for stream in given.values())], dim=1)  # (B, L)
        hidden = self.encoder(self.dropout(embedded), src_key_padding_mask=~true)  # (B, L, H)
        return Output(self.head(hidden[:, 0]).squeeze(1))

    def _embed(self, modality: str, stream: Sequence) -> Tensor:
        """(B, T, H)."""
        embedded: Tensor = self.projections[modality](stream.values) + self.modalities[modality]
        _, frames, size = embedded.shape
        return embedded + sinusoids(frames, size, embedded.device)


ERM_TRANSFORMER = System(
    name="erm_transformer",
    card=Card(
        title="ERM Transformer",
        paper="reference point, no paper",
        year=None,
        text="T-feat",
        deviations=("Ours: the architecture is the customary one, its sizes are not tuned",),
    ),
    params=ERMTransformerParams,
    inputs=frozenset(STREAMS),
    build=ERMTransformer,
)
