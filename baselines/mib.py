"""MIB: streams, or what they are fused to, pass a variational information bottleneck.

Shapes: B clips, L tokens, D features of a stream, H hidden size of the encoder, S size of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, softplus

from baselines._shared.bert import audio_vision, masked_mean, tokens_of
from baselines._shared.dropout import LaneDropout
from baselines._shared.hidden import HiddenStates
from baselines._shared.padding import padded_tokens
from baselines._shared.stages import whole
from baselines._shared.transformer import CrossModalEncoder
from baselines._shared.word_rows import WordRows
from baselines._shared.words import at_step
from baselines._shared.zero_steps import ValuedPositions
from baselines.mag_bert import draw_as_bert
from baselines.tfn import tensor_product
from harness.data.batching import Batch, Tokens
from harness.spec import ReleasedSelection, Scalar, SelectionRule
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    ParameterGroup,
    QuirkParams,
    Stage,
    System,
    TokenParams,
    TrainingParams,
    param,
)

__all__ = ["C_MIB", "E_MIB", "L_MIB", "MIB", "Bottleneck", "MIBParams", "divergence"]

_STREAMS = ("text", "audio", "vision")


@dataclass(frozen=True, kw_only=True)
class MIBParams(TokenParams, QuirkParams):
    """Hyper-parameters of MIB; ``lr`` is that of all but the encoder."""

    bottlenecks: str = param(
        "complete",
        choices=("complete", "early", "late"),
        source="MIB; early: of the fused vector, late: of each stream's, complete: of all",
    )
    fusion: str = param("concat", choices=("concat", "tensor"), source="MIB, as released for it")
    hidden: int = param(50, low=1, source="MIB; S, divisible by heads")
    heads: int = param(5, low=1, source="MIB")
    layers: int = param(3, low=1, source="MIB; of the encoders of audio and vision")
    bottleneck_size: int = param(1024, low=1, source="MIB; hidden units before a bottleneck")
    noise_offset: float = param(-5.0, source="MIB; added before the softplus of a scale")
    bottleneck_weight: float = param(1e-3, low=0.0, source="MIB; beta, of each divergence")
    attention_dropout: float = param(0.5, low=0.0, high=1.0, source="MIB")
    relu_dropout: float = param(0.3, low=0.0, high=1.0, source="MIB")
    residual_dropout: float = param(0.3, low=0.0, high=1.0, source="MIB")
    embed_dropout: float = param(0.2, low=0.0, high=1.0, source="MIB")
    fusion_dropout: float = param(0.5, low=0.0, high=1.0, source="MIB; of the tensor's products")
    encoder_lr: float = param(1e-5, low=0.0, source="MIB; of the encoder and what reads it")
    lr: float = param(2e-5, low=0.0, source="MIB; fixed in its code")
    batch_size: int = param(32, low=2, source="MIB, README")
    epochs: int = param(50, low=0, source="MIB")


@dataclass(frozen=True, kw_only=True)
class EarlyMIBParams(MIBParams):
    """Of E-MIB."""

    bottlenecks: str = param("early", choices=("complete", "early", "late"), source="E-MIB")


@dataclass(frozen=True, kw_only=True)
class LateMIBParams(MIBParams):
    """Of L-MIB."""

    bottlenecks: str = param("late", choices=("complete", "early", "late"), source="L-MIB")
    fusion: str = param("tensor", choices=("concat", "tensor"), source="L-MIB, as released")


def divergence(mean: Tensor, scale: Tensor) -> Tensor:
    """KL(N(mean, scale²) || N(0, 1)) in nats, its mean over clips and features, (B, S) each."""
    return 0.5 * (mean.square() + scale.square() - 2 * scale.log() - 1).mean()


class Bottleneck(nn.Module):
    """z = μ(h) + σ(h) ε with h = ReLU(W x), and an answer W z.

    Args:
        size: S, of x and of z.
        hidden: Of h.
        offset: Added before the softplus of σ; it decides how much noise there is at first.
        noisy: Whether ε is drawn in evaluation as well; otherwise z is μ there.
    """

    def __init__(self, size: int, hidden: int, offset: float, *, noisy: bool) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, hidden)
        self.mean = nn.Linear(hidden, size)
        self.scale = nn.Linear(hidden, size)
        self.answer = nn.Linear(size, 1)
        self.offset, self.noisy = offset, noisy

    def forward(self, vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, S) -> z (B, S), what it answers (B,), and the divergence from N(0, 1)."""
        hidden = self.hidden(vector).relu()  # (B, hidden)
        mean, scale = self.mean(hidden), softplus(self.scale(hidden) + self.offset)  # (B, S) each
        passed = mean
        if self.training or self.noisy:
            passed = mean + scale * torch.randn_like(mean)
        return passed, self.answer(passed).squeeze(1), divergence(mean, scale)


