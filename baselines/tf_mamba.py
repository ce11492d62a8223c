"""TF-Mamba: audio and vision are brought to the text's places and read beside it by state spaces.

Shapes: B clips, T frames of a stream, L places of the text, D hidden size, E channels of a state
space, N states of a channel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    linear,
    normalize,
    pad,
    scaled_dot_product_attention,
    silu,
    smooth_l1_loss,
)

from baselines._shared.bert import TokenEncoder, audio_vision, tokens_of
from baselines._shared.missing import check_unknown
from baselines._shared.padding import padded_tokens
from baselines._shared.schedules import cosine_by_epoch
from baselines._shared.stages import whole
from baselines.lnln import LNLNParams, damaged
from harness.data.batching import Batch, Sequence
from harness.spec import Scalar
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    QuirkParams,
    Stage,
    System,
    TokenParams,
    TrainingParams,
    TrainingProgress,
    WarmParams,
    param,
)
from harness.system.scan import scan_by

__all__ = ["TF_MAMBA", "Alignment", "BothWays", "PairLayer", "TFMamba", "TFMambaParams"]

_EPS = 1e-6  # of layer norms
_KERNEL = 4  # steps that a state space's convolution sees
_RANK = 8  # of what step sizes are made of
_STEPS = (1e-3, 0.1)  # first step sizes


@dataclass(frozen=True, kw_only=True)
class TFMambaParams(TokenParams, QuirkParams, WarmParams):
    """Hyper-parameters of TF-Mamba."""

    hidden: int = param(128, low=1, source="TF-Mamba")
    states: int = param(12, low=1, source="TF-Mamba, MOSI; N")
    expand: int = param(4, low=1, source="TF-Mamba, MOSI; E / D")
    pair_layers: int = param(1, low=1, source="TF-Mamba; of text beside audio and vision")
    query_layers: int = param(1, low=1, source="TF-Mamba, MOSI; of what the text has found")
    heads: int = param(8, low=1, source="TF-Mamba; of the text's question")
    head_size: int = param(64, low=1, source="TF-Mamba")
    rebuild_weight: float = param(0.7, low=0.0, source="TF-Mamba, MOSI; alpha")
    rebuild_dropout: float = param(0.1, low=0.0, high=1.0, source="TF-Mamba, MOSI")
    clean_share: float = param(
        0.5, low=0.0, high=1.0, source="TF-Mamba; of training clips whose stream loses nothing"
    )
    unknown_token: int = param(100, low=0, source="TF-Mamba; [UNK] of both BERT-base vocabularies")
    scan: str = param(
        "torch", choices=("torch", "mamba_ssm"), source="ours; released on mamba_ssm's kernel"
    )
    lr: float = param(1e-4, low=0.0, source="TF-Mamba")
    weight_decay: float = param(1e-4, low=0.0, source="TF-Mamba")
    batch_size: int = param(64, low=2, source="TF-Mamba")
    loss: str = param("mse", choices=("l1", "mse"), source="TF-Mamba")
    optimizer: str = param("adamw", choices=("adam", "adamw"), source="TF-Mamba")
    schedule: str = param("cosine", choices=("constant", "linear", "cosine"), source="TF-Mamba")
    warmup: float = param(0.1, low=0.0, high=1.0, source="TF-Mamba")
    epochs: int = param(200, low=0, source="TF-Mamba")

    def lr_factor(self, at: TrainingProgress) -> float:
        """As released, the rate changes once per epoch and is zero in the first."""
        if not (self.published and self.warmup and self.schedule == "cosine"):
            return super().lr_factor(at)
        return cosine_by_epoch(at, self.warmup)


class Alignment(nn.Module):
    """Frames to places: every frame is shared out among the places of the text and a blank.

    The shares are a softmax over the state of an LSTM, which has a channel for each place.

    Args:
        size: Features of a frame.
        places: Most places of a text.
    """

    def __init__(self, size: int, places: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, places + 1, num_layers=2, batch_first=True)
        self.places = places

    def forward(self, frames: Tensor, mask: Tensor | None, count: int) -> Tensor:
        """(B, T, F), zero where nothing is, and (B, L) true places; None: all -> (B, L, F).

        Args:
            frames: Of a stream.
            mask: Which places may be given something.
            count: L.
        """
        scores, _ = self.lstm(frames)  # (B, T, 1 + places)
        if mask is not None:
            open_ = pad(mask, (0, self.places - count))  # (B, places)
            open_ = pad(open_, (1, 0), value=True)  # the blank comes first
            scores = scores.masked_fill(~open_.unsqueeze(1), -torch.inf)
        shares = scores.softmax(2)[:, :, 1 : count + 1]  # (B, T, L)
        given: Tensor = shares.mT @ frames
        return given


class Direction(nn.Module):
    """A selective state space read in one direction; its rates of decay are given.

    x = SiLU(causal depth-wise Conv(x)), (δ, B, C) = split(W x), y = scan(x, W_Δ δ + b_Δ, B, C, z).
    """

    def __init__(self, channels: int, params: TFMambaParams, *, forward: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, _KERNEL, groups=channels, padding=_KERNEL - 1)
        self.sizes = (_RANK, params.states, params.states)
        self.select = nn.Linear(channels, sum(self.sizes), bias=False)
        self.step = nn.Linear(_RANK, channels)
        self.skip = nn.Parameter(torch.ones(channels))
        self.scan = params.scan
        if forward:  # as released, the other direction starts as torch starts a linear layer
            with torch.no_grad():
                _start_steps(self.step)

    def forward(self, x: Tensor, z: Tensor, rates: Tensor, mask: Tensor | None) -> Tensor:
        """(B, E, L) input and gate, (E, N) logs of rates, (B, 1, L) true steps -> (B, E, L)."""
        x = silu(self.conv(x)[:, :, : x.shape[2]])  # cut after L: causal
        if mask is not None:  # what is not there writes nothing into the state
            x = x * mask
        low, b, c = self.select(x.mT).split(self.sizes, dim=2)  # (B, L, rank | N | N)
        return scan_by(self.scan, x.device)(
            x,
            linear(low, self.step.weight).mT,
            -torch.exp(rates),
            b.mT,
            c.mT,
            self.skip,
            z,
            self.step.bias,
            True,
        )


def _start_steps(step: nn.Linear) -> None:
    """Start so that step sizes are log-uniform between two bounds for small inputs."""
    low, high = _STEPS
    bound = step.in_features**-0.5
    nn.init.uniform_(step.weight, -bound, bound)
    size = (low * (high / low) ** torch.rand_like(step.bias)).clamp(min=1e-4)  # (E,)
    step.bias.copy_(size + torch.log(-torch.expm1(-size)))  # the inverse of softplus


class Rates(nn.ParameterList):
    """Logs of the rates of decay, (E, N) for either direction; start: 1 to N in every channel."""

    def __init__(self, channels: int, states: int) -> None:
        start = torch.arange(1.0, states + 1).log().repeat(channels, 1)
        super().__init__([nn.Parameter(start.clone()) for _ in range(2)])


class BothWays(nn.Module):
    """W_out of the mean of a state space and of one that reads backwards, behind one W_in."""

    def __init__(self, params: TFMambaParams) -> None:
        super().__init__()
        channels = params.expand * params.hidden
        self.enter = nn.Linear(params.hidden, 2 * channels, bias=False)
        self.ahead = Direction(channels, params, forward=True)
        self.back = Direction(channels, params, forward=False)
        self.leave = nn.Linear(channels, params.hidden, bias=False)

    def forward(self, steps: Tensor, rates: Rates, mask: Tensor | None) -> Tensor:
        """(B, L, D) and (B, L) bool, True on true steps; None: all count -> (B, L, D)."""
        places = None if mask is None else mask.unsqueeze(1)  # (B, 1, L)
        x, z = self.enter(steps).mT.chunk(2, dim=1)  # (B, E, L) each
        if places is not None:
            x = x * places
        read = self.ahead(x, z, rates[0], places)
        turned = None if places is None else places.flip(2)
        reread = self.back(x.flip(2), z.flip(2), rates[1], turned).flip(2)
        mixed: Tensor = self.leave((0.5 * read + 0.5 * reread).mT)
        return mixed


class PairLayer(nn.Module):
    """p + LN(M_p(p)) and q + LN(M_q(q)): two state spaces that share their rates of decay."""

    def __init__(self, params: TFMambaParams) -> None:
        super().__init__()
        self.rates = Rates(params.expand * params.hidden, params.states)
        self.mix = nn.ModuleList(BothWays(params) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(params.hidden, _EPS) for _ in range(2))

    def forward(self, left: Tensor, right: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, L, D) twice and (B, L) true steps -> the same shapes."""
        first, second = (
            steps + norm(mix(steps, self.rates, mask))
            for steps, mix, norm in zip((left, right), self.mix, self.norms, strict=True)
        )
        return first, second


