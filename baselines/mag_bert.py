"""MAG-BERT: audio and vision shift the word embeddings before the encoder reads them.

Shapes: B clips, L word pieces, D features of a stream, H hidden size of the encoder.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm

from baselines._shared.bert import TokenEncoder, audio_vision, tokens_of
from baselines.ef_lstm import pool_padded, pool_to
from harness.data.batching import Batch, Sequence, Tokens
from harness.spec import ReleasedSelection, Scalar, SelectionRule
from harness.system import Card, Dims, Network, Output, QuirkParams, System, TokenParams, param

__all__ = ["MAG_BERT", "AdaptationGate", "MAGBert", "MAGBertParams", "draw_as_bert"]

_EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class MAGBertParams(TokenParams, QuirkParams):
    """Hyper-parameters of MAG-BERT."""

    shift: float = param(1.0, low=0.0, source="MMSA: beta, largest shift per embedding length")
    dropout: float = param(0.3, low=0.0, high=1.0, source="MMSA, MOSI; after the shift")
    head_dropout: float = param(0.1, low=0.0, high=1.0, source="BERT")
    lr: float = param(2e-5, low=0.0, source="MMSA, MOSI")
    batch_size: int = param(32, low=2, source="MMSA")


class AdaptationGate(nn.Module):
    """e -> dropout(LayerNorm(e + α h)), for every word piece.

    g_m = ReLU(G_m [m; e]), h = Σ_m g_m (W_m m), α = min(1, β |e| / |h|), over m = vision, audio.
    """

    def __init__(self, size: int, audio: int, vision: int, shift: float, dropout: float) -> None:
        super().__init__()
        sizes = {"vision": vision, "audio": audio}
        self.gate = nn.ModuleDict({m: nn.Linear(d + size, size) for m, d in sizes.items()})
        self.project = nn.ModuleDict({m: nn.Linear(d, size) for m, d in sizes.items()})
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)
        self.shift = shift

    def forward(self, embedded: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        """(B, L, H), (B, L, D_a), (B, L, D_v) -> (B, L, H)."""
        move = self._move("vision", vision, embedded) + self._move("audio", audio, embedded)
        shifted: Tensor = self.dropout(self.norm(embedded + self._share(embedded, move) * move))
        return shifted

    def _move(self, name: str, stream: Tensor, embedded: Tensor) -> Tensor:
        gate = self.gate[name](torch.cat([stream, embedded], dim=2)).relu()  # (B, L, H)
        move: Tensor = gate * self.project[name](stream)
        return move

    def _share(self, embedded: Tensor, move: Tensor) -> Tensor:
        """(B, L, 1): α; no move has the length 1."""
        length = vector_norm(move, dim=2, keepdim=True)  # (B, L, 1)
        length = torch.where(length == 0, 1.0, length)
        limit = self.shift * vector_norm(embedded, dim=2, keepdim=True)
        share: Tensor = (limit / (length + _EPS)).clamp(max=1.0)
        return share


class MAGBert(Network):
    """y = w · dropout(pooled) + b of an encoder whose embeddings went through the gate."""

    def __init__(self, dims: Dims, params: MAGBertParams) -> None:
        super().__init__()
        (_, audio), (_, vision) = map(dims.need, ("audio", "vision"))
        self.encoder = TokenEncoder(dims, pooler=True)
        size = self.encoder.size
        self.gate = AdaptationGate(size, audio, vision, params.shift, params.dropout)
        self.dropout = nn.Dropout(params.head_dropout)
        self.head = nn.Linear(size, 1)
        self.params = params
        self.gate.apply(draw_as_bert)
        self.head.apply(draw_as_bert)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        tokens = tokens_of(batch)
        audio, vision = (self._spread(tokens, stream) for stream in audio_vision(batch))
        gate = functools.partial(self.gate, audio=audio, vision=vision)
        pooled = self.encoder.pooled(tokens, embedded=gate)  # (B, H)
        return Output(self.head(self.dropout(pooled)).squeeze(1))

    def _spread(self, tokens: Tokens, stream: Sequence) -> Tensor:
        """(B, L, D): the stream's frames averaged over word pieces; aligned ones stay."""
        if not self.params.published:
            places = tokens.mask.unsqueeze(2)  # (B, L, 1), read for its length alone
            return pool_to(Sequence(places, tokens.mask.sum(1), places.shape[1]), stream)
        pieces, length = self.params.max_tokens, tokens.ids.shape[1]
        pooled = pool_padded(stream.untrimmed(), pieces)[:, :length]
        return nn.functional.pad(pooled, (0, 0, 0, length - pooled.shape[1]))


def draw_as_bert(module: nn.Module) -> None:
    """Start a linear layer as BERT's were: weights N(0, 0.02), biases 0; leave others alone."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


_CHINESE: Mapping[str, Scalar] = {
    **{"shift": 1.0, "dropout": 0.1, "lr": 5e-5, "batch_size": 32, "weight_decay": 0.0},
    **{"encoder": "bert-base-chinese"},
}

MAG_BERT = System(
    name="mag_bert",
    card=Card(
        title="MAG-BERT",
        paper="Rahman, Hasan, Lee, Zadeh, Mao, Morency, Hoque. Integrating Multimodal Information"
        " in Large Pretrained Transformers. ACL 2020; as implemented in MMSA",
        year=2020,
        url="https://aclanthology.org/2020.acl-main.214",
        text="T-BERT",
        deviations=(
            "quirk=fixed: unaligned audio and vision are pooled from true frames to the clip's own"
            " word pieces; MMSA pools the padded arrays",
            'Published on word-aligned features: choose such a corpus and tokens = "corpus", the'
            " ids that its frames belong to",
            "Training is MMSA's (Adam, L1, validation loss); the authors' (AdamW, MSE, 40 epochs)"
            " keeps the epoch that is best on the test split",
            "CH-SIMS v2 has no published setting; ours is that of CH-SIMS",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/BERT_MAG.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=MAGBertParams,
    presets={
        "mosi": {"shift": 1.0, "dropout": 0.3, "lr": 2e-5, "batch_size": 32, "weight_decay": 0.0},
        "mosei": {"shift": 1.0, "dropout": 0.2, "lr": 1e-5, "batch_size": 32, "weight_decay": 0.0},
        "sims": {**_CHINESE, "max_tokens": 39},
        "simsv2": _CHINESE,
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=MAGBert,
)
