"""CENET: inside BERT, after its first layer, words are shifted by what they find in other streams.

Shapes: B clips, L tokens, T frames, H hidden size of the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from baselines._shared.bert import TokenEncoder, audio_vision, bert_groups, changed, tokens_of
from baselines._shared.padding import steps_of
from baselines.mag_bert import draw_as_bert
from harness.data.batching import Batch, Sequence
from harness.errors import SpecError
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    ParameterGroup,
    QuirkParams,
    System,
    TokenParams,
    TrainingParams,
    param,
)

__all__ = ["CENET", "CENETParams", "EnhancedEncoder", "Enhancement", "StreamAttention"]

UNREAD = (3, 5, 6)  # rows of tables for sentiment words, parts of speech and polarity


@dataclass(frozen=True, kw_only=True)
class CENETParams(TokenParams, QuirkParams):
    """Hyper-parameters of CENET; ``lr`` is that of all weights."""

    dropout: float = param(0.1, low=0.0, high=1.0, source="BERT; before both layers of the head")
    sharpness: float = param(8.0, low=0.0, source="CENET; factor of attention scores")
    position: int = param(1, low=1, source="CENET; encoder layers before the enhancement")
    adam_eps: float = param(3e-8, low=0.0, source="MMSA, MOSI")
    lr: float = param(1e-5, low=0.0, source="MMSA, MOSI")
    weight_decay: float = param(1e-4, low=0.0, source="MMSA, MOSI")
    batch_size: int = param(64, low=2, source="MMSA, MOSI")
    clip_norm: float = param(2.0, low=0.0, source="MMSA, MOSI")


class StreamAttention(nn.Module):
    """softmax(c Q Kᵀ) V with Q from hidden states, K and V from MLP(stream); one head."""

    def __init__(self, size: int, hidden: int, sharpness: float) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            *(nn.Linear(size, hidden), nn.ReLU()),
            nn.Linear(hidden, hidden),
        )
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)
        self.sharpness = sharpness

    def forward(self, words: Tensor, frames: Tensor, mask: Tensor | None) -> Tensor:
        """Words (B, L, H), frames (B, T, D) and their mask (B, T) -> (B, L, H)."""
        source = self.embed(frames)  # (B, T, H)
        return scaled_dot_product_attention(
            *(self.query(words), self.key(source), self.value(source)),
            attn_mask=None if mask is None else mask.unsqueeze(1),  # (B, 1, T)
            scale=self.sharpness,
        )


class Enhancement(nn.Module):
    """h + W [vision attention(h); audio attention(h)] + b."""

    def __init__(self, dims: Dims, hidden: int, params: CENETParams) -> None:
        super().__init__()
        (_, audio), (_, vision) = map(dims.need, ("audio", "vision"))
        self.audio = StreamAttention(audio, hidden, params.sharpness)
        self.vision = StreamAttention(vision, hidden, params.sharpness)
        self.shift = nn.Linear(2 * hidden, hidden)
        self.padded = params.published

    def forward(self, words: Tensor, audio: Sequence, vision: Sequence) -> Tensor:
        """Hidden states (B, L, H) -> the same, shifted."""
        seen = self.vision(words, *steps_of(vision, padded=self.padded))  # (B, L, H)
        heard = self.audio(words, *steps_of(audio, padded=self.padded))  # (B, L, H)
        shifted: Tensor = words + self.shift(torch.cat([seen, heard], dim=2))
        return shifted


class EnhancedEncoder(Network):
    """y = w · dropout(tanh(W dropout(h_[CLS]))) + b, of an encoder with an enhancement inside."""

    def __init__(self, dims: Dims, params: CENETParams) -> None:
        super().__init__()
        self.encoder = TokenEncoder(dims)
        self.position, hidden = params.position, self.encoder.size
        _layer_before(self.encoder, self.position)  # refuses other encoders at once
        self.enhance = Enhancement(dims, hidden, params)
        self.head = nn.Sequential(
            *(nn.Dropout(params.dropout), nn.Linear(hidden, hidden), nn.Tanh()),
            *(nn.Dropout(params.dropout), nn.Linear(hidden, 1)),
        )
        if params.published:  # embeddings are computed without gradients; some are never read
            self.encoder.network.embeddings.requires_grad_(False)
            self.unread = nn.ModuleList(nn.Embedding(rows, hidden) for rows in UNREAD)
            self.unread.requires_grad_(False)
            self.enhance.apply(draw_as_bert)
            self.head.apply(draw_as_bert)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        audio, vision = audio_vision(batch)
        before = _layer_before(self.encoder, self.position)
        with changed(before, lambda words: self.enhance(words, audio, vision)):
            first = self.encoder.first(tokens_of(batch))  # (B, H)
        return Output(self.head(first).squeeze(1))

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """One rate and one epsilon; the enhancement is decayed whole."""
        assert isinstance(params, CENETParams)
        groups = [
            *bert_groups(self.encoder, params.lr, params.weight_decay),
            *bert_groups(self.head, params.lr, params.weight_decay),
            {"params": list(self.enhance.parameters())},
        ]
        return [{**group, "eps": params.adam_eps} for group in groups]


def _layer_before(encoder: TokenEncoder, position: int) -> nn.Module:
    """The layer of a BERT-like encoder after which the one at ``position`` comes."""
    layers = getattr(getattr(encoder.network, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList):
        raise SpecError("CENET works inside a BERT-like encoder, with its layers in encoder.layer")
    if len(layers) <= position:
        raise SpecError(
            f"the enhancement precedes layer {position} counted from 0; there are {len(layers)}",
            hint="a smaller position, or a deeper encoder",
        )
    return layers[position - 1]


CENET = System(
    name="cenet",
    card=Card(
        title="CENET",
        paper="Wang, Liu, Wang, Tian, He, Gao. Cross-modal Enhancement Network for Multimodal"
        " Sentiment Analysis. IEEE Transactions on Multimedia 2022; as implemented in MMSA",
        year=2022,
        url="https://doi.org/10.1109/TMM.2022.3183830",
        text="T-BERT",
        deviations=(
            "As in MMSA, frames enter as features. The authors feed codes of k-means clusters and"
            " add embeddings of sentiment words, parts of speech and polarity",
            "Attention scores are multiplied by 8, not divided, as in both implementations",
            "quirk=fixed: padding is masked in the enhancement; MMSA attends to it",
            "quirk=fixed: the enhancement and the head start as linear layers do; in MMSA as all of"
            " BERT, N(0, 0.02) and biases of 0, so that attention begins less sharp",
            "quirk=fixed: BERT's embeddings are trained; MMSA computes them without gradients, and"
            " carries three embedding tables that it never reads",
        ),
        selection=ReleasedSelection(
            source="MMSA (a94e65d), trains/singleTask/CENET.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=CENETParams,
    presets={
        "mosi": {
            **{"encoder": "bert-base-uncased", "max_tokens": 50, "batch_size": 64},
            **{"lr": 1e-5, "weight_decay": 1e-4, "clip_norm": 2.0, "adam_eps": 3e-8},
        },
        "mosei": {
            **{"encoder": "bert-base-uncased", "max_tokens": 50, "batch_size": 64},
            **{"lr": 1e-5, "weight_decay": 1e-4, "clip_norm": 2.0, "adam_eps": 1e-8},
        },
        "sims": {
            **{"encoder": "bert-base-chinese", "max_tokens": 39, "batch_size": 32},
            **{"lr": 2e-6, "weight_decay": 0.0, "clip_norm": 2.0, "adam_eps": 2e-8},
        },
        "simsv2": {
            **{"encoder": "bert-base-chinese", "max_tokens": 50, "batch_size": 64},
            **{"lr": 3e-5, "weight_decay": 0.0, "clip_norm": 2.0, "adam_eps": 3e-8},
        },
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=EnhancedEncoder,
)