class QueryLayer(nn.Module):
    """x + LN(M(x))."""

    def __init__(self, params: TFMambaParams) -> None:
        super().__init__()
        self.rates = Rates(params.expand * params.hidden, params.states)
        self.mix = BothWays(params)
        self.norm = nn.LayerNorm(params.hidden, _EPS)

    def forward(self, steps: Tensor, mask: Tensor | None) -> Tensor:
        """(B, L, D) and (B, L) true steps -> (B, L, D)."""
        updated: Tensor = steps + self.norm(self.mix(steps, self.rates, mask))
        return updated


class Question(nn.Module):
    """t + LN(attention(t, s)): the text asks, audio and vision answer; no norm comes before."""

    def __init__(self, params: TFMambaParams) -> None:
        super().__init__()
        wide = params.heads * params.head_size
        self.maps = nn.ModuleList(nn.Linear(params.hidden, wide, bias=False) for _ in range(3))
        self.output = nn.Linear(wide, params.hidden)
        self.norm = nn.LayerNorm(params.hidden, _EPS)
        self.heads = params.heads

    def forward(self, text: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
        """(B, L, D), (B, S, D) and (B, S) true steps -> (B, L, D)."""
        q, k, v = (
            project(steps).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, L or S, -1)
            for project, steps in zip(self.maps, (text, source, source), strict=True)
        )
        allowed = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, S)
        found = scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        asked: Tensor = text + self.norm(self.output(found.transpose(1, 2).flatten(2)))
        return asked