class ConcatFusion(nn.Module):
    """ReLU(W [text; audio; vision])."""

    def __init__(self, params: MIBParams) -> None:
        super().__init__()
        self.project = nn.Linear(3 * params.hidden, params.hidden)

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        """(B, S) each -> (B, S)."""
        fused: Tensor = self.project(torch.cat([text, audio, vision], dim=1)).relu()
        return fused


class TensorFusion(nn.Module):
    """Three linear maps of all products of the streams' features, each stream with a leading 1."""

    def __init__(self, params: MIBParams) -> None:
        super().__init__()
        size = params.hidden
        self.layers = nn.Sequential(
            LaneDropout(params.fusion_dropout),
            nn.Linear((size + 1) ** 3, size),
            *(nn.Linear(size, size), nn.Tanh()),
            *(nn.Linear(size, size), nn.ReLU()),
        )

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        """(B, S) each -> (B, S)."""
        fused: Tensor = self.layers(tensor_product(text, audio, vision))
        return fused


_FUSIONS: dict[str, Callable[[MIBParams], nn.Module]] = {
    "concat": ConcatFusion,
    "tensor": TensorFusion,
}


class StreamVector(nn.Module):
    """One vector of a word-aligned stream: a convolution, a Transformer, its last step."""

    def __init__(self, size: int, params: MIBParams) -> None:
        super().__init__()
        encoder = ValuedPositions if params.published else CrossModalEncoder
        self.project = nn.Conv1d(size, params.hidden, 3, padding=1, bias=False)
        self.encode = encoder(
            params.hidden,
            params.heads,
            params.layers,
            attention_dropout=params.attention_dropout,
            relu_dropout=params.relu_dropout,
            residual_dropout=params.residual_dropout,
            embed_dropout=params.embed_dropout,
            causal=False,
        )
        self.padded = params.published

    def forward(self, rows: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D), and (B, L) bool, True on true tokens -> (B, S)."""
        steps = self.project(rows.transpose(1, 2)).transpose(1, 2)  # (B, L, S)
        if self.padded:
            encoded: Tensor = self.encode(steps)
            return encoded[:, -1]
        return at_step(self.encode(steps, query_mask=mask), mask.sum(1) - 1)


class MIB(Network):
    """y of a fused vector; which vectors pass a bottleneck is what the three systems differ in."""

    def __init__(self, dims: Dims, params: MIBParams) -> None:
        super().__init__()
        (_, audio), (_, vision) = map(dims.need, ("audio", "vision"))
        self.params = params
        size = params.hidden
        self.rows = WordRows(dims, params.tokens)
        self.encoder = HiddenStates(dims)
        self.text = nn.Conv1d(self.encoder.size, size, 3, padding=1, bias=False)
        self.audio, self.vision = StreamVector(audio, params), StreamVector(vision, params)
        self.single = nn.ModuleDict(
            {name: self._bottleneck() for name in _STREAMS if params.bottlenecks != "early"}
        )
        self.fuse = _FUSIONS[params.fusion](params)
        late = params.bottlenecks == "late"
        self.fused = None if late else self._bottleneck()
        self.head = nn.Linear(size, 1) if late else None
        self.idle = nn.ModuleList(self._idle() if params.published else [])
        self.idle.requires_grad_(False)
        for part in (self.audio, self.vision, self.single, self.fuse, self.fused, self.head):
            if part is not None:
                _draw(part)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        tokens = tokens_of(batch)
        if self.params.published:
            tokens = padded_tokens(tokens, self.params.max_tokens)
        audio, vision = (self.rows(tokens, stream) for stream in audio_vision(batch))
        mask = tokens.mask.bool()
        vectors = {
            "text": self._text(tokens),
            "audio": self.audio(audio, mask),
            "vision": self.vision(vision, mask),
        }
        beta, losses = self.params.bottleneck_weight, dict[str, Tensor]()
        for name, bottleneck in self.single.items():
            vectors[name], answer, kept = bottleneck(vectors[name])
            losses[name] = l1_loss(answer, batch.labels) + beta * kept
        fused = self.fuse(*vectors.values())  # (B, S)
        if self.fused is None:
            assert self.head is not None
            prediction = self.head(fused).squeeze(1)  # (B,)
        else:
            _, prediction, kept = self.fused(fused)
            losses["divergence"] = beta * kept
        # as released the error counts twice: once with the fused vector's divergence, once alone
        losses["fused"] = l1_loss(prediction, batch.labels)
        return Output(prediction, losses)

    def _text(self, tokens: Tokens) -> Tensor:
        """(B, S): a convolution of the hidden states, averaged over true tokens.

        As released it is the last of ``max_tokens`` places, which is padding for most clips.
        """
        hidden = self.encoder(tokens)  # (B, L, H)
        if not self.params.published:
            hidden = hidden * tokens.mask.unsqueeze(2)
        states: Tensor = self.text(hidden.transpose(1, 2)).transpose(1, 2)  # (B, L, S)
        return states[:, -1] if self.params.published else masked_mean(states, tokens)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """The encoder with its convolution, and the rest: two optimisers that step together."""
        assert isinstance(params, MIBParams)
        slow = [*self.encoder.parameters(), *self.text.parameters()]
        known = {id(p) for p in slow}
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in known]
        return [{"params": slow, "lr": params.encoder_lr}, {"params": rest}]

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One, as long as the quirk wants it."""
        return whole(self.params)

    def _bottleneck(self) -> Bottleneck:
        params = self.params
        sizes = params.hidden, params.bottleneck_size
        return Bottleneck(*sizes, params.noise_offset, noisy=params.published)

    def _idle(self) -> list[nn.Module]:
        """Parts that the released code registers and never reads; they count in its size."""
        size, wide = self.params.hidden, self.params.bottleneck_size
        if self.params.bottlenecks == "complete":
            return []
        again = nn.Conv1d(self.encoder.size, size, 3, bias=False)
        if self.params.bottlenecks == "early":
            return [again, *(self._bottleneck() for _ in _STREAMS)]
        shared = (nn.Linear(size, wide), nn.Linear(wide, size), nn.Linear(wide, size))
        tensor = (
            *(nn.BatchNorm1d(size), nn.BatchNorm1d(size), nn.Linear(2 * size, size)),
            *(nn.Linear(size, 1), nn.Linear(size, 1)),
            *(nn.Linear(size, size), nn.Linear(size, size)),
            nn.LSTM(size, size, num_layers=2, bidirectional=True),
            *(nn.LSTMCell(size, size), nn.Linear(size, size, bias=False)),
        )
        return [again, nn.BatchNorm1d(size), *shared, *tensor]