class TFMamba(Network):
    """y of the largest features over all places of what the text found in audio and vision."""

    def __init__(self, dims: Dims, params: TFMambaParams) -> None:
        super().__init__()
        check_unknown(dims, params.unknown_token)
        (_, audio), (_, vision) = map(dims.need, ("audio", "vision"))
        self.params, hidden = params, params.hidden
        self.drawn = LNLNParams(clean_share=params.clean_share, unknown_token=params.unknown_token)
        self.encoder = TokenEncoder(dims)
        sizes = {"audio": audio, "vision": vision}
        self.align = nn.ModuleDict({n: Alignment(s, params.max_tokens) for n, s in sizes.items()})
        self.project = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.LayerNorm(size, _EPS), nn.Linear(size, hidden), nn.LayerNorm(hidden, _EPS)
                )
                for name, size in sizes.items()
            }
        )
        wide = self.encoder.size
        self.text = nn.Sequential(nn.LayerNorm(wide, _EPS), nn.Linear(wide, hidden))
        self.sharpness = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(math.log(1 / 0.07))) for name in sizes}
        )
        self.pairs = nn.ModuleList(
            nn.ModuleDict({name: PairLayer(params) for name in sizes})
            for _ in range(params.pair_layers)
        )
        self.question = Question(params)
        self.queries = nn.ModuleList(QueryLayer(params) for _ in range(params.query_layers))
        self.head = nn.Linear(hidden, 1)
        self.rebuild = nn.Sequential(
            *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(params.rebuild_dropout)),
            nn.Linear(hidden, wide),
        )

    def forward(self, batch: Batch) -> Output:
        """Predict one batch: damaged in training, as it is in evaluation."""
        if not self.training:
            return Output(self._predict(batch)[0])
        incomplete, _ = damaged(batch, self.drawn)
        prediction, text = self._predict(incomplete)
        tokens = tokens_of(batch)
        lost = tokens.ids != tokens_of(incomplete).ids  # (B, L)
        return Output(prediction, {"rebuild": self._rebuild(text, batch, lost)})

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One, as long as the quirk wants it."""
        return whole(self.params)

    def _predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B,), and the text (B, L, D) that was projected."""
        tokens, published = tokens_of(batch), self.params.published
        if published:
            tokens = padded_tokens(tokens, self.params.max_tokens)
        mask = None if published else tokens.mask.bool()  # (B, L)
        text = projected = self.text(self.encoder(tokens))  # (B, L, D)
        streams = {
            name: self.enhanced(name, stream, text, mask)
            for name, stream in zip(("audio", "vision"), audio_vision(batch), strict=True)
        }
        for layer in self.pairs:
            assert isinstance(layer, nn.ModuleDict)
            told = []
            for name, pair in layer.items():  # both read the same text
                streams[name], own = pair(streams[name], text, mask)
                told.append(own)
            text = torch.stack(told).mean(0)
        sources = torch.cat(list(streams.values()), dim=1)  # (B, 2L, D)
        state = self.question(text, sources, None if mask is None else mask.repeat(1, 2))
        for query in self.queries:
            state = query(state, mask)
        if mask is not None:
            state = state.masked_fill(~mask.unsqueeze(2), -torch.inf)
        return self.head(state.amax(1)).squeeze(1), projected

    def enhanced(self, name: str, stream: Sequence, text: Tensor, mask: Tensor | None) -> Tensor:
        """(B, L, D): a stream at the text's places, with what it resembles of the text added.

        The shares of places, a softmax over sharpened cosines, count where they are above those of
        equal shares.
        """
        count = text.shape[1]
        aligned = self.align[name](stream.values, mask, count)  # (B, L, F)
        own: Tensor = self.project[name](aligned)  # (B, L, D)
        cosines = normalize(own, dim=2, eps=1e-9) @ normalize(text, dim=2, eps=1e-9).mT  # (B, L, L)
        scores = self.sharpness[name].exp() * cosines
        equal = scores.new_full((len(text), 1, 1), 1 / count)
        if mask is not None:
            scores = scores.masked_fill(~mask.unsqueeze(1), -torch.inf)
            equal = 1 / mask.sum(1)[:, None, None]
        shares = scores.softmax(2)
        return own + torch.where(shares > equal, shares, 0.0) @ text

    def _rebuild(self, text: Tensor, batch: Batch, lost: Tensor) -> Tensor:
        """How far lost tokens are from what the encoder makes of the complete text, weighted."""
        target = self.encoder(tokens_of(batch))  # (B, L, H)
        if not self.params.published:
            target = target.detach()
        rebuilt = self.rebuild(text[:, : target.shape[1]])  # (B, L, H)
        errors = smooth_l1_loss(rebuilt, target, reduction="none").sum(2)  # (B, L)
        mean = (errors * lost).sum() / (lost.sum() * target.shape[2] + 1e-6)
        weighted: Tensor = self.params.rebuild_weight * mean
        return weighted