def _draw(part: nn.Module) -> None:
    """Linear layers start as BERT's, but for queries, keys and values: one bare matrix there."""
    for name, module in part.named_modules():
        if not name.endswith("attention.inputs"):
            draw_as_bert(module)


_CHINESE: dict[str, Scalar] = {"encoder": "bert-base-chinese"}
_DEVIATIONS = (
    "quirk=fixed: evaluated without noise, text is a mean over true tokens, audio and vision are"
    " read at the last true token, padding is masked. As released noise is drawn in evaluation too,"
    " all streams are read at the last of 50 places, padding for most clips, and steps whose first"
    " feature is zero have no position",
    "Word pieces of a word share its row of audio and vision; words are read off the tokens,"
    " and unaligned streams are pooled to them. Published on MAG-BERT's word-aligned files (74"
    " audio features; 47 of vision on CMU-MOSI, 35 on CMU-MOSEI), which msa data add FILE"
    " --layout mag-bert reads",
    'Where a corpus stores tokens beside word-aligned features, choose tokens = "corpus"',
    "quirk=fixed: the protocol's patience; as released 50 epochs are trained whatever happens",
    "The error of the fused prediction counts twice, as released",
    "Two Adam optimisers that step together are one with two groups here",
    "Its own scores leave clips labelled zero out of MAE and Corr, and come from one run",
    "CH-SIMS and CH-SIMS v2: settings of CMU-MOSI (ours); none are published",
)


def _system(*, name: str, kind: str, params: type[MIBParams], also: tuple[str, ...] = ()) -> System:
    return System(
        name=name,
        card=Card(
            title=f"{kind[0].upper()}-MIB",
            paper="Mai, Zeng, Hu. Multimodal Information Bottleneck: Learning Minimal Sufficient"
            f" Unimodal and Multimodal Representations. IEEE TMM 2023; its {kind} variant."
            " Code TmacMai/Multimodal-Information-Bottleneck f6d006b (MIT), read",
            year=2023,
            url="https://doi.org/10.1109/TMM.2022.3171679",
            text="T-BERT",
            deviations=(*_DEVIATIONS, *also),
            declares={
                "deterministic@published": "noise passes the bottlenecks in evaluation as well",
                "neighbours@published": "a clip's noise depends on its place in the batch",
            },
            selection=ReleasedSelection(
                source="TmacMai/Multimodal-Information-Bottleneck f6d006b",
                rules=(SelectionRule(monitor="mse", digits=6),),
                notes=(
                    "its noise is drawn once per epoch, in batches of 128",
                    "it rounds nothing; here what float32 cannot tell apart is equal",
                ),
            ),
        ),
        params=params,
        presets={
            "mosi": {},
            "mosei": {},
            "sims": {**_CHINESE, "max_tokens": 39},
            "simsv2": _CHINESE,
        },
        inputs=frozenset({"tokens", "audio", "vision"}),
        build=MIB,
    )


_IDLE = ("Parts that its code registers and never reads are there in quirk=published, frozen",)

C_MIB = _system(name="c_mib", kind="complete", params=MIBParams)
E_MIB = _system(name="e_mib", kind="early", params=EarlyMIBParams, also=_IDLE)
L_MIB = _system(name="l_mib", kind="late", params=LateMIBParams, also=_IDLE)