_CHINESE: Mapping[str, Scalar] = {
    **{"rebuild_weight": 1.0, "rebuild_dropout": 0.2, "states": 16, "expand": 2},
    **{"query_layers": 2, "encoder": "bert-base-chinese"},
}

TF_MAMBA = System(
    name="tf_mamba",
    card=Card(
        title="TF-Mamba",
        paper="Li, Cheng, Miao, Zhang, Li. TF-Mamba: Text-enhanced Fusion Mamba with Missing"
        " Modalities for Robust Multimodal Sentiment Analysis. EMNLP 2025."
        " Code codemous/TF-Mamba 9a1f07f (no licence), described and written anew",
        year=2025,
        url="https://arxiv.org/abs/2505.14329",
        text="T-BERT",
        deviations=(
            "Evaluated on complete inputs unless the protocol damages them. The paper's numbers are"
            " averages over test inputs that lose 0, 10, ..., 90 percent, one seed, each metric at"
            " its best test epoch",
            "Training inputs are damaged anew in every batch, independently in each stream; the"
            " released code mostly keeps one drawing and seeds every stream's alike",
            "quirk=fixed: padding is masked, in the places that frames are shared out to as well;"
            " the released code masks it inside BERT only",
            "quirk=fixed: what is rebuilt is a constant; as released the target is trained too",
            "quirk=fixed: the rate changes every step, the protocol's patience counts from the end"
            " of the warm-up; as released the rate changes every epoch, is zero in the first, and"
            " 200 epochs are trained whatever happens",
            'Scanned in PyTorch; scan = "mamba_ssm" takes the fused kernel that it was released on',
            "Its parameters called d_ffn, activation and dropout are read by nothing and left out",
            "CH-SIMS v2: settings of CH-SIMS (ours); none are published",
        ),
        unselected="it keeps the best test epoch of each metric, at half of the input missing",
    ),
    params=TFMambaParams,
    presets={
        "mosi": {},
        "mosei": {
            **{"rebuild_weight": 0.3, "rebuild_dropout": 0.2, "states": 16, "query_layers": 2},
        },
        "sims": {**_CHINESE, "max_tokens": 39},
        "simsv2": _CHINESE,
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=TFMamba,
)
